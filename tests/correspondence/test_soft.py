import pytest
import torch
import torch.nn.functional as F

from samepoint.correspondence.partition import log_partition_reference
from samepoint.correspondence.soft import soft_match, soft_match_logits, soft_match_reference
from samepoint.errors import ModelError
from samepoint.types import CellMap, DescriptorMap

CELLS = CellMap((8.0, 4.0), (3.5, 0.0))
METRICS = pytest.mark.parametrize("metric", ["cosine", "euclidean"])


def _random(generator, metric="cosine", batch=2, n=7, dim=5, size=(6, 9), dtype=torch.float64):
    queries = torch.randn(batch, n, dim, generator=generator, dtype=torch.float64)
    values = torch.randn(batch, dim, *size, generator=generator, dtype=torch.float64)
    if metric == "cosine":
        queries, values = F.normalize(queries, dim=-1), F.normalize(values, dim=1)
    return queries.to(dtype), DescriptorMap(values.to(dtype), CELLS, (size[0] * 4, size[1] * 8), metric)


def _with(map, values):
    return DescriptorMap(values, map.cells, map.image_size, map.metric)


def _by_hand(queries, map, temperature, payload):
    """The definition, cell by cell."""
    batch, n, _ = queries.shape
    out = {"mean": torch.zeros(batch, n, 2), "variance": torch.zeros(batch, n, 2)}
    out["payload"] = torch.zeros(batch, n, payload.shape[1])
    for b in range(batch):
        for k in range(n):
            cells = []
            for row in range(map.values.shape[2]):
                for column in range(map.values.shape[3]):
                    d = map.values[b, :, row, column]
                    q = queries[b, k]
                    score = q @ d if map.metric == "cosine" else -((q - d) ** 2).sum()
                    uv = torch.tensor([8.0 * column + 3.5, 4.0 * row], dtype=torch.float64)
                    cells.append((torch.exp(score / temperature), uv, payload[b, :, row, column]))
            total = sum(w for w, _, _ in cells)
            mean = sum(w * uv for w, uv, _ in cells) / total
            out["mean"][b, k] = mean
            out["variance"][b, k] = sum(w * (uv - mean) ** 2 for w, uv, _ in cells) / total
            out["payload"][b, k] = sum(w * p for w, _, p in cells) / total
    return out


@METRICS
def test_twin_equals_the_definition(generator, metric):
    queries, map = _random(generator, metric, n=3, size=(3, 4))
    payload = torch.randn(2, 2, 3, 4, generator=generator, dtype=torch.float64)
    twin = soft_match_reference(queries, map, 0.3, payload)
    for name, value in _by_hand(queries, map, 0.3, payload).items():
        torch.testing.assert_close(getattr(twin, name).float(), value)


@METRICS
@pytest.mark.parametrize("payload", [None, "descriptor", "depth"])
def test_values_and_gradients_equal_the_twin(generator, metric, payload):
    queries, map = _random(generator, metric)
    inputs = [queries.requires_grad_(), map.values.requires_grad_()]
    if payload == "depth":
        payload = torch.rand(2, 1, 6, 9, generator=generator, dtype=torch.float64).requires_grad_()
        inputs.append(payload)
    fast = soft_match(queries, map, 0.1, payload=payload, with_log_partition=True, with_mode=True)
    slow = soft_match_reference(queries, map, 0.1, payload)
    names = ["mean", "variance", "mode", "log_partition"] + ([] if payload is None else ["payload"])
    for name in names:
        torch.testing.assert_close(getattr(fast, name), getattr(slow, name), rtol=1e-6, atol=1e-6)
    names.remove("mode")
    for name in names:
        weight = torch.randn(getattr(fast, name).shape, generator=generator, dtype=torch.float64)
        for a, b in zip(
            torch.autograd.grad(
                (getattr(fast, name) * weight).sum(), inputs, allow_unused=True, retain_graph=True
            ),
            torch.autograd.grad(
                (getattr(slow, name) * weight).sum(), inputs, allow_unused=True, retain_graph=True
            ),
            strict=True,
        ):
            assert (a is None) == (b is None) or not (b if a is None else a).any()
            if a is not None and b is not None:
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_gradient_of_a_learned_temperature(generator):
    queries, map = _random(generator)
    temperature = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    fast = torch.autograd.grad(soft_match(queries, map, temperature).mean.sum(), temperature)
    slow = torch.autograd.grad(soft_match_reference(queries, map, temperature).mean.sum(), temperature)
    torch.testing.assert_close(fast, slow)


@METRICS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_against_double(generator, metric, dtype):
    """On equal (rounded) inputs, also under autocast, half precision costs only what single does."""
    queries, map = _random(generator, metric, dim=32, size=(60, 80), dtype=dtype)
    queries[:, 0] = map.values[:, :, 57, 3]  # a sharp peak far from the centre: hard for the variance
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = soft_match(queries, map, 0.05, payload="descriptor", with_log_partition=True)
    exact = soft_match_reference(queries.double(), _with(map, map.values.double()), 0.05, "descriptor")
    assert found.mean.dtype == torch.float32
    assert (found.variance >= 0).all()
    torch.testing.assert_close(found.mean.double(), exact.mean, atol=5e-3, rtol=1e-5)
    torch.testing.assert_close(found.variance.double(), exact.variance, atol=0.1, rtol=1e-4)
    torch.testing.assert_close(found.payload.double(), exact.payload, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.log_partition.double(), exact.log_partition, atol=5e-4, rtol=1e-5)


