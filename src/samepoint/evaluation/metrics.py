"""Accuracy of predicted pixels, as pure functions of errors. Pixels are those of image B at full resolution.

PCK and AUC count Euclidean distances in pixels. The measure of the same name in the published code of the
mined-descriptor method compares the *directions* of coordinate vectors and is above 0.8 for random answers;
it is not offered here (docs/methods/evaluation.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

THRESHOLDS = (3, 5, 10, 25, 50)
"""The k of PCK@k in every evaluation, pixels."""

AUC_RANGES = ((1, 100), (1, 50))
"""The ranges of k over which PCK is averaged, both ends included."""

Scores = Mapping[str, Float[Tensor, " n"]]
"""One value a point for each measure whose mean over points is reported; NaN where it does not apply."""


def pixel_errors(uv: Float[Tensor, "n 2"], answers: Float[Tensor, "n a 2"]) -> Float[Tensor, " n"]:
    """Distance in pixels to the nearest right answer.

    `answers` are the truth and its alternatives (symmetry), padded with NaN. A prediction that is NaN ("no
    answer") has an infinite error. A point without any right answer has NaN.
    """
    distance = torch.linalg.vector_norm(uv[:, None] - answers, dim=-1)
    known = answers.isfinite().all(-1)
    nearest = torch.where(known & distance.isfinite(), distance, torch.inf).amin(-1)
    return torch.where(known.any(-1), nearest, torch.nan)


def pck(errors: Float[Tensor, " n"], k: float | int) -> Float[Tensor, ""]:
    """Fraction of points within k pixels of the truth (at exactly k counts). NaN if there are no points."""
    return (errors <= k).to(errors.dtype).mean()


def auc(errors: Float[Tensor, " n"], low: int, high: int) -> Float[Tensor, ""]:
    """Mean of PCK@k over the integers k = low..high, both included. NaN if there are no points."""
    return auc_values(errors, low, high).mean()


def auc_values(errors: Float[Tensor, " n"], low: int, high: int) -> Float[Tensor, " n"]:
    """Each point's share of the AUC: the fraction of the thresholds low..high that its error satisfies."""
    if not low <= high:
        raise ValueError(f"empty range of thresholds {low}..{high}")
    satisfied = high + 1 - errors.ceil().clamp(min=low)
    return satisfied.clamp(min=0) / (high - low + 1)


def lateral_errors(
    errors: Float[Tensor, " n"], depth_b: Float[Tensor, " n"], intrinsics_b: Float[Tensor, "3 3"]
) -> Float[Tensor, " n"]:
    """Error in metres on the plane through the true point, parallel to image B: pixels x depth / focal.

    `depth_b` is the true point's depth in camera B (metres). It is what remains if the depth were known
    exactly, and so a lower bound of the error in space; `point_errors` uses measured depth. The two focal
    lengths are averaged geometrically.
    """
    focal = (intrinsics_b[0, 0] * intrinsics_b[1, 1]).sqrt()
    return torch.where(depth_b > 0, errors * depth_b / focal, torch.nan)


def point_errors(
    uv: Float[Tensor, "n 2"],
    depth: Float[Tensor, " n"],
    uv_true: Float[Tensor, "n 2"],
    depth_true: Float[Tensor, " n"],
    intrinsics: Float[Tensor, "3 3"],
) -> Float[Tensor, " n"]:
    """Error in space, metres: the prediction lifted by `depth`, measured there, against the true point.

    NaN where either depth is unknown (0 or NaN).
    """

    def lift(pixels: Tensor, z: Tensor) -> Tensor:
        homogeneous = torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=-1)
        return z[:, None] * torch.linalg.solve(intrinsics, homogeneous.T).T

    distance = torch.linalg.vector_norm(lift(uv, depth) - lift(uv_true, depth_true), dim=-1)
    return torch.where((depth > 0) & (depth_true > 0), distance, torch.nan)


def point_scores(
    errors: Float[Tensor, " n"],
    diagonal: float,
    depth_b: Float[Tensor, " n"] | None = None,
    intrinsics_b: Float[Tensor, "3 3"] | None = None,
) -> dict[str, Float[Tensor, " n"]]:
    """All measures of the points of one pair. `diagonal` of image B in pixels, sqrt(h^2 + w^2).

    A point without a prediction (infinite error) misses at every threshold and counts with one diagonal in
    the mean errors.
    """
    scores = {f"pck {k}": (errors <= k).to(errors.dtype) for k in THRESHOLDS}
    for low, high in AUC_RANGES:
        scores[f"auc_{low}_{high}"] = auc_values(errors, low, high)
    bounded = torch.where(errors.isinf(), diagonal, errors)
    scores["mean_pixel_error"] = bounded
    scores["normalized_mean_pixel_error"] = bounded / diagonal
    if depth_b is not None and intrinsics_b is not None:
        scores["mean_lateral_error_m"] = lateral_errors(bounded, depth_b, intrinsics_b)
    return scores


def summary(scores: Scores) -> dict[str, object]:
    """Means over points in the form of the evaluation JSON: `pck` by threshold, then the other measures.

    None where there is no point to average. Adds `median_pixel_error` and `n_points`.
    """
    errors = scores["mean_pixel_error"]
    row = nested({name: finite_mean(values) for name, values in scores.items()})
    row["median_pixel_error"] = float(errors.quantile(0.5)) if len(errors) else None
    row["n_points"] = len(errors)
    return row


def nested(flat: Mapping[str, object]) -> dict[str, object]:
    """`{"pck 3": x, "auc_1_50": y}` as `{"pck": {"3": x}, "auc_1_50": y}`."""
    row: dict[str, object] = {"pck": {name[4:]: v for name, v in flat.items() if name.startswith("pck ")}}
    return row | {name: v for name, v in flat.items() if not name.startswith("pck ")}


def finite_mean(values: Float[Tensor, " n"]) -> float | None:
    """The mean of the values that are not NaN; None if there is none."""
    known = values[~values.isnan()]
    return float(known.double().mean()) if len(known) else None


def joined(parts: Sequence[Mapping[str, Float[Tensor, " _"]]]) -> dict[str, Float[Tensor, " n"]]:
    """The points of several pairs in one table; NaN where a pair lacks a measure."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    empty = dict.fromkeys((*(f"pck {k}" for k in THRESHOLDS), "mean_pixel_error"), torch.zeros(0))
    if not parts:
        return empty
    return {
        name: torch.cat(
            [part.get(name, torch.full_like(part["mean_pixel_error"], torch.nan)) for part in parts]
        )
        for name in names
    }
