"""The log-partition of soft matching, log sum over cells of exp(score / temperature).

Attention kernels do not return it. Here it is computed block by block and the backward pass computes the
blocks again, so that no tensor of queries x cells is kept. With p = softmax(score / temperature),
d log Z / d q = (1 / temperature) * sum_u p(u) d score / d q: for the cosine the expected descriptor over the
temperature.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from samepoint.correspondence.affinity import (
    affinity,
    augmented_keys,
    augmented_queries,
    flat_cells,
    full_precision,
    metric_centre,
    query_blocks,
    working_dtype,
)
from samepoint.errors import ModelError
from samepoint.types import DescriptorMap


def log_partition(
    queries: Float[Tensor, "b n d"],
    map: DescriptorMap,
    temperature: float | Float[Tensor, ""],
    *,
    chunk: int | None = None,
    extra: Float[Tensor, "m e"] | None = None,
) -> Float[Tensor, "b n"]:
    """log sum over the cells of `map` (and the descriptors `extra`) of exp(score / temperature).

    score = q . D for cosine (q is taken as it is) and -||q - D||^2 for Euclidean. `extra` descriptors join
    the sum for the queries of every image of the batch: other images as negatives. `chunk`: queries at a
    time, None chooses. Single precision or more, whatever the input; once differentiable in all tensors.
    """
    with full_precision(queries.device):
        terms = affinity(queries, map, temperature)
        log_z = log_sum_exp_dot(terms.queries, terms.keys, chunk) + terms.bias
        if extra is None or extra.shape[0] == 0:
            return log_z
        return torch.logaddexp(log_z, _extra_partition(queries, map, extra, temperature, chunk))


def _extra_partition(
    queries: Float[Tensor, "b n d"],
    map: DescriptorMap,
    extra: Float[Tensor, "m e"],
    temperature: float | Float[Tensor, ""],
    chunk: int | None,
) -> Float[Tensor, "b n"]:
    """The log-partition over `extra` alone, which all images share: one image with b * n queries."""
    if extra.shape[1] != queries.shape[2]:
        raise ModelError(f"extra descriptors have {extra.shape[1]} dimensions, queries {queries.shape[2]}")
    dtype = working_dtype(queries, map.values, extra)
    centre = metric_centre(flat_cells(map).to(dtype), map.metric)
    augmented, bias = augmented_queries(queries.to(dtype), map.metric, centre)
    keys = augmented_keys(extra.to(dtype), map.metric, centre)
    log_z = log_sum_exp_dot((augmented / temperature).flatten(0, 1)[None], keys[None], chunk)
    return log_z.view(queries.shape[:2]) + bias / temperature


def log_sum_exp_dot(
    queries: Float[Tensor, "b n e"], keys: Float[Tensor, "b m e"], chunk: int | None = None
) -> Float[Tensor, "b n"]:
    """log sum_m exp(queries[n] . keys[m]) without a tensor of n x m. Half precision is widened first."""
    dtype = working_dtype(queries, keys)
    return _LogSumExpDot.apply(queries.to(dtype), keys.to(dtype), chunk)  # type: ignore[no-any-return]


def log_partition_reference(
    queries: Float[Tensor, "b n d"],
    map: DescriptorMap,
    temperature: float | Float[Tensor, ""],
    extra: Float[Tensor, "m e"] | None = None,
) -> Float[Tensor, "b n"]:
    """The plain twin of `log_partition`: every score at once, then logsumexp."""
    keys = flat_cells(map)
    if extra is not None:
        keys = torch.cat((keys, extra.expand(len(keys), -1, -1)), dim=1)
    if map.metric == "cosine":
        scores = torch.einsum("bnd,bmd->bnm", queries, keys)
    else:
        scores = -(queries[:, :, None] - keys[:, None]).square().sum(-1)
    return (scores / temperature).logsumexp(-1)


class _LogSumExpDot(torch.autograd.Function):
    @staticmethod
    def forward(ctx, queries, keys, chunk):  # type: ignore[no-untyped-def, override]
        log_z = queries.new_empty(queries.shape[:2])
        for images, rows in query_blocks(len(queries), queries.shape[1], keys.shape[1], chunk):
            block = queries[images, rows] @ keys[images].transpose(1, 2)
            log_z[images, rows] = block.logsumexp(-1)
        ctx.save_for_backward(queries, keys, log_z)
        ctx.chunk = chunk
        return log_z

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):  # type: ignore[no-untyped-def, override]
        queries, keys, log_z = ctx.saved_tensors
        grad_queries = torch.empty_like(queries) if ctx.needs_input_grad[0] else None
        grad_keys = torch.zeros_like(keys) if ctx.needs_input_grad[1] else None
        with full_precision(queries.device):
            for images, rows in query_blocks(len(queries), queries.shape[1], keys.shape[1], ctx.chunk):
                q, k = queries[images, rows], keys[images]
                weights = (q @ k.transpose(1, 2)).sub_(log_z[images, rows, None]).exp_()
                weights.mul_(grad[images, rows, None])
                if grad_queries is not None:
                    grad_queries[images, rows] = weights @ k
                if grad_keys is not None:
                    grad_keys[images].baddbmm_(weights.transpose(1, 2), q)
        return grad_queries, grad_keys, None
