"""Poses of a list with times, found for images of other times: the nearest entry, or between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsFloat

import numpy as np
import roma
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from samepoint.errors import DataError
from samepoint.geometry.motions import rigid

EXACT = 1e-3
"""Seconds between two times that count as one: lists are rounded."""


@dataclass(frozen=True)
class PoseTiming:
    """How an image gets its pose from a list of poses with times (tum, labelfusion).

    `interpolate_poses`: between the two entries around its time (position on the line, rotation by slerp) instead of
    the nearest entry, never over a gap of more than `max_pose_gap` seconds.
    """

    interpolate_poses: bool = False
    max_pose_gap: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.max_pose_gap < float("inf"):
            raise DataError(f"max_pose_gap is {self.max_pose_gap}", mend="give seconds, such as 0.2")


@dataclass(frozen=True)
class TimedPoses:
    """`world_from_camera` at `times` (seconds, ascending), of a file `where`."""

    times: Float64[np.ndarray, " m"]
    poses: Float[Tensor, "m 4 4"]
    where: Path


def poses_at(
    times: Sequence[float | None], known: TimedPoses, within: float, timing: PoseTiming
) -> tuple[list[Float[Tensor, "4 4"] | None], list[str]]:
    """A pose for each time, None where there is none, and notes: how many have none, how far away the others are.

    The nearest entry counts if it is `within` so many seconds. An image without a time has no pose.
    """
    wanted = np.array([np.nan if time is None else time for time in times], np.float64)
    if timing.interpolate_poses:
        return _between(wanted, known, timing.max_pose_gap)
    found = nearest(wanted, known.times, within)
    away = np.abs(known.times[found] - wanted)[found >= 0]
    poses = [known.poses[i] if i >= 0 else None for i in found.tolist()]
    note = distance_note(known.where.name, "pose", found, away, within)
    more = "; --interpolate-poses takes poses between two entries"
    return poses, [note + more] if note else []


def nearest(
    times: Float64[np.ndarray, " n"], of: Float64[np.ndarray, " m"], within: float
) -> Int64[np.ndarray, " n"]:
    """The entry `of` the other list that is nearest to each time; -1 where none is `within`. `of` ascends."""
    right = np.searchsorted(of, times).clip(1, len(of) - 1) if len(of) > 1 else np.zeros(len(times), np.int64)
    left = np.maximum(right - 1, 0)
    found = np.where(np.abs(of[left] - times) <= np.abs(of[right] - times), left, right)
    return np.where(np.abs(of[found] - times) <= within, found, -1)


def distance_note(
    name: str, kind: str, found: Int64[np.ndarray, " n"], away: Float64[np.ndarray, " k"], within: float
) -> str:
    """How many images have no entry of a list (-1 in `found`), and how far in time the others' are; empty if all have
    one of their own time."""
    lacking = int((found < 0).sum())
    far = len(away) > 0 and float(away.max()) > EXACT
    if not lacking and not far:
        return ""
    parts = []
    if lacking:
        parts.append(f"{lacking} of {len(found)} images have no {kind} (none within {within:g} s)")
    if far:
        taken = f"the {kind} taken for {'the others' if lacking else 'an image'}"
        parts.append(
            f"{taken} is {_milli(np.median(away))} away in time (median; at most {_milli(away.max())})"
        )
    return f"{name}: {', '.join(parts)}"


def _between(
    times: Float64[np.ndarray, " n"], known: TimedPoses, limit: float
) -> tuple[list[Float[Tensor, "4 4"] | None], list[str]]:
    stamps = known.times
    after = np.searchsorted(stamps, times).clip(0, len(stamps) - 1)
    before = np.where(stamps[after] <= times, after, (after - 1).clip(0))
    at = nearest(times, stamps, EXACT)
    exact = at >= 0
    before, after = np.where(exact, at, before), np.where(exact, at, after)
    gap = stamps[after] - stamps[before]
    inside = (stamps[before] <= times) & (times <= stamps[after])
    fits = exact | (inside & (gap <= limit + EXACT))
    share = np.where(gap > 0, (times - stamps[before]) / np.where(gap > 0, gap, 1.0), 0.0)
    poses = _interpolated(known.poses[before], known.poses[after], torch.from_numpy(np.nan_to_num(share)))
    outside = ~exact & ~inside
    lacking = [
        f"{number} {why}"
        for number, why in (
            (int(outside.sum()), "before the first or after the last pose"),
            (int((~fits & ~outside).sum()), f"in a gap of more than {limit:g} s"),
        )
        if number
    ]
    gaps = gap[fits & ~exact]
    notes = []
    if len(gaps):
        notes.append(
            f"{len(gaps)} of {len(times)} images have a pose between two entries, {_milli(np.median(gaps))} apart "
            f"(median; at most {_milli(gaps.max())})"
        )
    if lacking:
        notes.append(f"{int((~fits).sum())} of {len(times)} images have no pose: {', '.join(lacking)}")
    return [pose if fit else None for pose, fit in zip(poses, fits.tolist(), strict=True)], [
        f"{known.where.name}: {note}" for note in notes
    ]


def _interpolated(
    first: Float[Tensor, "n 4 4"], second: Float[Tensor, "n 4 4"], share: Float[Tensor, " n"]
) -> list[Float[Tensor, "4 4"]]:
    """Positions on the line, rotations by slerp."""
    a, b, share = first.double(), second.double(), share.double()[:, None]
    turn: Tensor = roma.rotmat_to_rotvec(a[:, :3, :3].transpose(1, 2) @ b[:, :3, :3])  # type: ignore[assignment]
    part: Tensor = roma.rotvec_to_rotmat(share * turn)  # type: ignore[assignment]
    place = a[:, :3, 3] + share * (b[:, :3, 3] - a[:, :3, 3])
    return list(rigid(a[:, :3, :3] @ part, place).float().unbind(0))


def _milli(seconds: SupportsFloat) -> str:
    return f"{1000 * float(seconds):.3g} ms"
