import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from samepoint.correspondence import hard
from samepoint.correspondence.hard import hard_match, hard_match_reference, refine_subpixel
from samepoint.correspondence.quads import make_quads, with_border
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.scores import score_maps, scores_at
from samepoint.errors import ModelError
from samepoint.geometry.pixels import cells_from_pixels, pixel_grid, resize_pixels, sample
from samepoint.types import CellMap, DescriptorMap

METRICS = pytest.mark.parametrize("metric", ["cosine", "euclidean"])
CELLS = [
    ((4.0, 4.0), (1.5, 1.5)),
    ((8.0, 8.0), (0.0, 0.0)),
    ((5.0, 3.0), (2.5, -0.5)),
    ((7.3, 6.1), (9.0, 8.0)),
]


def _map(generator, metric="cosine", cells=CELLS[0], dim=16, size=(9, 11), coarse=None, batch=2):
    """A random map; with `coarse`, a smooth one: that many random descriptors a side, interpolated."""
    cells_drawn = size if coarse is None else (coarse, coarse)
    values = torch.randn(batch, dim, *cells_drawn, generator=generator, dtype=torch.float64)
    if coarse is not None:
        values = F.interpolate(values, size, mode="bicubic", align_corners=True)
    if metric == "cosine":
        values = F.normalize(values, dim=1)
    image = (round(size[0] * cells[0][1]), round(size[1] * cells[0][0]))
    return DescriptorMap(values, CellMap(*cells), image, metric)


