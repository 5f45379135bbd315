"""The plain twins compute what samepoint computes: otherwise beating them says nothing."""

import pytest
import torch
import torch.nn.functional as F

from samepoint.bench.naive import (
    all_pixels_nt_xent,
    descriptor_image,
    nearest_pixels,
    read_image,
    softmax_divergence,
)
from samepoint.correspondence.hard import hard_match
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.objectives import gaussian_divergence
from samepoint.types import CellMap, DescriptorMap, PairBatch

SIZE = (24, 32)


def a_map(metric="cosine", stride=4.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 5, round(SIZE[0] / stride), round(SIZE[1] / stride))
    values = torch.randn(shape, generator=generator)
    values = F.normalize(values, dim=1) if metric == "cosine" else values
    return DescriptorMap(values, CellMap((stride, stride), ((stride - 1) / 2,) * 2), SIZE, metric)


def pixels(seed=0, n=6):
    generator = torch.Generator().manual_seed(seed)
    v, u = (torch.randint(0, limit, (2, n), generator=generator) for limit in SIZE)
    return torch.stack((u, v), dim=-1).float()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_image_holds_what_is_sampled(metric):
    map, uv = a_map(metric), pixels()
    torch.testing.assert_close(read_image(descriptor_image(map), uv), sample_descriptors(map, uv))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_finding_the_original_way_finds_the_same_pixel(metric):
    map = a_map(metric)
    queries = sample_descriptors(map, pixels(3))
    torch.testing.assert_close(nearest_pixels(queries, map), hard_match(queries, map).uv)


def test_the_softmax_over_pixels_is_the_divergence_where_cells_are_pixels():
    a, b = a_map(stride=1.0), a_map(stride=1.0, seed=1)
    uv, truth, valid = pixels(), pixels(1), torch.ones(2, 6, dtype=torch.bool)
    plain = softmax_divergence(a, b, uv, truth, valid, temperature=0.1, sigma=1.5)
    queries = sample_descriptors(a, uv)
    ours = gaussian_divergence(queries, b, truth, valid, temperature=0.1, sigma=1.5)
    # ours cuts the Gaussian off at a window's border
    torch.testing.assert_close(plain["loss"], ours["loss"], rtol=1e-2, atol=0)


def test_nt_xent_over_all_pixels_by_its_definition():
    a, b = a_map(), a_map(seed=1)
    batch = PairBatch(
        torch.zeros(2, 3, *SIZE), torch.zeros(2, 3, *SIZE), pixels(), pixels(1),
        torch.ones(2, 6, dtype=torch.bool),
    )  # fmt: skip
    image_a, image_b = descriptor_image(a), descriptor_image(b)
    rows = []
    for i in range(2):
        for uv, truth in zip(batch.uv_a[i].long(), batch.uv_b[i].long()):
            anchor = image_a[i, :, uv[1], uv[0]]
            every = torch.cat([image[i].flatten(1).T for image in (image_a, image_b)]) @ anchor / 0.1
            rows.append(every.logsumexp(0) - anchor @ image_b[i, :, truth[1], truth[0]] / 0.1)
    found = all_pixels_nt_xent(a, b, batch, temperature=0.1)["loss"]
    torch.testing.assert_close(found, torch.stack(rows).mean())
