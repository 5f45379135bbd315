"""The keypoint network: a descriptor network with two small heads, and what is left of it in a file."""

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from samepoint.errors import ModelError, RunError
from samepoint.inference import load
from samepoint.models import DescriptorNetwork, NetworkConfig, save_network
from samepoint.models.keypoints import KeypointConfig, KeypointNetwork, MinedDescriptors, right_first
from samepoint.models.weights import load_keypoints, load_network

CONFIG = NetworkConfig(dim=6, width=16, normalise=False)


def made(generator, **changes):
    return KeypointNetwork(CONFIG, KeypointConfig(**{"number": 5, **changes}), generator=generator).eval()


def test_heatmaps_are_linear_in_the_descriptors(generator):
    """Seed 000, eqs. 2 and 3: everything that tells keypoints apart is in the descriptor of a cell."""
    net, image = made(generator), torch.rand(2, 3, 64, 96, generator=generator)
    with torch.no_grad():
        maps, axis = net(image)
        described = net.describe(image)
        expected = F.conv2d(described.values, net.heads.probability.weight, net.heads.probability.bias)
    assert axis is None
    assert maps.cells == described.cells
    torch.testing.assert_close(maps.logits, expected)
    assert maps.depth.shape == maps.logits.shape == (2, 5, 16, 24)


def test_depth_begins_at_the_typical_one_and_stays_above_zero(generator):
    net = made(generator, depth=0.8, focal=250.0)
    with torch.no_grad():
        maps, _ = net(torch.rand(1, 3, 64, 64, generator=generator))
        assert maps.focal == 250.0
        torch.testing.assert_close(maps.depth, torch.full_like(maps.depth, 0.8))
        net.heads.depth.bias.fill_(-1e6)
        maps, _ = net(torch.rand(1, 3, 64, 64, generator=generator))
    assert (maps.depth > 0).all()


def test_a_depth_that_went_astray_finds_its_way_back(generator):
    """A clamp gave no gradient to depths that a few large steps had sent to its limit: there they stayed."""
    heads = made(generator).heads
    with torch.no_grad():
        assert heads.depth.bias is not None
        heads.depth.bias.fill_(-30.0)
    optimizer = torch.optim.Adam([heads.depth.bias], lr=0.1)
    descriptors = torch.randn(1, CONFIG.dim, 4, 4, generator=generator)
    for _ in range(600):
        optimizer.zero_grad()
        (heads(descriptors)[1] - heads.typical).abs().mean().backward()
        optimizer.step()
    torch.testing.assert_close(heads(descriptors)[1].mean().item(), heads.typical, rtol=0.05, atol=0)


@pytest.mark.parametrize("orientation", [False, True])
def test_the_same_generator_state_gives_the_same_network(orientation):
    one, two = (made(torch.Generator().manual_seed(3), orientation=orientation) for _ in range(2))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


def test_a_true_flag_takes_the_place_of_the_predicted_one(generator):
    net, image = made(generator, orientation=True), torch.rand(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        own, axis = net(image)
        flag = right_first(axis)
        same, _ = net(image, torch.full((2,), torch.nan))
        given, _ = net(image, flag)
        other, _ = net(image, 1 - flag)
    torch.testing.assert_close(own.logits, same.logits)
    torch.testing.assert_close(own.logits, given.logits)
    assert not torch.allclose(own.logits, other.logits)
    assert axis.shape == (2, 2, 2)


def test_the_right_side_may_be_on_the_left():
    axis = torch.tensor([[[30.0, 5.0], [10.0, 5.0]], [[10.0, 5.0], [30.0, 5.0]]])
    assert right_first(axis).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("orientation", [False, True])
def test_saved_and_loaded_networks_agree(tmp_path, generator, orientation):
    net = made(generator, orientation=orientation)
    image = torch.rand(1, 3, 64, 64, generator=generator)
    save_network(tmp_path / "run", net, {"method": "mined", "max_size": 64})
    loaded, config = load_keypoints(tmp_path / "run")
    described, _ = load_network(tmp_path / "run")
    assert config["keypoints"]["number"] == 5
    assert isinstance(described, MinedDescriptors if orientation else DescriptorNetwork)
    for part in (loaded.descriptors, described.network.descriptors if orientation else described):
        part.half_precision = False
    if orientation:
        loaded.orientation.maps.half_precision = False
        described.network.orientation.maps.half_precision = False
    with torch.no_grad():
        torch.testing.assert_close(loaded(image)[0].logits, net(image)[0].logits)
        torch.testing.assert_close(described(image).values, net.describe(image).values)
    finder = load(tmp_path / "run")
    picture = image[0].repeat_interleave(2, 1).repeat_interleave(2, 2)
    finder.remember("here", picture, (40.0, 70.0))
    assert finder.find(picture)["here"].confidence > 0.5


def test_descriptors_alone_can_go_on_from_a_mined_run(tmp_path, generator):
    """The weights of the descriptor network have the names that they have in any other run."""
    net = made(generator)
    save_network(tmp_path / "run", net)
    again = DescriptorNetwork(CONFIG, tmp_path / "run")
    for name, value in net.descriptors.state_dict().items():
        if not name.endswith("batches_tracked"):
            assert torch.equal(value, again.state_dict()[name]), name
    names = safetensors.torch.load_file(tmp_path / "run" / "model.safetensors")
    assert {name.split(".")[0] for name in names} == {"backbone", "head", "keypoints"}


def test_a_run_without_keypoints_has_none_to_load(tmp_path):
    save_network(tmp_path / "run", DescriptorNetwork(CONFIG))
    with pytest.raises(RunError, match="no keypoints of its own"):
        load_keypoints(tmp_path / "run")


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"number": 0}, "there are 0 keypoints; give 3 or more"),
        ({"depth": 0.0}, "depth 0.0 m, focal length .*; both are above 0"),
        ({"focal": -1.0}, "focal length -1.0; both are above 0"),
    ],
)
def test_what_cannot_be_is_refused(wrong, line):
    with pytest.raises(ModelError, match=line):
        KeypointConfig(**wrong)


def test_an_unknown_field_of_the_configuration_is_refused():
    with pytest.raises(ModelError, match="keypoint configuration"):
        KeypointConfig.from_json({"points": 3})