def _queries(generator, map, n=12, noise=0.3):
    """Half from the map (with noise), half at random."""
    batch, dim, height, width = map.values.shape
    own = map.values.flatten(2)[:, :, torch.randint(0, height * width, (n // 2,), generator=generator)]
    own = own.transpose(1, 2) + noise * torch.randn(own.transpose(1, 2).shape, generator=generator)
    queries = torch.cat((own, torch.randn(batch, n - n // 2, dim, generator=generator)), dim=1)
    return F.normalize(queries, dim=-1) if map.metric == "cosine" else queries


def _check(queries, map, size=None):
    """Same score as the twin, and the pixel has that score (ties are allowed)."""
    single = torch.promote_types(queries.dtype, torch.float32) == torch.float32
    atol = 2e-6 * float(queries.double().square().sum(-1).amax()) if single else 1e-9
    found, twin = hard_match(queries, map, size=size), hard_match_reference(queries, map, size)
    torch.testing.assert_close(found.score, twin.score, atol=atol, rtol=0)
    maps = score_maps(queries, map, size)
    height, width = maps.shape[2:]
    u, v = found.uv.long().unbind(-1)
    assert (found.uv == found.uv.round()).all()
    assert ((u >= 0) & (u < width) & (v >= 0) & (v < height)).all()
    at = maps.flatten(2).gather(2, (v * width + u)[..., None])[..., 0]
    torch.testing.assert_close(at, twin.score, atol=atol, rtol=0)
    assert (found.uv == twin.uv).all(-1).float().mean() > 0.9
    return found


@METRICS
@pytest.mark.parametrize("cells", CELLS)
@pytest.mark.parametrize(("coarse", "dim"), [(None, 2), (None, 16), (3, 16), (6, 2)])
def test_equals_the_twin(generator, metric, cells, coarse, dim):
    map = _map(generator, metric, cells, dim, coarse=coarse)
    _check(_queries(generator, map), map)


@METRICS
@pytest.mark.parametrize("size", [(36, 44), (80, 31), (8, 7), (1, 1)])
def test_other_sizes_also_coarser_than_the_cells(generator, metric, size):
    map = _map(generator, metric, coarse=4)
    _check(_queries(generator, map), map, size)


@METRICS
@pytest.mark.parametrize("map_size", [(1, 1), (1, 6), (5, 1), (2, 2)])
def test_tiny_maps(generator, metric, map_size):
    map = _map(generator, metric, size=map_size)
    _check(_queries(generator, map), map)


@METRICS
def test_corners_and_edges_of_the_image_are_found(generator, metric):
    map = _map(generator, metric, coarse=4)
    height, width = map.image_size
    uv = torch.tensor([[2, 2], [width - 3, 2], [2, height - 3], [width - 3, height - 3], [20, 2]]).double()
    found = _check(sample_descriptors(map, uv.expand(2, -1, -1)), map)
    torch.testing.assert_close(found.uv, uv.expand(2, -1, -1))


def test_convention_beyond_the_outer_cell_centres_the_border_repeats_and_the_first_pixel_is_named(generator):
    map = _map(generator, cells=((4.0, 4.0), (1.5, 1.5)), coarse=4)
    corner = map.values[:, None, :, 0, 0]
    torch.testing.assert_close(hard_match(corner, map).uv, torch.zeros(2, 1, 2).double())


@METRICS
def test_only_negative_scores(generator, metric):
    """All corners score below zero: the cosine bound must not be tightened by the shrunken norm."""
    map = _map(generator, metric, coarse=3)
    one_side = DescriptorMap(map.values + 2, map.cells, map.image_size, metric)
    if metric == "cosine":
        one_side = DescriptorMap(F.normalize(one_side.values, dim=1), map.cells, map.image_size, metric)
    queries = -_queries(generator, one_side)[:, :6]
    found = _check(queries, one_side)
    assert (found.score < 0).all()


def test_opposite_neighbours(generator):
    """Interpolation passes near zero; nothing can be bounded there but by the length of the query."""
    map = _map(generator, dim=3)
    flipped = map.values * torch.where(torch.arange(11) % 2 == 0, 1.0, -0.98)
    map = DescriptorMap(F.normalize(flipped, dim=1), map.cells, map.image_size)
    found = _check(_queries(generator, map, n=40), map)
    assert found.score.isfinite().all()


@METRICS
@pytest.mark.parametrize("coarse", [None, 4])
def test_bound_is_admissible(generator, metric, coarse):
    """No pixel of a quad scores above the quad's bound."""
    map = _map(generator, metric, cells=((4.0, 4.0), (0.0, 0.0)), dim=3, size=(6, 7), coarse=coarse)
    queries = _queries(generator, map)
    values = with_border(map.values)
    quads = make_quads(values, map, map.image_size)
    products = (queries @ values.flatten(2)).unflatten(2, (8, 9))
    bound, _ = quads.bound(products, queries.norm(dim=-1))
    t = torch.arange(4, dtype=torch.float64)
    v, u = torch.meshgrid(t, t, indexing="ij")
    for row in range(5):
        for column in range(6):
            uv = torch.stack((u + 4 * column, v + 4 * row), -1).flatten(0, 1).expand(2, 12, -1, -1)
            scores = scores_at(queries, map, uv).amax(-1)
            assert (scores <= bound[:, :, row + 1, column + 1]).all()


def test_bound_prunes_smooth_maps(generator, monkeypatch):
    """On a smooth map nearly no quad is evaluated: the search is not a full scan in disguise."""
    map = _map(generator, size=(60, 80), coarse=12, dim=32)
    queries = _queries(generator, map, noise=0.05)
    evaluated = []
    inner = hard._evaluate
    monkeypatch.setattr(hard, "_evaluate", lambda *a: (evaluated.append(len(a[-1][0])), inner(*a))[1])
    hard_match(queries, map)
    assert sum(evaluated) < 0.02 * 24 * 59 * 79


def test_chunks_and_blocks_change_nothing(generator, monkeypatch):
    map = _map(generator, size=(12, 14))
    queries = _queries(generator, map)
    whole = hard_match(queries, map)
    monkeypatch.setattr(hard, "CHUNK_PIXELS", 5000)
    monkeypatch.setattr("samepoint.correspondence.affinity.BLOCK_ELEMENTS", 12 * 14 * 5)
    cut = hard_match(queries, map)
    torch.testing.assert_close(cut.uv, whole.uv)
    torch.testing.assert_close(cut.score, whole.score)


@METRICS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_other_dtypes_and_strides(generator, metric, dtype):
    map = _map(generator, metric, coarse=5)
    map = DescriptorMap(
        map.values.to(dtype).transpose(2, 3).contiguous().transpose(2, 3), map.cells, map.image_size, metric
    )
    found = _check(_queries(generator, map).to(dtype), map)
    assert found.uv.dtype == torch.promote_types(dtype, torch.float32)


@METRICS
def test_empty_permutation_and_batch(generator, metric):
    map = _map(generator, metric, coarse=4)
    queries = _queries(generator, map)
    assert hard_match(queries[:, :0], map).uv.shape == (2, 0, 2)
    found = hard_match(queries, map)
    order = torch.randperm(12, generator=generator)
    torch.testing.assert_close(hard_match(queries[:, order], map).uv, found.uv[:, order])
    swapped = DescriptorMap(map.values.flip(0), map.cells, map.image_size, metric)
    torch.testing.assert_close(hard_match(queries.flip(0), swapped).uv, found.uv.flip(0))


def test_subpixel_refinement_finds_the_peak_between_pixels(generator):
    map = _map(generator, cells=((8.0, 8.0), (3.5, 3.5)), coarse=4, dim=32)
    uv = 20 + 30 * torch.rand(2, 6, 2, generator=generator, dtype=torch.float64)
    queries = sample_descriptors(map, uv)
    whole = hard_match(queries, map)
    fine = refine_subpixel(queries, map, whole.uv)
    assert (fine.score >= whole.score - 1e-6).all()
    torch.testing.assert_close(fine.uv, uv, atol=0.1, rtol=0)
    assert ((fine.uv - uv).norm(dim=-1).mean()) < (whole.uv - uv).norm(dim=-1).mean() / 5
    doubled = refine_subpixel(queries, map, 2 * uv + 0.5, size=(map.image_size[0] * 2, map.image_size[1] * 2))
    torch.testing.assert_close((doubled.uv - 0.5) / 2, uv, atol=0.1, rtol=0)


def test_queries_of_another_network_are_refused(generator):
    map = _map(generator)
    with pytest.raises(ModelError, match="dimensions"):
        hard_match(torch.zeros(2, 3, 4), map)


@METRICS
@pytest.mark.parametrize("size", [None, (17, 31)])
def test_what_is_known_of_pixels_before_there_is_a_query(generator, metric, size):
    """Norms and drops of the interpolated descriptors, by reading the descriptor of every pixel."""
    map = _map(generator, metric, cells=((4.0, 4.0), (0.5, 1.5)), dim=3, size=(6, 7))
    size = size or map.image_size
    quads = make_quads(with_border(map.values), map, size)
    descriptors, squares = (
        sample(values, cells_from_pixels(resize_pixels(pixels(size), size, map.image_size), map.cells))
        for values in (map.values, map.values.square().sum(1, keepdim=True))
    )
    norm = descriptors.square().sum(-1)
    expected = norm.rsqrt() if metric == "cosine" else norm
    drop = squares[..., 0] - norm
    columns = len(quads.right.used)
    for place in range(quads.scale.shape[1]):
        row, column = place // columns, place % columns
        if not quads.down.used[row] * quads.right.used[column]:
            continue
        own = (quads.down.index[row][:, None] * size[1] + quads.right.index[column]).flatten()
        torch.testing.assert_close(quads.scale[:, place], expected[:, own])
        if metric == "euclidean":
            torch.testing.assert_close(quads.high[:, row, column], drop[:, own].amax(-1).clamp(min=0))
        else:
            torch.testing.assert_close(quads.low[:, row, column], expected[:, own].amin(-1))
            torch.testing.assert_close(quads.high[:, row, column], expected[:, own].amax(-1))


def pixels(size):
    """uv of every pixel, for two images."""
    return pixel_grid(size, dtype=torch.float64).flatten(0, 1).expand(2, -1, -1)


def _patches(path):
    """9 x 9 grey patches every 4 pixels as descriptors of a real photograph: flat, smooth and busy."""
    with Image.open(path) as photo:
        grey = torch.from_numpy(np.asarray(photo.convert("L").resize((200, 160)), dtype=np.float64)) / 255
    values = F.unfold(grey[None, None], 9, padding=4, stride=4).unflatten(2, (40, 50))
    values = F.normalize(values - values.mean(1, keepdim=True), dim=1)
    return DescriptorMap(values, CellMap((4.0, 4.0), (0.0, 0.0)), (160, 200))


def test_real_photographs(realdata, generator):
    folder = realdata / "homography_graffiti"
    first, second = _patches(folder / "img1.png"), _patches(folder / "img2.png")
    cells = torch.rand(1, 40, 2, generator=generator, dtype=torch.float64)
    uv = ((cells * torch.tensor([49, 39])).round() * 4).double()
    queries = sample_descriptors(first, uv)
    torch.testing.assert_close(_check(queries, first).uv, uv)
    _check(queries, second)
    _check(queries, second, (320, 400))
