"""Where the cells lie: against padding arithmetic, input gradients, and what the network does."""

import copy
import functools

import pytest
import torch
from torch import nn

from samepoint.models import DescriptorNetwork, network_config
from samepoint.models.backbones import make_backbone
from samepoint.models.cells import level_cells, structure
from samepoint.models.heads import Double

FAMILIES = {
    "mobilenet-small": {},
    "mobilenet4-small": {},
    "resnet10t": {},  # averaging short cuts: levels out of phase
    "resnet18-8s": {},
    "resnet18-pyramid": {},
    "resnet10t-8s": {"backbone": "resnet10t", "head": "linear", "stride": 8},
    "convnext_atto": {},  # patches
    "tf_mobilenetv3_small_100": {},  # "same" padding
    "dinov2-small": {"backbone": "vit_tiny_patch16_224"},
}


@functools.cache
def network(name):
    generator = torch.Generator().manual_seed(1)
    return DescriptorNetwork(network_config(name, **FAMILIES[name]), generator=generator).eval()


def smooth_noise(height, width, generator):
    image = torch.rand(1, 3, height // 4, width // 4, generator=generator)
    return nn.functional.interpolate(image, size=(height, width), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize(
    "layers",
    [
        [(7, 2, 3, 1), (3, 2, 1, 1), (3, 1, 2, 2), (3, 2, 1, 1)],
        [(4, 4, 0, 1), (2, 2, 0, 1)],
        [(3, 2, 0, 1), (5, 2, 2, 1), (3, 1, 0, 1)],
        [(2, 2, 0, 1), (3, 2, 1, 1)],
    ],
)
def test_convention_cells_follow_padding_arithmetic(layers):
    """A window of k, dilation d, padding p is centred d (k - 1) / 2 - p input cells right of its stride."""
    stride, offset, modules = 1, 0.0, []
    for k, s, p, d in layers:
        offset += stride * (d * (k - 1) / 2 - p)
        stride *= s
        modules.append(nn.Conv2d(3, 3, k, s, p, d))
    cells = level_cells(structure(nn.Sequential(*modules)), [stride], 32)[0]
    assert cells.stride == (stride, stride)
    assert cells.offset == pytest.approx((offset, offset), abs=1e-3)


def test_axes_are_not_mixed_up():
    cells = level_cells(structure(nn.Conv2d(3, 1, (2, 4), 4)), [4], 4)[0]
    assert cells.offset == pytest.approx((1.5, 0.5), abs=1e-3)  # (u, v): kernel is (height, width)


def test_resnet_cells_are_the_papers():
    for stride in (8, 16):
        backbone = make_backbone("resnet18", output_stride=stride)
        assert backbone.cells[-1].stride == (stride, stride)
        assert backbone.cells[-1].offset == (0, 0)


def centroid_by_gradient(net, columns):
    """Slow twin: centroids of the input gradients of cells; all weights equal, no gates or maxima."""
    net = copy.deepcopy(net).double()
    for name, module in list(net.named_modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        if isinstance(module, nn.MaxPool2d):
            net.get_submodule(name.rpartition(".")[0])._modules[name.rpartition(".")[2]] = nn.AvgPool2d(
                3, 2, 1
            )
    for module in net.modules():
        if type(module).__name__ == "SqueezeExcite":
            nn.init.zeros_(module.conv_expand.weight)
    image = torch.ones(1, 3, 64, 768, dtype=torch.float64, requires_grad=True)
    out = net.features(image)[0, :, 8].sum(0)
    masses = [
        torch.autograd.grad(out[column], image, retain_graph=True)[0].sum((0, 1, 2)) for column in columns
    ]
    return [float((mass * torch.arange(768)).sum() / mass.sum()) for mass in masses]


@pytest.mark.parametrize("name", ["mobilenet-small", "resnet18-pyramid", "tf_mobilenetv3_small_100"])
def test_measured_equals_input_gradient(name):
    net = network(name)
    cells = net.cells((64, 768))
    columns = [95, 96, 98]
    expected = [cells.stride[0] * column + cells.offset[0] for column in columns]
    assert centroid_by_gradient(net, columns) == pytest.approx(expected, abs=0.35)


@pytest.mark.parametrize("name", ["mobilenet-small", "mobilenet4-small", "resnet18-pyramid", "convnext_atto"])
@pytest.mark.parametrize("axis", [2, 3])
def test_convention_mirrored_kernels_mirror_the_map(name, axis, generator):
    """Exact, borders and all: mirrored kernels on the mirrored image give the mirrored map.

    The image is so large that its first and last cells lie equally far inside; then the offset can only be
    what the sizes say, and every level has to lie over the others without the least shift.
    """
    net = network(name)
    mirrored = copy.deepcopy(net)
    for module in mirrored.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.flip(axis)
    size = [64, 64] if net.backbone.multiple > 1 else [65, 65]
    size[axis - 2] += 64
    image = torch.rand(1, 3, *size, generator=generator)
    with torch.no_grad():
        map_, other = net(image), mirrored(image.flip(axis))
    torch.testing.assert_close(other.values.flip(axis), map_.values, atol=2e-4, rtol=0)
    uv = 3 - axis
    offset = (size[axis - 2] - 1 - map_.cells.stride[uv] * (map_.values.shape[axis] - 1)) / 2
    assert map_.cells.offset[uv] == pytest.approx(offset, abs=1e-3)


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 1.0])
def test_doubling_keeps_positions(phase):
    coarse = torch.arange(12.0).expand(1, 1, 10, 12)
    fine = Double(phase)(coarse, (19, 23))
    assert fine.shape == (1, 1, 19, 23)
    expected = (torch.arange(23.0) - phase) / 2
    torch.testing.assert_close(fine[0, 0, 9, 2:-3], expected[2:-3])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_shift_of_the_image_shifts_the_map(name, generator):
    """Over all shifts in cells, the map of the shifted image agrees best at the one the cell map says."""
    net = network(name)
    step = max(net.backbone.strides)
    canvas = smooth_noise(96, 256 + step, generator)
    with torch.no_grad():
        first, second = net(canvas[..., :256]), net(canvas[..., step : 256 + step])
    shift = round(step / first.cells.stride[0])
    assert shift * first.cells.stride[0] == pytest.approx(step, rel=1e-3)
    a, b = first.values, second.values
    a, b = (x - x.mean((2, 3), keepdim=True) for x in (a, b))
    margin = a.shape[-1] // 4
    inner = slice(margin, -margin)
    shifts = range(max(shift - 3, 0), shift + 4)
    agreement = {s: float((b * a.roll(-s, -1))[..., inner].sum()) for s in shifts}
    assert max(agreement, key=agreement.__getitem__) == shift


def symmetric(net):
    """The network with every kernel averaged over its mirror images: random kernels look to one side."""
    net = copy.deepcopy(net)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            k = module.weight.data
            module.weight.data = (k + k.flip(2) + k.flip(3) + k.flip(2, 3)) / 4
    return net


@pytest.mark.parametrize("name", FAMILIES)
def test_a_blob_is_found_where_it_is(name):
    """The descriptors that a blob changes are centred on it, in pixels, at odd sizes too."""
    net, size = symmetric(network(name)), (145, 181)
    cells = net.cells(size)
    v, u = torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij")
    centres = [(84.3, 70.8), (91.0, 75.5), (97.7, 66.1)]
    blobs = [torch.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 4.0**2)) for x, y in centres]
    grey = torch.full((1, 3, *size), 0.4)
    images = torch.cat([grey, *(grey + 0.5 * blob for blob in blobs)])
    with torch.no_grad():
        values = net(images).values
    errors = []
    for centre, changed in zip(centres, values[1:]):
        energy = (changed - values[0]).square().sum(0)
        energy = (energy - energy.quantile(0.8)).clamp_min(0)
        h, w = energy.shape
        column = float((energy.sum(0) * torch.arange(w)).sum() / energy.sum())
        row = float((energy.sum(1) * torch.arange(h)).sum() / energy.sum())
        found = [
            cell * stride + offset for cell, stride, offset in zip((column, row), cells.stride, cells.offset)
        ]
        errors.append([found[0] - centre[0], found[1] - centre[1]])
    error = torch.tensor(errors).mean(0).abs().max()
    assert error < 0.25 * cells.stride[0]
