"""Reference descriptors and keypoints for policies: read-outs, frames, selections."""

import numpy as np
import pytest
import torch
from tests.inference.conftest import ColourNetwork, paint

from samepoint.errors import DataError
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import exp, invert, transform
from samepoint.inference.keypoints import KeypointSettings, encode_keypoints, normalised
from samepoint.inference.references import references_at, sample_on_masks, select_spread

SIZE = (96, 128)
K = torch.tensor([[100.0, 0, 63.5], [0, 100, 47.5], [0, 0, 1]])


def see(*corners):
    images = np.stack([paint(SIZE, corner) for corner in corners])
    return ColourNetwork()(torch.from_numpy(images).permute(0, 3, 1, 2).float())


def test_a_reference_is_found_where_the_scene_has_moved_to():
    """The second image shows the scene 8 pixels further right and 4 further down."""
    places = torch.tensor([[40.0, 30.0], [90.0, 70.0]])
    references = references_at(see((0.0, 0.0)), places)
    for readout, tolerance in (("mode", 1.5), ("window", 1.5)):
        found = encode_keypoints(references, see((0.0, 0.0), (8.0, 4.0)), KeypointSettings(readout))
        torch.testing.assert_close(found.uv[0], places, atol=tolerance, rtol=0)
        torch.testing.assert_close(found.uv[1], places - torch.tensor([8.0, 4.0]), atol=tolerance, rtol=0)
        torch.testing.assert_close(found.values, normalised(found.uv, SIZE))


def test_the_expectation_is_the_softmaxs_mean_and_flat_ones_lie_in_the_middle():
    map = see((0.0, 0.0))
    references = references_at(map, torch.tensor([[20.0, 20.0]]))
    scores = torch.einsum("nd,dhw->nhw", references, map.values[0])
    v, u = torch.meshgrid(torch.arange(24.0) * 4 + 1.5, torch.arange(32.0) * 4 + 1.5, indexing="ij")
    for temperature in (0.02, 1e3):
        weight = torch.softmax(scores.flatten() / temperature, 0).view(24, 32)
        expected = torch.stack(((weight * u).sum(), (weight * v).sum()))
        found = encode_keypoints(references, map, KeypointSettings("expectation", temperature=temperature))
        torch.testing.assert_close(found.uv[0, 0], expected, atol=1e-2, rtol=0)
    torch.testing.assert_close(found.uv[0, 0], torch.tensor([63.5, 47.5]), atol=0.1, rtol=0)


def test_normalised_pixels_go_from_centre_to_centre():
    corners = torch.tensor([[0.0, 0.0], [127.0, 95.0], [63.5, 47.5]])
    assert normalised(corners, SIZE).tolist() == [[-1, -1], [1, 1], [0, 0]]


def test_frames_are_those_of_a_known_plane():
    """A plane at an angle: depth from its equation, points from the camera that looks at it."""
    map = see((0.0, 0.0))
    v, u = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    depth = (0.5 + 0.001 * u + 0.002 * v)[None]
    pose = exp(torch.tensor([[0.3, -0.1, 0.2, 0.5, -0.4, 0.3]]))
    references = references_at(map, torch.tensor([[40.0, 30.0], [90.0, 70.0]]))
    given = {"depth": depth, "intrinsics": K[None], "world_from_camera": pose}
    found = {
        frame: encode_keypoints(references, map, KeypointSettings("window", frame), **given)
        for frame in ("uvd", "camera", "world")
    }
    uv = found["uvd"].uv[0]
    metres = 0.5 + 0.001 * uv[:, 0] + 0.002 * uv[:, 1]
    torch.testing.assert_close(found["uvd"].values[0, :, 2], metres, atol=1e-4, rtol=0)
    back, z = project(K, found["camera"].values[0])
    torch.testing.assert_close(back, uv, atol=1e-3, rtol=0)
    torch.testing.assert_close(z, metres, atol=1e-4, rtol=0)
    again = transform(invert(pose), found["world"].values)
    torch.testing.assert_close(again, found["camera"].values, atol=1e-5, rtol=0)


def test_unknown_depth_is_unknown_and_what_is_missing_is_said():
    map, references = see((0.0, 0.0)), references_at(see((0.0, 0.0)), torch.tensor([[40.0, 30.0]]))
    blind = encode_keypoints(references, map, KeypointSettings(frame="uvd"), depth=torch.zeros(1, *SIZE))
    assert blind.values[..., 2].isnan().all()
    assert blind.values[..., :2].isfinite().all()
    with pytest.raises(DataError, match="'world' need depth, intrinsics, world_from_camera"):
        encode_keypoints(references, map, KeypointSettings(frame="world"))
    with pytest.raises(DataError, match="resize depth"):
        encode_keypoints(references, map, KeypointSettings(frame="uvd"), depth=torch.zeros(1, 48, 64))


def test_samples_are_shared_by_the_objects(generator):
    labels = torch.zeros(40, 50, dtype=torch.long)
    labels[5:30, 5:20], labels[10:12, 30:32] = 1, 3
    uv = sample_on_masks(labels, 11, generator)
    on = labels[uv[:, 1].long(), uv[:, 0].long()]
    assert on.tolist() == [1] * 6 + [3] * 5
    assert len(uv[:6].unique(dim=0)) == 6
    with pytest.raises(DataError, match="no object"):
        sample_on_masks(torch.zeros(4, 4, dtype=torch.long), 3, generator)


def test_selected_references_are_confident_and_spread(generator):
    """Half of the candidates are descriptors that the scene does not have; the rest lie along a line."""
    maps = [see((0.0, 0.0)), see((6.0, 3.0))]
    u = torch.linspace(20, 110, 10)
    true = references_at(maps[0], torch.stack((u, torch.full_like(u, 48.0)), 1))
    lost = torch.nn.functional.normalize(torch.randn(10, true.shape[1], generator=generator), dim=1)
    candidates = torch.cat((lost, true))
    chosen = select_spread(candidates, maps, 3)
    assert (chosen >= 10).all()
    assert len(chosen.unique()) == 3
    ends = u[chosen - 10]
    assert (ends.max() - ends.min()) > 60
    assert select_spread(candidates, maps, 20).sort().values.tolist() == list(range(20))
    with pytest.raises(DataError, match="cannot keep 21 of 20"):
        select_spread(candidates, maps, 21)
