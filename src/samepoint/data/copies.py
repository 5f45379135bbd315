"""Further right answers of matches on objects with a declared symmetry: their visible symmetric copies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.copies import visible_copies
from samepoint.correspondence.depth import depth_at
from samepoint.correspondence.outcomes import OcclusionTest
from samepoint.data.recording import Dataset, Placement, Symmetry
from samepoint.data.store import Frame
from samepoint.data.symmetries import TURNS, symmetry_motions, turns_for
from samepoint.geometry.cameras import focal_length, unproject
from samepoint.geometry.motions import invert, transform
from samepoint.types import Correspondences, Outcome

SPACING = 8.0
"""Pixels of the stored images. Twice the sigma of the distributional targets, whose mixture is then nearly even."""


@dataclass(frozen=True)
class Shown:
    """An object in a frame: the placement of that index."""

    frame: Frame
    index: int

    @property
    def placement(self) -> Placement:
        return self.frame.view.placements[self.index]

    @property
    def mask(self) -> Bool[Tensor, "h w"] | None:
        return None if self.frame.labels is None else self.frame.labels == self.index + 1

    def points(self, uv: Float[Tensor, "n 2"], z: Float[Tensor, " n"]) -> Float[Tensor, "n 3"]:
        """What pixels show at depth z (metres), in the object's frame; NaN where z is."""
        assert self.frame.intrinsics is not None
        assert self.placement.camera_from_object is not None
        return transform(invert(self.placement.camera_from_object), unproject(self.frame.intrinsics, uv, z))


@dataclass(frozen=True)
class Completed:
    """Correspondences of one object and the other right answers beside uv_a and uv_b, NaN where there are fewer."""

    found: Correspondences
    alternatives_a: Float[Tensor, "n k 2"]
    alternatives_b: Float[Tensor, "n m 2"]


class SymmetricCopies:
    """Completes matches by the symmetries that a data set declares.

    About an axis as many turns are tried as bring copies within `spacing` pixels of each other in the larger of the
    two pictures of the object.
    """

    def __init__(self, dataset: Dataset, spacing: float = SPACING) -> None:
        self.dataset, self.spacing = dataset, spacing
        self._motions: dict[tuple[int, int], Float[Tensor, "s 4 4"]] = {}

    def complete(self, found: Correspondences, a: Shown, b: Shown, test: OcclusionTest) -> Completed:
        """`found` (one object in A and in B), in which a hidden point becomes visible where B shows a copy of it.

        uv_b is the point itself where B shows it, else the visible copy nearest to the camera (the one nearest to the
        point would mostly lie on the outline). All other visible copies are alternatives, in A those beside uv_a.
        """
        nothing = found.uv_a.new_zeros(len(found.uv_a), 0, 2)
        turns = max(self._turns(a), self._turns(b))
        in_a, in_b = (self._motions_of(shown, turns) for shown in (a, b))
        if len(in_a) == len(in_b) == 1 or len(found.uv_a) == 0:
            return Completed(found, nothing, nothing)
        assert a.frame.depth is not None
        uv, _, visible = _copies(a.points(found.uv_a, depth_at(a.frame.depth, found.uv_a)), in_a, a, test)
        visible[:, 0] = False  # uv_a itself
        alternatives_a = _packed(uv, visible)

        uv, z, visible = _copies(b.points(found.uv_b, found.depth_b), in_b, b, test)
        visible[:, 0] = found.visible
        best = z.masked_fill(~visible, torch.inf).argmin(1, keepdim=True)
        best = best.masked_fill(found.visible[:, None], 0)
        moved = visible.any(1) & ~found.visible
        shown = Correspondences(
            found.uv_a,
            torch.where(moved[:, None], uv.gather(1, best[..., None].expand(-1, -1, 2))[:, 0], found.uv_b),
            torch.where(moved, int(Outcome.VISIBLE), found.outcome),
            torch.where(moved, z.gather(1, best)[:, 0], found.depth_b),
        )
        return Completed(shown, alternatives_a, _packed(uv, visible.scatter(1, best, False)))

    def _turns(self, shown: Shown) -> int:
        """By the object's diameter in pixels of this frame."""
        model, pose = self.dataset.objects.get(shown.placement.object_id), shown.placement.camera_from_object
        if model is None or model.diameter is None or shown.frame.intrinsics is None or pose is None:
            return TURNS
        focal = float(focal_length(shown.frame.intrinsics))
        return turns_for(focal * model.diameter / max(float(pose[2, 3]), model.diameter / 2), self.spacing)

    def _motions_of(self, shown: Shown, turns: int) -> Float[Tensor, "s 4 4"]:
        object_id = shown.placement.object_id
        if (object_id, turns) not in self._motions:
            model = self.dataset.objects.get(object_id)
            symmetry = None if model is None else model.symmetry
            self._motions[object_id, turns] = symmetry_motions(symmetry or Symmetry(), turns)
        return self._motions[object_id, turns]


def declares_symmetry(dataset: Dataset) -> bool:
    """Whether any object of the data set has a symmetry."""
    return any(model.symmetry is not None for model in dataset.objects.values())


def _copies(
    points: Float[Tensor, "n 3"], motions: Float[Tensor, "s 4 4"], shown: Shown, test: OcclusionTest
) -> tuple[Float[Tensor, "n s 2"], Float[Tensor, "n s"], Bool[Tensor, "n s"]]:
    frame, pose = shown.frame, shown.placement.camera_from_object
    assert frame.intrinsics is not None
    assert pose is not None
    depth = torch.zeros(frame.image.shape[-2:]) if frame.depth is None else frame.depth
    return visible_copies(points, motions, pose, frame.intrinsics, depth, shown.mask, test)


def _packed(uv: Float[Tensor, "n s 2"], kept: Bool[Tensor, "n s"]) -> Float[Tensor, "n k 2"]:
    """The kept ones first, as many columns as the row with most of them needs, NaN where there are fewer."""
    order = kept.to(torch.int8).argsort(dim=1, descending=True, stable=True)
    order = order[:, : int(kept.sum(1).max())]
    uv = torch.where(kept[..., None], uv, torch.nan)
    return uv.gather(1, order[..., None].expand(-1, -1, 2))
