"""How well a confidence tells points that are visible in image B from points that are not."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def auroc(confidence: Float[Tensor, " n"], visible: Bool[Tensor, " n"]) -> Float[Tensor, ""]:
    """Probability that a visible point has more confidence than a hidden one (ties count half).

    NaN unless there are points of both kinds. From ranks (Mann and Whitney 1947), not from a curve.
    """
    _, group, size = confidence.unique(sorted=True, return_inverse=True, return_counts=True)
    last = size.cumsum(0).to(torch.float64)
    rank = (last - (size - 1) / 2)[group]
    positive, negative = visible.sum(), (~visible).sum()
    wins = rank[visible].sum() - positive * (positive + 1) / 2
    return wins / (positive * negative)


def average_precision(confidence: Float[Tensor, " n"], visible: Bool[Tensor, " n"]) -> Float[Tensor, ""]:
    """Area under the precision-recall curve of "visible": sum over thresholds of precision x gain in recall.

    Equal confidences share one threshold. NaN if nothing is visible. Without skill it is the fraction that is
    visible: read it beside that.
    """
    values, group = (-confidence).unique(sorted=True, return_inverse=True)
    hits = torch.zeros(len(values), dtype=torch.float64, device=confidence.device)
    hits.index_add_(0, group, visible.double())
    size = torch.zeros_like(hits).index_add_(0, group, torch.ones_like(visible, dtype=torch.float64))
    precision = hits.cumsum(0) / size.cumsum(0)
    return (precision * hits).sum() / hits.sum()


def accuracy(
    confidence: Float[Tensor, " n"], visible: Bool[Tensor, " n"], threshold: float
) -> Float[Tensor, ""]:
    """Fraction of points for which "confidence >= threshold" says rightly whether they are visible."""
    return ((confidence >= threshold) == visible).double().mean()


def visibility_scores(
    confidence: Float[Tensor, " n"], visible: Bool[Tensor, " n"], threshold: float | None = None
) -> dict[str, float | int | None]:
    """The `visibility` part of an evaluation. Scores are None where one kind of point is missing."""
    both = bool(visible.any()) and not bool(visible.all())
    row: dict[str, float | int | None] = {
        "n_visible": int(visible.sum()),
        "n_hidden": int((~visible).sum()),
        "auroc": float(auroc(confidence, visible)) if both else None,
        "average_precision": float(average_precision(confidence, visible)) if both else None,
        "threshold": threshold,
        "accuracy": None,
    }
    if threshold is not None and len(visible):
        row["accuracy"] = float(accuracy(confidence, visible, threshold))
    return row
