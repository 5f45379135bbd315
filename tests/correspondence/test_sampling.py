import pytest
import torch
import torch.nn.functional as F

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.geometry.pixels import cell_centres
from samepoint.types import CellMap, DescriptorMap


def _map(generator, metric="cosine", size=(5, 7), dim=6, stride=(4.0, 4.0), offset=(1.5, 1.5), batch=2):
    values = torch.randn(batch, dim, *size, generator=generator, dtype=torch.float64)
    if metric == "cosine":
        values = F.normalize(values, dim=1)
    image = (int(size[0] * stride[1]), int(size[1] * stride[0]))
    return DescriptorMap(values, CellMap(stride, offset), image, metric)


def _by_hand(map, b, u, v):
    """One descriptor by the textbook formula, with clamped cells."""
    _, _, height, width = map.values.shape
    column = min(max((u - map.cells.offset[0]) / map.cells.stride[0], 0), width - 1)
    row = min(max((v - map.cells.offset[1]) / map.cells.stride[1], 0), height - 1)
    c, r = int(column), int(row)
    f, g = column - c, row - r
    c1, r1 = min(c + 1, width - 1), min(r + 1, height - 1)
    cells = map.values[b]
    out = (1 - g) * ((1 - f) * cells[:, r, c] + f * cells[:, r, c1])
    out = out + g * ((1 - f) * cells[:, r1, c] + f * cells[:, r1, c1])
    return out / out.norm() if map.metric == "cosine" else out


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equals_the_formula_also_beyond_the_border(generator, metric):
    map = _map(generator, metric, stride=(4.0, 3.0), offset=(0.5, 2.0))
    uv = torch.rand(2, 40, 2, generator=generator, dtype=torch.float64) * 40 - 8
    found = sample_descriptors(map, uv)
    for b in range(2):
        for k in range(40):
            torch.testing.assert_close(found[b, k], _by_hand(map, b, *uv[b, k].tolist()))


def test_convention_cell_centres_give_the_cells_back(generator):
    map = _map(generator, stride=(8.0, 8.0), offset=(0.0, 3.5))
    uv = cell_centres(map.cells, (5, 7), dtype=torch.float64).flatten(0, 1).expand(2, -1, -1)
    torch.testing.assert_close(sample_descriptors(map, uv), map.values.flatten(2).transpose(1, 2))


def test_is_the_upsampled_image(generator):
    """With cells of a plain strided network, interpolation is that of F.interpolate."""
    map = _map(generator, stride=(4.0, 4.0), offset=(1.5, 1.5))
    image = F.normalize(
        F.interpolate(map.values, map.image_size, mode="bilinear", align_corners=False), dim=1
    )
    v, u = torch.meshgrid(torch.arange(20.0), torch.arange(28.0), indexing="ij")
    uv = torch.stack((u, v), -1).flatten(0, 1).double().expand(2, -1, -1)
    torch.testing.assert_close(sample_descriptors(map, uv), image.flatten(2).transpose(1, 2))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_gradients(generator, metric):
    map = _map(generator, metric, size=(3, 3), dim=3)
    uv = torch.rand(2, 4, 2, generator=generator, dtype=torch.float64) * 6 + 2.1

    def call(values, uv):
        return sample_descriptors(DescriptorMap(values, map.cells, map.image_size, metric), uv)

    torch.autograd.gradcheck(call, (map.values.requires_grad_(), uv.requires_grad_()))


def test_empty_single_cell_and_cancelling(generator):
    map = _map(generator, size=(1, 1))
    assert sample_descriptors(map, torch.zeros(2, 0, 2)).shape == (2, 0, 6)
    found = sample_descriptors(map, torch.tensor([[[0.0, 0.0], [99.0, -5.0]]]).expand(2, -1, -1))
    torch.testing.assert_close(found, map.values[:, :, 0].transpose(1, 2).expand(-1, 2, -1))
    opposite = DescriptorMap(
        torch.tensor([1.0, -1.0])[None, None, None], CellMap((2.0, 2.0), (0.0, 0.0)), (2, 4)
    )
    found = sample_descriptors(opposite, torch.tensor([[[1.0, 0.0]]]))
    assert found.isfinite().all()
    assert found.abs().max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_non_contiguous(generator, dtype):
    map = _map(generator)
    rounded = map.values.to(dtype)
    uv = torch.rand(2, 30, 2, generator=generator) * 30
    half = DescriptorMap(rounded.transpose(2, 3).contiguous().transpose(2, 3), map.cells, map.image_size)
    exact = DescriptorMap(rounded.double(), map.cells, map.image_size)
    found = sample_descriptors(half, uv)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), sample_descriptors(exact, uv.double()), atol=5e-3, rtol=0)
