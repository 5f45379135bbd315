"""Errors of 6-D object poses: rotation, translation, ADD (Hinterstoisser 2012) and ADD-S (Xiang 2018, PoseCNN)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from samepoint.data.recording import Symmetry
from samepoint.data.symmetries import symmetry_motions
from samepoint.errors import DataError
from samepoint.geometry.motions import check_rigid, compose, invert, rotation_angle, transform

TURNS = 72
"""Turns tried about an axis of symmetry: steps of 5 degrees, so up to 2.5 degrees of error are the steps'."""

MOST_VERTICES = 2000
"""ADD-S looks at no more vertices than this."""

AUC_LIMIT = 0.1
"""Metres at which the area under the accuracy curve ends."""

_WORK = 1 << 22  # distances worked on at a time


@dataclass(frozen=True)
class PoseErrors:
    """Errors of n pose estimates; NaN in all four where an estimate does not exist.

    `degrees` is the angle of the remaining rotation, `centimetres` the distance of the two object origins, `add` the
    mean distance in metres of the vertices from where they should be, `add_s` that of each true vertex to the
    closest estimated one.
    """

    degrees: Float[Tensor, " n"]
    centimetres: Float[Tensor, " n"]
    add: Float[Tensor, " n"]
    add_s: Float[Tensor, " n"]


def pose_errors(
    estimated: Float[Tensor, "n 4 4"],
    true: Float[Tensor, "n 4 4"],
    vertices: Float[Tensor, "v 3"],
    symmetry: Symmetry | None = None,
) -> PoseErrors:
    """Errors of `camera_from_object` (or the object's pose in any frame that both share; metres).

    `vertices` in the object's frame, metres; ADD-S takes every s-th of them, at most `MOST_VERTICES`, on both sides.
    An estimate with a value that is not finite does not exist. With a `symmetry` the true pose may be followed by any
    of its motions (turns about an axis in steps of 5 degrees); the one with the smallest ADD is taken, for rotation
    and translation too, so that no error is excused by two different ones. ADD-S needs no declared symmetry.

    DataError for poses that are not rigid, a true pose that is not finite, and vertices missing or not finite.
    """
    if len(vertices) == 0 or not torch.isfinite(vertices).all():
        raise DataError("the object has no vertices, or some that are not finite", mend="give its mesh")
    exists = estimated.isfinite().all(-1).all(-1)
    found = check_rigid(estimated[exists], "estimated poses").double()
    truth = check_rigid(true, "true poses")[exists].double()
    points = vertices.to(found)
    sparse = points[:: math.ceil(len(points) / MOST_VERTICES)]
    add_s = _closest_distance(compose(invert(truth), found), sparse)
    nearest, add = _nearest_equivalent(found, truth, points, symmetry)
    shift = torch.linalg.vector_norm(found[:, :3, 3] - nearest[:, :3, 3], dim=-1)
    angle = rotation_angle(compose(invert(nearest), found))
    columns = (angle.rad2deg(), 100 * shift, add, add_s)
    return PoseErrors(*(_spread(values.to(estimated.dtype), exists) for values in columns))


def summarise(errors: PoseErrors, diameters: Float[Tensor, " n"] | float) -> dict[str, float]:
    """Medians over the estimates that exist, and shares over all: an estimate that does not exist misses everywhere.

    `diameters` of the objects in metres (`geometry.meshes.diameter`), one a row or one of all. `within_*` count
    exactly the limit; `add_10_percent` and `add_s_10_percent` are the shares below a tenth of the row's diameter;
    `auc_*` is the area under the curve of the share of poses below a threshold, over thresholds of 0 to 10 cm,
    exactly: mean(max(0, 1 - error / 0.1)). `failed` is the share without an estimate. The medians are NaN if there is
    no estimate at all. DataError without rows, or without diameters.
    """
    if len(errors.add) == 0:
        raise DataError("there are no pose errors to summarise", mend="give at least one pose")
    across = torch.as_tensor(diameters, dtype=torch.float64, device=errors.add.device).expand_as(errors.add)
    wrong = across[~(across.isfinite() & (across > 0))]
    if len(wrong):
        raise DataError(f"an object's diameter is {float(wrong[0])}", mend="give metres above 0")
    degrees, centimetres = errors.degrees, errors.centimetres
    return {
        "median_degrees": float(degrees.nanquantile(0.5)),
        "median_centimetres": float(centimetres.nanquantile(0.5)),
        "within_5deg_5cm": _share((degrees <= 5) & (centimetres <= 5)),
        "within_10deg_10cm": _share((degrees <= 10) & (centimetres <= 10)),
        "within_5deg_2cm": _share((degrees <= 5) & (centimetres <= 2)),
        "add_10_percent": _share(errors.add < 0.1 * across),
        "add_s_10_percent": _share(errors.add_s < 0.1 * across),
        "auc_add": _area(errors.add),
        "auc_add_s": _area(errors.add_s),
        "failed": _share(errors.add.isnan()),
    }


def _nearest_equivalent(
    found: Float[Tensor, "m 4 4"],
    truth: Float[Tensor, "m 4 4"],
    points: Float[Tensor, "v 3"],
    symmetry: Symmetry | None,
) -> tuple[Float[Tensor, "m 4 4"], Float[Tensor, " m"]]:
    """The equivalent of each true pose with the smallest ADD, and that ADD in metres."""
    motions = symmetry_motions(symmetry or Symmetry(), TURNS).to(points)
    candidates = compose(truth[:, None], motions)
    step = max(1, _WORK // len(points))
    pairs = torch.broadcast_to(found[:, None], candidates.shape).flatten(0, 1), candidates.flatten(0, 1)
    means = [_mean_distance(a, b, points) for a, b in zip(*(p.split(step) for p in pairs))]
    add = torch.cat([points.new_zeros(0), *means]).unflatten(0, candidates.shape[:2])
    best: Int[Tensor, " m"] = add.argmin(-1)
    rows = torch.arange(len(found), device=best.device)
    return candidates[rows, best], add[rows, best]


def _mean_distance(
    a: Float[Tensor, "p 4 4"], b: Float[Tensor, "p 4 4"], points: Float[Tensor, "v 3"]
) -> Float[Tensor, " p"]:
    """The mean distance of points moved by a from the same points moved by b, metres."""
    return torch.linalg.vector_norm(transform(a - b, points[None]), dim=-1).mean(-1)


def _closest_distance(
    true_from_found: Float[Tensor, "m 4 4"], points: Float[Tensor, "v 3"]
) -> Float[Tensor, " m"]:
    """The mean distance of each point to the closest of the moved points, metres. In the true object's frame."""
    means = [points.new_zeros(0)]
    for part in true_from_found.split(max(1, _WORK // len(points) ** 2)):
        moved = transform(part, points[None])
        away = torch.cdist(points[None], moved, compute_mode="donot_use_mm_for_euclid_dist")
        means.append(away.amin(-1).mean(-1))
    return torch.cat(means)


def _spread(values: Float[Tensor, " m"], exists: Bool[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The values in the rows that exist, NaN in the others."""
    return values.new_full(exists.shape, torch.nan).masked_scatter_(exists, values)


def _share(hits: Bool[Tensor, " n"]) -> float:
    return float(hits.double().mean())


def _area(errors: Float[Tensor, " n"]) -> float:
    return float((1 - errors / AUC_LIMIT).clamp_min(0).nan_to_num(0.0).double().mean())
