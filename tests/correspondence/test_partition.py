import pytest
import torch
import torch.nn.functional as F

from samepoint.correspondence.partition import log_partition, log_partition_reference
from samepoint.correspondence.scores import cell_scores
from samepoint.errors import ModelError
from samepoint.types import CellMap, DescriptorMap

CELLS = CellMap((4.0, 4.0), (1.5, 1.5))


def _random(generator, metric, batch=2, n=7, dim=5, size=(4, 6), dtype=torch.float64):
    queries = torch.randn(batch, n, dim, generator=generator, dtype=torch.float64)
    values = torch.randn(batch, dim, *size, generator=generator, dtype=torch.float64)
    if metric == "cosine":
        queries, values = F.normalize(queries, dim=-1), F.normalize(values, dim=1)
    image = (size[0] * 4, size[1] * 4)
    return queries.to(dtype), DescriptorMap(values.to(dtype), CELLS, image, metric)


def _with(map, values):
    return DescriptorMap(values, map.cells, map.image_size, map.metric)


METRICS = pytest.mark.parametrize("metric", ["cosine", "euclidean"])


@METRICS
@pytest.mark.parametrize("chunk", [None, 1, 3, 100])
@pytest.mark.parametrize("with_extra", [False, True])
def test_values_and_gradients_equal_the_twin(generator, metric, chunk, with_extra):
    queries, map = _random(generator, metric)
    extra = torch.randn(9, 5, generator=generator, dtype=torch.float64) if with_extra else None
    weights = torch.randn(2, 7, generator=generator, dtype=torch.float64)
    temperature = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    inputs = [queries.requires_grad_(), map.values.requires_grad_(), temperature]
    inputs += [extra.requires_grad_()] if extra is not None else []
    fast = log_partition(queries, map, temperature, chunk=chunk, extra=extra)
    slow = log_partition_reference(queries, map, temperature, extra)
    torch.testing.assert_close(fast, slow)
    for a, b in zip(
        torch.autograd.grad((fast * weights).sum(), inputs),
        torch.autograd.grad((slow * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@METRICS
def test_gradcheck(generator, metric):
    queries, map = _random(generator, metric, n=3, dim=3, size=(2, 3))
    extra = torch.randn(2, 3, generator=generator, dtype=torch.float64)

    def call(queries, values, extra):
        return log_partition(queries, _with(map, values), 0.3, chunk=2, extra=extra)

    torch.autograd.gradcheck(
        call, (queries.requires_grad_(), map.values.requires_grad_(), extra.requires_grad_())
    )


def test_gradient_is_the_expected_descriptor_over_temperature(generator):
    queries, map = _random(generator, "cosine")
    queries.requires_grad_()
    (grad,) = torch.autograd.grad(log_partition(queries, map, 0.1).sum(), queries)
    p = (cell_scores(queries.detach(), map) / 0.1).flatten(2).softmax(-1)
    torch.testing.assert_close(grad, p @ map.values.flatten(2).transpose(1, 2) / 0.1)


def test_only_one_side_needs_a_gradient(generator):
    queries, map = _random(generator, "cosine")
    log_partition(queries, map, 0.1).sum()
    log_partition(queries.requires_grad_(), map, 0.1).sum().backward()
    assert queries.grad is not None
    log_partition(queries.detach(), _with(map, map.values.requires_grad_()), 0.1).sum().backward()
    assert map.values.grad is not None


@METRICS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_accumulates_in_single(generator, metric, dtype):
    """Against float64 on the same rounded numbers: the error is that of single precision."""
    queries, map = _random(generator, metric, size=(30, 40), dim=64, dtype=dtype)
    exact = log_partition_reference(queries.double(), _with(map, map.values.double()), 0.03)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = log_partition(queries.requires_grad_(), _with(map, map.values.requires_grad_()), 0.03)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact.detach(), rtol=1e-5, atol=1e-4)
    found.sum().backward()
    assert queries.grad is not None
    assert queries.grad.dtype == dtype
    assert queries.grad.isfinite().all()


def test_far_euclidean_descriptors_do_not_cancel(generator):
    queries, map = _random(generator, "euclidean", dim=3)
    far = log_partition((queries + 300).float(), _with(map, (map.values + 300).float()), 0.5)
    near = log_partition_reference(
        (queries + 300).float().double(), _with(map, (map.values + 300).float().double()), 0.5
    )
    torch.testing.assert_close(far.double(), near, rtol=1e-5, atol=1e-4)


def test_no_overflow_at_low_temperature(generator):
    queries, map = _random(generator, "cosine", dtype=torch.float32)
    found = log_partition(queries, map, 1e-3)
    assert found.isfinite().all()
    torch.testing.assert_close(found * 1e-3, cell_scores(queries, map).flatten(2).amax(-1), atol=2e-3, rtol=0)


@METRICS
def test_empty_single_cell_and_permutation(generator, metric):
    queries, map = _random(generator, metric)
    empty = log_partition(queries[:, :0].requires_grad_(), map, 0.1, extra=map.values[0].flatten(1).T)
    assert empty.shape == (2, 0)
    empty.sum().backward()
    order = torch.randperm(7, generator=generator)
    torch.testing.assert_close(
        log_partition(queries[:, order], map, 0.1), log_partition(queries, map, 0.1)[:, order]
    )
    torch.testing.assert_close(
        log_partition(queries.flip(0), _with(map, map.values.flip(0)), 0.1),
        log_partition(queries, map, 0.1).flip(0),
    )
    torch.testing.assert_close(
        log_partition(queries, map, 0.1, extra=torch.zeros(0, 5, dtype=torch.float64)),
        log_partition(queries, map, 0.1),
    )
    one = _with(map, map.values[:, :, :1, :1])
    torch.testing.assert_close(log_partition(queries, one, 0.1), cell_scores(queries, one)[:, :, 0, 0] / 0.1)


def test_bad_input_is_refused(generator):
    queries, map = _random(generator, "cosine")
    with pytest.raises(ModelError, match="3 dimensions"):
        log_partition(queries[..., :3], map, 0.1)
    with pytest.raises(ModelError, match="extra"):
        log_partition(queries, map, 0.1, extra=torch.zeros(1, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match="temperature"):
        log_partition(queries, map, 0.0)
    with pytest.raises(ValueError, match="chunk"):
        log_partition(queries, map, 0.1, chunk=0)
    with pytest.raises(ValueError, match="images"):
        log_partition(queries[:1], map, 0.1)


def test_keeps_no_tensor_of_queries_times_cells(generator):
    """What autograd saves is of the order of the inputs."""
    queries, map = _random(generator, "cosine", n=300, size=(30, 40), dtype=torch.float32)
    queries.requires_grad_()
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        log_partition(queries, map, 0.1)
    assert sizes
    assert sum(sizes) < 300 * 1200
