"""Masks by a detector: its weights in a file, and which of its instances is taken."""

import numpy as np
import pytest
import safetensors.torch
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2

from samepoint.errors import DataError, ModelError
from samepoint.models.segmenter import Segmenter, load_segmenter

IMAGE = np.zeros((40, 60, 3), np.uint8)
BOXES = [(5, 5, 20, 20), (30, 10, 50, 30), (32, 8, 55, 35)]
"""x0 y0 x1 y1 of three instances, edges."""


def faked(scores, seen=None):
    """A detector that finds squares; the masks are faint outside of them."""

    def detect(images):
        if seen is not None:
            seen.extend(images)
        masks = torch.full((len(scores), 1, 40, 60), 0.3)
        for k in range(len(scores)):
            x0, y0, x1, y1 = BOXES[k]
            masks[k, 0, y0:y1, x0:x1] = 0.9
        return [{
            "boxes": torch.tensor(BOXES[: len(scores)]).float().reshape(-1, 4),
            "scores": torch.tensor(scores),
            "masks": masks,
        }]  # fmt: skip

    return detect


def chosen(mask):
    return [
        k
        for k, (x0, y0, x1, y1) in enumerate(BOXES)
        if mask[y0:y1, x0:x1].all() and mask.sum() == (x1 - x0) * (y1 - y0)
    ]


def test_the_highest_score_without_a_box():
    assert chosen(Segmenter(faked([0.6, 0.9, 0.8]), "w").mask(IMAGE)) == [1]
    assert chosen(Segmenter(faked([0.95, 0.9, 0.8]), "w").mask(IMAGE)) == [0]


def test_the_best_overlap_with_a_box():
    segmenter = Segmenter(faked([0.6, 0.9, 0.8]), "w")
    for k, (x0, y0, x1, y1) in enumerate(BOXES):
        assert chosen(segmenter.mask(IMAGE, (x0, y0, x1 - 1, y1 - 1))) == [k]
    assert chosen(segmenter.mask(IMAGE, (0, 0, 12, 12))) == [0]


def test_instances_below_the_threshold_do_not_count():
    segmenter = Segmenter(faked([0.6, 0.9, 0.8]), "w", threshold=0.7)
    assert chosen(segmenter.mask(IMAGE, (31, 7, 54, 34))) == [2]
    with pytest.raises(DataError, match=r"a.png: none of the 2 objects found lies in the box 5 5 19 19"):
        segmenter.mask(IMAGE, (5, 5, 19, 19), "a.png")


@pytest.mark.parametrize(("scores", "best"), [([0.2, 0.41], r" \(best score 0.41\)"), ([], "")])
def test_nothing_found(scores, best):
    line = f"a.png: no object found with a score of 0.5 or more{best}; lower --segmenter-score"
    with pytest.raises(DataError, match=line):
        Segmenter(faked(scores), "w").mask(IMAGE, where="a.png")


def test_the_detector_sees_rgb_in_0_to_1():
    seen = []
    image = IMAGE.copy()
    image[3, 7] = (255, 128, 0)
    Segmenter(faked([0.9], seen), "w").mask(image)
    assert seen[0].shape == (3, 40, 60)
    assert torch.allclose(seen[0][:, 3, 7], torch.tensor([1.0, 128 / 255, 0.0]))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of both networks, two classes."""
    folder = tmp_path_factory.mktemp("weights")
    for k, build in enumerate((maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2)):
        torch.manual_seed(k)
        state = build(weights=None, weights_backbone=None, num_classes=2).state_dict()
        safetensors.torch.save_file(state, folder / f"{build.__name__}.safetensors")
    return folder


@pytest.mark.parametrize("name", ["maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"])
def test_networks_are_recognised_by_their_tensors(weights, name):
    path = weights / f"{name}.safetensors"
    segmenter = load_segmenter(path, threshold=0.0, side=64)
    given = safetensors.torch.load_file(path)
    own = segmenter.detector.state_dict()
    assert own.keys() == given.keys()
    assert all(torch.equal(own[key], given[key]) for key in given)
    assert not segmenter.detector.training
    image = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    mask = segmenter.mask(image)
    assert mask.shape == (64, 80)
    assert mask.dtype == bool
    assert (segmenter.mask(image) == mask).all()
    with pytest.raises(DataError, match="no object found"):
        Segmenter(segmenter.detector, path, threshold=1.0).mask(image)


def test_a_state_dict_saved_by_torch(weights, tmp_path):
    state = safetensors.torch.load_file(weights / "maskrcnn_resnet50_fpn.safetensors")
    torch.save({"model": state}, tmp_path / "w.pth")
    loaded = load_segmenter(tmp_path / "w.pth").detector.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_weights_that_do_not_fit(weights, tmp_path):
    state = safetensors.torch.load_file(weights / "maskrcnn_resnet50_fpn.safetensors")
    state.pop("rpn.head.bbox_pred.weight")
    safetensors.torch.save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(ModelError, match=r"less.safetensors: the weights do not fit maskrcnn_resnet50_fpn;"):
        load_segmenter(tmp_path / "less.safetensors")
    safetensors.torch.save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="neither maskrcnn_resnet50_fpn_v2 nor maskrcnn_resnet50_fpn;"):
        load_segmenter(tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="no weights file there"):
        load_segmenter(tmp_path / "none.pth")