def test_the_naive_half_precision_variance_would_fail_that_test(generator):
    """Shows that the test above can fail: E[x^2] - E[x]^2 in bfloat16 is off by many px^2."""
    queries, map = _random(generator, dim=32, size=(60, 80), dtype=torch.float32)
    p = F.softmax(queries @ map.values.flatten(2) / 0.05, -1).bfloat16()
    u = (8.0 * torch.arange(4800).remainder(80) + 3.5).bfloat16()
    naive = (p @ u.square()) - (p @ u).square()
    exact = soft_match_reference(queries.double(), _with(map, map.values.double()), 0.05)
    assert (naive - exact.variance[..., 0]).abs().max() > 10


def test_convention_a_peak_on_a_cell_is_found_at_its_centre(generator):
    _, map = _random(generator, dim=16)
    found = soft_match(map.values[:, None, :, 4, 7], map, 0.005, with_mode=True)
    expected = torch.tensor([8.0 * 7 + 3.5, 4.0 * 4], dtype=torch.float64).expand(2, 1, 2)
    torch.testing.assert_close(found.mean, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.mode, expected)
    assert found.variance.max() < 1e-6


def test_flat_scores_give_the_uniform_distribution(generator):
    queries, map = _random(generator)
    flat = _with(map, torch.ones_like(map.values))
    found = soft_match(queries, flat, 0.1, with_log_partition=True)
    torch.testing.assert_close(found.mean, torch.tensor([8.0 * 4 + 3.5, 4.0 * 2.5]).double().expand(2, 7, 2))
    torch.testing.assert_close(
        found.variance, torch.tensor([64 * 80 / 12, 16 * 35 / 12]).double().expand(2, 7, 2)
    )


@METRICS
def test_logits_hold_the_same_algebra(generator, metric):
    _, map = _random(generator, metric)
    twin = soft_match_logits(torch.log_softmax(torch.zeros(2, 3, 6, 9), -1) + 5, map.cells)
    torch.testing.assert_close(twin.mean, torch.tensor([35.5, 10.0]).expand(2, 3, 2))
    logits = torch.randn(2, 3, 6, 9, generator=generator)
    moved = soft_match_logits(logits + 100, map.cells)
    torch.testing.assert_close(moved.mean, soft_match_logits(logits, map.cells).mean, rtol=1e-4, atol=1e-4)
    half = soft_match_logits(logits.bfloat16(), map.cells)
    assert half.mean.dtype == torch.float32
    torch.testing.assert_close(half.mean, soft_match_logits(logits.bfloat16().float(), map.cells).mean)
    assert soft_match_logits(logits[:, :0], map.cells, torch.rand(2, 3, 6, 9)).payload.shape == (2, 0, 3)


def test_logits_gradcheck(generator):
    logits = torch.randn(1, 2, 3, 4, generator=generator, dtype=torch.float64).requires_grad_()
    payload = torch.randn(1, 2, 3, 4, generator=generator, dtype=torch.float64).requires_grad_()

    def call(logits, payload):
        found = soft_match_logits(logits, CELLS, payload)
        return found.mean, found.variance, found.log_partition, found.payload

    torch.autograd.gradcheck(call, (logits, payload))


@METRICS
def test_empty_single_cell_permutation_and_strides(generator, metric):
    queries, map = _random(generator, metric)
    empty = soft_match(
        queries[:, :0], map, 0.1, payload="descriptor", with_log_partition=True, with_mode=True
    )
    assert empty.mean.shape == empty.variance.shape == empty.mode.shape == (2, 0, 2)
    assert empty.payload.shape == (2, 0, 5)
    one = soft_match(queries, _with(map, map.values[:, :, :1, :1]), 0.1, payload="descriptor")
    torch.testing.assert_close(one.mean, torch.tensor([3.5, 0.0]).double().expand(2, 7, 2))
    assert not one.variance.any()
    torch.testing.assert_close(one.payload, map.values[:, None, :, 0, 0].expand(-1, 7, -1))
    order = torch.randperm(7, generator=generator)
    torch.testing.assert_close(
        soft_match(queries[:, order], map, 0.1).mean, soft_match(queries, map, 0.1).mean[:, order]
    )
    strided = _with(map, map.values.transpose(2, 3).contiguous().transpose(2, 3))
    columns = queries.transpose(1, 2).contiguous().transpose(1, 2)
    torch.testing.assert_close(soft_match(columns, strided, 0.1).mean, soft_match(queries, map, 0.1).mean)


def test_log_partition_is_that_of_the_partition(generator):
    queries, map = _random(generator, "euclidean")
    found = soft_match(queries, map, 0.1, with_log_partition=True).log_partition
    torch.testing.assert_close(found, log_partition_reference(queries, map, 0.1))


def test_bad_input_is_refused(generator):
    queries, map = _random(generator)
    with pytest.raises(ModelError, match="4 dimensions"):
        soft_match(queries[..., :4], map, 0.1)
    with pytest.raises(ValueError, match="payload"):
        soft_match(queries, map, 0.1, payload=torch.zeros(2, 1, 3, 3))


@METRICS
def test_keeps_no_tensor_of_queries_times_cells(generator, metric):
    """The fused kernel is taken: what autograd saves is far less than one tensor of queries x cells."""
    queries, map = _random(generator, metric, n=900, size=(30, 40), dtype=torch.float32)
    queries.requires_grad_()
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        soft_match(queries, map, 0.1, payload="descriptor")
    assert sizes
    assert max(sizes) < 2 * 900 * 1200 / 10
