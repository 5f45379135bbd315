"""The U-Net: sizes, cells, names, saved and loaded, and refused where it does not fit."""

import json

import pytest
import torch

from samepoint.errors import ModelError, RunError
from samepoint.geometry.pixels import pixels_from_cells
from samepoint.models import DescriptorNetwork, NetworkConfig, save_network
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.models.weights import load_heatmaps, load_keypoints, load_network

CONFIG = UNetConfig((8, 12, 16), 2)


def made(generator, names=("tip", "base")):
    return HeatmapNetwork(CONFIG, names, generator).eval()


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (37, 50), (16, 9), (240, 320)])
def test_heatmaps_cover_images_of_any_size(generator, size):
    with torch.no_grad():
        found = made(generator)(torch.rand(2, 3, *size, generator=generator))
    rows, columns = -(-size[0] // 2), -(-size[1] // 2)
    assert found.logits.shape == (2, 2, rows, columns)
    assert found.image_size == size
    last = pixels_from_cells(torch.tensor([columns - 1.0, rows - 1.0]), found.cells)
    for place, side in zip(last.tolist(), (size[1], size[0]), strict=True):
        assert side - 2 <= place <= side - 0.5


def test_a_moved_image_moves_its_heatmaps_by_as_much(generator):
    """By a multiple of the lowest resolution's cells, far from the border: where a cell lies is what it says."""
    net, step = made(generator), 2 * 2**2
    image = torch.rand(1, 3, 128, 128, generator=generator)
    with torch.no_grad():
        a, b = net(image).logits, net(image.roll((step, 2 * step), (2, 3))).logits
    torch.testing.assert_close(
        a.roll((step // 2, step), (2, 3))[..., 28:36, 28:36], b[..., 28:36, 28:36], rtol=1e-4, atol=1e-4
    )


def test_each_image_is_seen_alone_in_evaluation(generator):
    net, images = made(generator), torch.rand(3, 3, 32, 32, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(net(images).logits[1:2], net(images[1:2]).logits, rtol=1e-4, atol=1e-5)


def test_equal_generators_give_equal_weights():
    a, b = (made(torch.Generator().manual_seed(5)) for _ in range(2))
    for one, other in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(one, other)


def test_half_precision_is_near_single_precision(generator):
    net, image = made(generator), torch.rand(1, 3, 64, 64, generator=generator)
    with torch.no_grad():
        full = net(image).logits
        net.half_precision = True
        half = net(image).logits
    assert half.dtype == torch.float32
    assert float((half - full).abs().max()) < 0.05 * float(full.abs().max())


def test_a_run_gives_the_network_back(tmp_path, generator):
    net, image = made(generator), torch.rand(1, 3, 32, 48, generator=generator)
    save_network(tmp_path, net)
    again, config = load_heatmaps(tmp_path)
    again.half_precision = False
    assert again.keypoints == ("tip", "base")
    assert config["heatmaps"] == ["tip", "base"]
    with torch.no_grad():
        assert torch.equal(again(image).logits, net(image).logits)


def test_runs_of_other_kinds_are_told_apart(tmp_path, generator):
    save_network(tmp_path / "s3k", made(generator))
    save_network(tmp_path / "don", DescriptorNetwork(NetworkConfig(dim=4, width=8)))
    for load, run, line in (
        (load_network, "s3k", "named keypoints and no descriptors"),
        (load_keypoints, "s3k", "no keypoints of its own"),
        (load_heatmaps, "don", "no heatmaps"),
    ):
        with pytest.raises(RunError, match=line):
            load(tmp_path / run)


def test_weights_of_other_keypoints_are_refused(tmp_path, generator):
    save_network(tmp_path, made(generator))
    config = json.loads((tmp_path / "config.json").read_text())
    config["heatmaps"] = ["tip", "base", "socket"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="do not fit"):
        load_heatmaps(tmp_path)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: UNetConfig((8,)), "two or more"),
        (lambda: UNetConfig((8, 0)), "two or more"),
        (lambda: UNetConfig((8, 8), 0), "1 or more"),
        (lambda: UNetConfig.from_json({"width": 3}), "channels, blocks"),
        (lambda: HeatmapNetwork(CONFIG, ()), "at least one"),
    ],
)
def test_what_makes_no_network_is_refused(make, line):
    with pytest.raises(ModelError, match=line):
        make()
