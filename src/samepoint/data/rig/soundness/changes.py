"""Simple mistakes in calibrations and labels, each as the change that undoes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from jaxtyping import Bool
from torch import Tensor

from samepoint.data.corrections import OPENGL
from samepoint.data.rig.soundness.evidence import Evidence
from samepoint.data.rig.soundness.misfit import misfit
from samepoint.geometry.motions import invert, rigid
from samepoint.geometry.pixels import grid_from_pixels, pixels_from_grid

Scope = Bool[Tensor, " n"]
"""Of which cameras something is changed."""

AS_WELL = 1.2
"""A fraction is taken for the size that fits best if it leaves at most so many times the error."""


@dataclass(frozen=True)
class Change:
    """`what` is wrong, `mend` what to do about it, `undo` what makes it right in some cameras."""

    what: str
    mend: str
    undo: Callable[[Evidence, Scope], Evidence]


def reordered(evidence: Evidence, order: Sequence[int]) -> Evidence:
    """Camera i with the calibration that is written for camera `order[i]`."""
    rig, index = evidence.rig, torch.tensor(order)
    lenses = tuple(tuple(row[n] for n in order) for row in rig.lenses)
    k, pose = rig.intrinsics[:, index], rig.world_from_camera[:, index]
    return replace(evidence, rig=replace(rig, intrinsics=k, world_from_camera=pose, lenses=lenses))


def resized(evidence: Evidence, who: Scope, ratio: float) -> Evidence:
    """Labels as those of images `1 / ratio` times as large as the images are."""
    changed = _clicked(lambda grid: (grid + 1) * ratio - 1)(evidence, who)
    return replace(changed, scale=torch.where(who, ratio * evidence.scale, evidence.scale))


def other_size(evidence: Evidence, who: Scope) -> Change:
    """Labels in pixels of images of another size, a tenth to ten times as large: the size that fits best, or a simple
    fraction that fits as well."""

    def left(ratio: float) -> float:
        return misfit(resized(evidence, who, ratio)).score

    best = min((2 ** (k / 8) for k in range(-27, 28) if k), key=left)
    best = min((best * 2 ** (k / 128) for k in range(-15, 16)), key=left)
    simple = float(Fraction(best).limit_denominator(6))
    if simple > 0 and left(simple) <= AS_WELL * left(best):
        best = simple
    what = f"labels are in pixels of images {1 / best:.3g} times as large"
    mend = f"multiply u + 0.5 and v + 0.5 by {best:.4g}, and take 0.5 off"
    return Change(what, mend, lambda evidence, who: resized(evidence, who, best))


def _posed(change: Callable[[Tensor], Tensor]) -> Callable[[Evidence, Scope], Evidence]:
    """`change` of `world_from_camera`."""

    def changed(evidence: Evidence, who: Scope) -> Evidence:
        pose = evidence.rig.world_from_camera
        pose = torch.where(who[:, None, None], change(pose), pose)
        return replace(evidence, rig=replace(evidence.rig, world_from_camera=pose))

    return changed


def _clicked(change: Callable[[Tensor], Tensor]) -> Callable[[Evidence, Scope], Evidence]:
    """`change` of clicks over their image, from -1 to 1 (`grid_from_pixels`)."""

    def changed(evidence: Evidence, who: Scope) -> Evidence:
        uv = evidence.uv.clone()
        for n in who.nonzero().flatten().tolist():
            mine, size = evidence.camera == n, evidence.rig.sizes[n]
            uv[mine] = pixels_from_grid(change(grid_from_pixels(uv[mine], size)), size)
        return replace(evidence, uv=uv)

    return changed


def _flipped(u: float, v: float) -> Callable[[Evidence, Scope], Evidence]:
    return _clicked(lambda grid: grid * grid.new_tensor((u, v)))


def _exchanged_uv(evidence: Evidence, who: Scope) -> Evidence:
    mine = who[evidence.camera][..., None]
    return replace(evidence, uv=torch.where(mine, evidence.uv.flip(-1), evidence.uv))


def _placed(pose: Tensor) -> Tensor:
    """The pose of a camera whose place was written as its translation."""
    return rigid(pose[..., :3, :3], invert(pose)[..., :3, 3])


def _turned(pose: Tensor) -> Tensor:
    """The pose of a camera whose rotation was written the other way round."""
    written = invert(pose)
    return invert(rigid(written[..., :3, :3].transpose(-1, -2), written[..., :3, 3]))


_AXES = OPENGL.double()
_INVERT = "write rotation and translation that take the world into the camera"
_OPENCV = "write poses with OpenCV's axes: x right, y down, z forward"
_FLIP = "flip images or labels, so that both are as they were when the cameras were calibrated"

CHANGES = (
    Change("poses are inverted (world from camera)", _INVERT, _posed(invert)),
    Change("poses have OpenGL's axes", _OPENCV, _posed(lambda pose: pose @ _AXES)),
    Change(
        "poses are inverted (world from camera) and have OpenGL's axes",
        f"{_INVERT}, with OpenCV's axes: x right, y down, z forward",
        _posed(lambda pose: invert(pose) @ _AXES),
    ),
    Change("translations are the cameras' places", "write minus rotation times place", _posed(_placed)),
    Change("rotations are inverted", "write rotations that take the world into the camera", _posed(_turned)),
    Change("u and v are exchanged in labels", "write u (right) before v (down)", _exchanged_uv),
    Change("images are mirrored left to right", _FLIP, _flipped(-1.0, 1.0)),
    Change("images are mirrored top to bottom", _FLIP, _flipped(1.0, -1.0)),
    Change("images are turned upside down", _FLIP, _flipped(-1.0, -1.0)),
)
