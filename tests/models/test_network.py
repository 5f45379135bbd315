import inspect

import pytest
import torch

from samepoint.errors import ModelError
from samepoint.models import DescriptorNetwork, network_config

SMALL = {
    "pyramid": network_config("lcnet_035", width=16, dim=8),
    "pyramid stride 2": network_config("lcnet_035", width=8, dim=4, stride=2),
    "pyramid gated": network_config("mobilenetv3_small_050", width=16, dim=8),
    "pyramid patches": network_config("convnext_atto", width=8, dim=4, stride=8),
    "pyramid same": network_config("tf_mobilenetv3_small_075", width=8, dim=4),
    "linear": network_config("resnet10t", head="linear", dim=3, stride=8),
    "linear euclidean": network_config("lcnet_035", head="linear", dim=3, stride=16, normalise=False),
    "transformer": network_config("vit_tiny_patch16_224", head="linear", dim=4),
    "transformer, rotary": network_config("vit_small_patch16_dinov3", head="linear", dim=4),
}
QUICK = ["pyramid", "pyramid gated", "linear euclidean", "transformer"]


def build(name):
    return DescriptorNetwork(SMALL[name], generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SMALL)
def test_shapes_norms_and_gradients(name, generator):
    net = build(name)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)  # timm starts some residual branches at zero
    image = torch.rand(2, 3, 61, 83, generator=generator)
    out = net(image)
    stride = net.stride
    if net.backbone.patch is None:
        assert out.values.shape == (2, net.config.dim, -(-61 // stride), -(-83 // stride))
    else:
        assert out.values.shape == (2, net.config.dim, round(61 / stride), round(83 / stride))
    assert out.image_size == (61, 83)
    assert out.metric == net.config.metric
    if net.config.normalise:
        torch.testing.assert_close(out.values.norm(dim=1), torch.ones_like(out.values[:, 0]))
    (out.values * torch.rand(out.values.shape, generator=generator)).sum().backward()
    dead = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    assert dead == []


@pytest.mark.parametrize("name", QUICK)
def test_descriptors_do_not_depend_on_the_rest_of_the_batch(name, generator):
    net = build(name).eval()
    images = torch.rand(3, 3, 64, 64, generator=generator)
    with torch.no_grad():
        together = net(images).values
        alone = torch.cat([net(image[None]).values for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_gives_float32_unit_vectors(name, dtype, generator):
    net = build(name)
    image = torch.rand(2, 3, 64, 64, generator=generator)
    with torch.autocast("cpu", dtype):
        out = net(image)
    assert out.values.dtype == torch.float32
    assert out.values.isfinite().all()
    if net.config.normalise:
        torch.testing.assert_close(out.values.norm(dim=1), torch.ones_like(out.values[:, 0]))
    out.values.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_and_channels_last(dtype, generator):
    net = build("pyramid").eval()
    image = torch.rand(1, 3, 64, 64, generator=generator)
    with torch.no_grad():
        last = net(image)
        expected = net.to(memory_format=torch.contiguous_format)(image).values
        other = net.to(dtype)(image.to(dtype)).values
    torch.testing.assert_close(last.values, expected, atol=1e-5, rtol=1e-4)
    assert other.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert (other.float() * expected).sum(1).min() > 0.98


def test_images_are_normalised_inside(generator):
    net = build("pyramid").eval()
    image = torch.rand(1, 3, 64, 64, generator=generator)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        levels = net.backbone((image - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        torch.testing.assert_close(net.head(levels), net.features(image))


def test_a_flat_image_gives_finite_gradients():
    net = build("pyramid")
    torch.nn.init.zeros_(net.head.out.weight)
    torch.nn.init.zeros_(net.head.out.bias)  # all descriptors are zero vectors
    net(torch.zeros(2, 3, 32, 32)).values.sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_frozen_backbone_stays_as_it_is(generator):
    config = network_config("lcnet_035", width=8, dim=4, trainable_backbone=False)
    net = DescriptorNetwork(config).train()
    before = {key: value.clone() for key, value in net.backbone.state_dict().items()}
    net(torch.rand(2, 3, 64, 64, generator=generator)).values.sum().backward()
    assert all(torch.equal(value, before[key]) for key, value in net.backbone.state_dict().items())
    assert all(p.grad is None for p in net.backbone.parameters())
    assert all(p.grad is not None for p in net.head.parameters())


def test_without_the_deepest_levels_a_network_is_smaller_and_its_cells_stay(generator):
    whole = DescriptorNetwork(network_config("resnet10t", width=8, dim=4))
    shallow = DescriptorNetwork(network_config("resnet10t", width=8, dim=4, levels=3))
    image = torch.rand(1, 3, 96, 64, generator=generator)
    assert shallow.backbone.strides == [2, 4, 8]
    assert sum(p.numel() for p in shallow.parameters()) < 0.1 * sum(p.numel() for p in whole.parameters())
    assert shallow.cells((96, 64)) == whole.cells((96, 64))
    assert shallow(image).values.shape == whole(image).values.shape == (1, 4, 24, 16)


def test_generator_decides_the_random_weights():
    same, again = build("pyramid"), build("pyramid")
    other = DescriptorNetwork(SMALL["pyramid"], generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(same.state_dict(), again.state_dict())
    assert not torch.equal(same.head.out.weight, other.head.out.weight)


def test_a_given_generator_leaves_the_global_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    build("pyramid")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [(torch.rand(1, 1, 32, 32), "shape"), (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "uint8")],
)
def test_bad_images(image, message):
    features = inspect.unwrap(DescriptorNetwork.features)  # as without the tests' shape checks
    with pytest.raises(ModelError, match=message):
        features(build("pyramid"), image)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("resnet33", {}, "did you mean.*resnet34"),
        ("mobilenet-small", {"stride": 3}, "2, 4, 8, 16, 32"),
        ("resnet18-8s", {"stride": 4}, "stride 4"),
        ("dinov2-small", {"stride": 8}, "give 14"),
        ("dinov2-small", {"head": "pyramid", "trainable_backbone": True}, "head 'linear'"),
        ("efficientvit_b0", {}, "cannot be located"),
        ("repvit_m0_9", {"head": "linear"}, "stride 8"),
        ("resnet18", {"levels": 7}, "no 7 feature levels"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(name, changes, message):
    with pytest.raises(ModelError, match=message) as caught:
        DescriptorNetwork(network_config(name, **changes))
    assert "\n" not in str(caught.value)
