"""Views of registered RGB-D images from their parts: colour, depth, poses, masks and one camera, matched by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses
from samepoint.data.depth_files import depth_size, depth_values
from samepoint.data.image_files import image_size, unreadable
from samepoint.data.plausible import PICTURE
from samepoint.data.readers.camera_file import CAMERA_FILE, KEYS, CameraFile
from samepoint.data.readers.camera_numbers import check_image
from samepoint.data.readers.masks_beside import Masks
from samepoint.data.readers.name_matching import matched
from samepoint.data.readers.side_cameras import (
    NAMED,
    camera_path,
    depth_camera_path,
    read_matrix,
    read_side_camera,
)
from samepoint.data.recording import DepthFile, View
from samepoint.errors import DataError
from samepoint.files import read_json
from samepoint.text import read_numbers

MILLIMETRES = 0.001
LOOKED_AT = 3


@dataclass(frozen=True)
class PosedViews:
    """`views` by image, in order; `read`: the pose and camera files; `notes` and `reasons`: see `leftovers`."""

    views: Mapping[Path, View]
    read: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    reasons: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cameras:
    """`colour`: the camera of the images; `metres_per_unit` of their depth; `of_depth`: the matrix of depth images of
    another size."""

    colour: CameraFile | None = None
    metres_per_unit: float | None = None
    of_depth: Float[Tensor, "3 3"] | None = None
    read: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def posed_views(
    images: Sequence[Path],
    depths: Sequence[Path],
    poses: Sequence[Path],
    masks: Masks,
    cameras: Cameras,
    *,
    unknown_depth: int | None = None,
) -> PosedViews:
    """The views of `images`. Depth and poses may be missing for single images.

    A pose that is not finite, or all zero, is unknown: its view has none, and a note counts these. DataError for
    names that fit nothing, for wrong poses, and where every pose is unknown.
    """
    depth_of = matched(images, depths, "depth") if depths else None
    pose_of = matched(images, poses, "pose") if poses else None
    known = read_poses(list(pose_of.of.values())) if pose_of is not None else {}
    notes = list(cameras.notes)
    if pose_of is not None and len(known) < len(pose_of.of):
        unknown, number = len(pose_of.of) - len(known), len(pose_of.of)
        notes.append(f"{unknown} of {number} poses are unknown (not finite): these views have none")
    reasons: dict[Path, str] = {}
    for what, found in (("depth", depth_of), ("pose", pose_of)):
        if found is not None:
            reasons |= dict.fromkeys(found.left, "no image has its name")
            if found.how != "name":
                notes.append(f"{what} files belong to the images of the same {found.how}: their names differ")
    views = {}
    for image in images:
        path = None if depth_of is None else depth_of.of.get(image)
        depth = None
        if path is not None and cameras.colour is not None and cameras.metres_per_unit is not None:
            depth = DepthFile(path, cameras.metres_per_unit, unknown_depth, cameras.of_depth)
        pose = None if pose_of is None else known.get(pose_of.of.get(image, Path()))
        intrinsics = None if cameras.colour is None else cameras.colour.intrinsics
        lens = None if cameras.colour is None else cameras.colour.lens
        views[image] = View("cam0", image, intrinsics, pose, depth, masks.of.get(image, ()), lens)
    read = (*cameras.read, *(() if pose_of is None else pose_of.of.values()))
    return PosedViews(views, read, (*notes, *masks.notes), {**reasons, **masks.reasons})


def cameras_of(folders: Sequence[Path], image: Path, depths: Sequence[Path]) -> Cameras:
    """The camera that lies in the first of `folders` that has one, for an image of the recording and its depth.

    DataError for a camera of another size than `image`.
    """
    path = camera_path(*folders)
    if path is None:
        return Cameras()
    whole = bool(depths) and depth_values(depths[0]).dtype.kind in "iu"
    camera = read_side_camera(path, needs_unit=whole)
    check_image(image, camera.width, camera.height, path)
    unit, notes = (None, ()) if not depths else _unit(depths, camera.metres_per_unit, whole, path)
    notes = (*notes, *_unread_keys(path))
    of_depth, read = None, [path]
    if depths and depth_size(depths[0]) != image_size(image):
        other = depth_camera_path(*folders)
        if other is not None:
            of_depth = read_matrix(other)
            read.append(other)
            notes = (*notes, f"depth is brought to the images' size by {other.name}")
    return Cameras(camera, unit, of_depth, tuple(read), notes)


def _unread_keys(path: Path) -> tuple[str, ...]:
    """A note of the keys of an intrinsics.json that say nothing to us."""
    if path.name != CAMERA_FILE:
        return ()
    others = [str(key) for key in read_json(path) if key not in KEYS]
    return (f"{path.name}: keys that are not read: {', '.join(others)}",) if others else ()


def _unit(
    depths: Sequence[Path], written: float | None, whole: bool, camera: Path
) -> tuple[float, tuple[str, ...]]:
    """Metres of a depth unit, and a note where no file says it.

    Whole numbers without a unit are millimetres. Floating-point numbers are metres where the unit of intrinsics.json,
    which is then for whole numbers, would make them impossible.
    """
    if whole and written is not None:
        return written, ()
    median = _median(depths)
    if whole:
        if median is not None and not PICTURE.holds(median * MILLIMETRES):
            right = MILLIMETRES * PICTURE.factor(median * MILLIMETRES)
            what = f"as millimetres its median depth is {median * MILLIMETRES:.3g} m, not {PICTURE}"
            mend = f"write {CAMERA_FILE} with depth_unit_m (such as {right:g})"
            raise DataError(what, where=depths[0], mend=mend)
        return MILLIMETRES, (f"depth is taken for millimetres: {camera.name} says no unit",)
    for unit in (written, 1.0, MILLIMETRES):
        if unit is not None and (median is None or PICTURE.holds(median * unit)):
            break
    else:
        unit = written or 1.0
    if written not in (None, unit):
        kind = "metres" if unit == 1.0 else "millimetres"
        return unit, (f"depth of floating point is taken for {kind}: by depth_unit_m it would be impossible",)
    return unit, () if unit == (written or 1.0) else ("depth of floating point is taken for millimetres",)


def _median(depths: Sequence[Path]) -> float | None:
    """Of the known values of some depth files; None if nothing is known."""
    step = max(1, len(depths) // LOOKED_AT)
    chosen = [depth_values(path).astype(np.float64).ravel() for path in depths[::step][:LOOKED_AT]]
    values = np.concatenate(chosen)
    values = values[np.isfinite(values) & (values > 0) & (values < 65535)]
    return float(np.median(values)) if len(values) else None


def read_poses(paths: Sequence[Path]) -> dict[Path, Float[Tensor, "4 4"]]:
    """World from camera of the files whose pose is known. DataError for no poses, and if all are unknown."""
    matrices = {path: _matrix(path) for path in paths}
    known = {path: matrix for path, matrix in matrices.items() if np.isfinite(matrix).all() and matrix.any()}
    if matrices and not known:
        what = f"all {len(matrices)} poses are unknown (not finite)"
        raise DataError(
            what, where=paths[0].parent, mend="take the poses away, or write those that are known"
        )
    return dict(zip(known, checked_poses(list(known.values()), list(known)), strict=True))


def _matrix(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        return _array(path)
    try:
        rows = read_numbers(path, 12).reshape(3, 4)
    except DataError:
        return read_numbers(path, 16, mend="write a 4x4 matrix row by row").reshape(4, 4)
    return np.vstack([rows, [0, 0, 0, 1]])


def _array(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False).astype(np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, "pose", error, "is not a readable array") from error
    if values.shape not in ((4, 4), (3, 4)):
        raise DataError(f"has shape {values.shape}, not 4x4", where=path, mend="write a 4x4 matrix")
    return values if len(values) == 4 else np.vstack([values, [0, 0, 0, 1]])


def depth_without_camera(root: Path) -> DataError:
    """The error of depth that nothing says how to lift."""
    mend = f"write {CAMERA_FILE} with width height fx fy cx cy depth_unit_m (or {NAMED.split()[-1]})"
    return DataError("depth without intrinsics", where=root, mend=mend)
