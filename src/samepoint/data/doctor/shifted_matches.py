"""Whether matches of colour between views fit better if colour is shifted against depth.

The matches know nothing of edges: where a point of A lies in B follows from its depth and the poses. A shift that is
wrong makes nearly every match worse, one that is right nearly every match better.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.depth import depth_at
from samepoint.data.doctor.agreement import lifted
from samepoint.data.doctor.evidence import Case
from samepoint.data.doctor.readings import Reading
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import transform

ENOUGH = 30
"""Matches below which nothing is said."""
MOST = 0.8
"""Share of the matches that must fit better, or worse."""
FITTING = 0.02
"""Share of the width within which the median match must lie for its word to count."""
DIFFERENT = 0.0008
"""Share of the width by which errors differ (a quarter of a pixel of 320)."""


@dataclass(frozen=True)
class MatchesSay:
    """Of `number` matches: which shares fit `better` and `worse` with the shift; the medians of their errors, as
    shares of the width, `before` (unshifted) and `after`."""

    number: int
    better: float
    worse: float
    before: float
    after: float

    @property
    def agree(self) -> bool:
        """The shift is right."""
        return self.number >= ENOUGH and self.better >= MOST and self.after < min(FITTING, 0.75 * self.before)

    @property
    def leans(self) -> bool:
        """More of the matches are for the shift than against it, and the median match fits better."""
        return self.number >= ENOUGH and self.better > self.worse and self.after < min(FITTING, self.before)

    @property
    def against(self) -> bool:
        """The shift is wrong."""
        return self.number >= ENOUGH and self.worse >= MOST and self.before < min(FITTING, 0.75 * self.after)

    def __str__(self) -> str:
        return f"{self.better:.0%} of {self.number} better and {self.worse:.0%} worse with the shift"


def matches_say(case: Case, reading: Reading, shift: tuple[float, float]) -> MatchesSay | None:
    """What the matches say of colour that lies `shift` (u, v) from depth, shares of the width; None without any."""
    matches = case.matches
    if case.geometry is None or matches is None or matches.depth_a is None:
        return None
    moved = torch.tensor(shift) * matches.width
    unshifted = _errors(case, reading, torch.zeros(2), False)
    said = []
    for with_camera in (True, False):  # the camera matrix may be that of depth, or of colour
        shifted = _errors(case, reading, moved, with_camera)
        both = ~(unshifted.isnan() | shifted.isnan())
        before, after = (errors[both] / matches.width for errors in (unshifted, shifted))
        if len(before):
            shares = [float((gain > DIFFERENT).float().mean()) for gain in (before - after, after - before)]
            said.append(
                MatchesSay(len(before), shares[0], shares[1], float(before.median()), float(after.median()))
            )
    return max(said, key=lambda one: one.better - one.worse, default=None)


def _errors(
    case: Case, reading: Reading, moved: Float[Tensor, " 2"], with_camera: bool
) -> Float[Tensor, "p m"]:
    """Pixels between each match in B and where depth `moved` pixels away says it is; NaN where that is unknown."""
    geometry, matches = case.geometry, case.matches
    assert geometry is not None
    assert matches is not None
    depth = []
    for (a, _), uv in zip(case.pairs, matches.uv_a, strict=True):
        image = case.shots[a].depth
        assert image is not None
        read = depth_at(image, torch.nan_to_num(uv - moved), radius=1)
        depth.append(torch.where(uv[:, 0].isnan(), torch.nan, read))
    seen = matches.uv_a - moved if with_camera else matches.uv_a
    xyz = lifted(reading.camera(geometry.camera_a), seen, torch.stack(depth), reading)
    uv, z = project(reading.camera(geometry.camera_b), transform(geometry.b_from_a(reading), xyz))
    error = ((uv + moved if with_camera else uv) - matches.uv_b).norm(dim=-1)
    return torch.where(z <= 0, torch.full_like(error, torch.inf), error)
