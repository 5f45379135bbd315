"""One camera at one step of a BASK trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, intrinsics_from
from samepoint.data.decode import image_size
from samepoint.data.readers.bask.files import load_image, load_matrix
from samepoint.data.readers.scratch_files import write_depth, write_mask
from samepoint.data.recording import Placement, View
from samepoint.errors import DataError
from samepoint.types import Size

TURN = np.diag([-1.0, -1.0, 1.0, 1.0])
"""camera_rlbench (x left, y up) from camera_opencv, and back."""


@dataclass(frozen=True)
class Labels:
    """Which labels are objects: those `wanted` (None: all but 0), and of ground truth none that is `ignored`."""

    wanted: frozenset[int] | None
    ignored: frozenset[int]

    def of(self, image: np.ndarray, truth: bool) -> list[int]:
        found = np.unique(image.astype(np.int64)).tolist()
        unwanted = self.ignored if truth else frozenset()
        return [n for n in found if n > 0 and n not in unwanted and (self.wanted is None or n in self.wanted)]


def read_view(trajectory: Path, camera: str, t: int, scratch: Path, labels: Labels) -> View | None:
    """The view, or None if the camera has no image of this step. Depth and masks are written to `scratch`."""
    image = trajectory / f"cam_{camera}_rgb" / f"{t}.png"
    if not image.is_file():
        return None
    size, stem = image_size(image), scratch / f"cam_{camera}" / f"{t:06d}"
    intrinsics, pose = _camera(trajectory, camera, t)
    metres = load_image(trajectory / f"cam_{camera}_d" / f"{t}.dat", size)
    if metres is not None and intrinsics is None:
        mend = f"write cam_{camera}_int.dat, a 3x3 tensor"
        raise DataError(f"cam_{camera} has depth without intrinsics", where=trajectory, mend=mend)
    depth = None
    if metres is not None:
        depth = write_depth(stem.with_suffix(".npy"), metres.astype(np.float32))
    placements = _placements(trajectory, camera, t, size, stem, labels)
    return View(camera, image, intrinsics, pose, depth, placements)


def _camera(
    trajectory: Path, camera: str, t: int
) -> tuple[Float[Tensor, "3 3"] | None, Float[Tensor, "4 4"] | None]:
    """Intrinsics, which are one file for all steps or one a step, and `world_from_camera`."""
    flat = trajectory / f"cam_{camera}_int.dat"
    path = flat if flat.is_file() else trajectory / f"cam_{camera}_int" / f"{t}.dat"
    where = trajectory / f"cam_{camera}_ext" / f"{t}.dat"
    k, pose = load_matrix(path, 3), load_matrix(where, 4)
    if k is not None and k[0, 0] < 0 and k[1, 1] < 0:
        k = k @ TURN[:3, :3]
        k[:2, 2] -= 0.5
        pose = None if pose is None else pose @ TURN
    return (
        None if k is None else intrinsics_from(k, path),
        None if pose is None else checked_poses([pose], [where])[0],
    )


def _placements(
    trajectory: Path, camera: str, t: int, size: Size, stem: Path, labels: Labels
) -> tuple[Placement, ...]:
    """One for each label in the mask: ground truth, or of fusion where there is none."""
    for kind in ("gt", "tsdf"):
        image = load_image(trajectory / f"cam_{camera}_mask_{kind}" / f"{t}.dat", size)
        if image is not None:
            return tuple(
                Placement(n, None, write_mask(stem.with_name(f"{stem.name}_{n:06d}.png"), image == n))
                for n in labels.of(image, truth=kind == "gt")
            )
    return ()
