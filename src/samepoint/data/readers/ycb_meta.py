"""YCB-Video's NAME-meta.mat: the camera, the unit of depth and the objects' poses of each image.

`intrinsic_matrix` (pixels, centres), `factor_depth` (depth units a metre), `cls_indexes` (numbers in the labels),
`poses` (3 x 4 x n, camera from object, metres), `rotation_translation_matrix` (3 x 4, of the camera in the world;
which way round follows from the objects, which stand still).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, intrinsics_from
from samepoint.data.readers.mat_files import read_mat
from samepoint.data.readers.name_matching import matched
from samepoint.data.readers.name_roles import key_of
from samepoint.data.recording import DepthFile, Placement, View
from samepoint.errors import DataError

FIELDS = ("intrinsic_matrix", "factor_depth", "cls_indexes", "poses", "rotation_translation_matrix")
FACTOR = 10_000.0
STILL = 0.02
"""Metres that objects may seem to move in the world."""


@dataclass(frozen=True)
class Meta:
    """`camera`: the matrix as written, world from camera or camera from world."""

    intrinsics: Float[Tensor, "3 3"]
    metres_per_unit: float
    objects: Mapping[int, Float[Tensor, "4 4"]]
    camera: Float[Tensor, "4 4"] | None


def with_meta(
    views: Mapping[Path, View], depths: Sequence[Path], metas: Sequence[Path]
) -> tuple[dict[Path, View], tuple[str, ...]]:
    """The views with what their meta files say, and notes. Views without a meta file stay as they are."""
    by_key = {key_of(path): path for path in metas}
    read = {image: read_meta(by_key[key_of(image)]) for image in views if key_of(image) in by_key}
    depth_of = matched(list(views), depths, "depth").of if depths else {}
    from_camera, notes = _direction(list(read.values()))
    found = dict(views)
    for image, meta in read.items():
        view = views[image]
        depth = DepthFile(depth_of[image], meta.metres_per_unit, 65535) if image in depth_of else view.depth
        pose = None if from_camera is None or meta.camera is None else meta.camera
        if pose is not None and not from_camera:
            pose = torch.linalg.inv(pose)
        placed = {placement.object_id: placement for placement in view.placements}
        for number, motion in meta.objects.items():
            placed[number] = replace(placed.get(number, Placement(number)), camera_from_object=motion)
        found[image] = replace(
            view,
            intrinsics=meta.intrinsics,
            depth=depth,
            world_from_camera=pose if pose is not None else view.world_from_camera,
            placements=tuple(placed[number] for number in sorted(placed)),
        )
    return found, notes


def read_meta(path: Path) -> Meta:
    """One file. DataError for what it lacks."""
    found = read_mat(path, FIELDS)
    if "intrinsic_matrix" not in found:
        raise DataError(
            "lacks intrinsic_matrix", where=path, mend="take the meta files away, or restore them"
        )
    numbers = found.get("cls_indexes", np.zeros(0)).astype(np.int64).ravel().tolist()
    poses = found.get("poses", np.zeros((3, 4, 0)))
    poses = poses.reshape(3, 4, -1)
    if poses.shape[2] != len(numbers):
        what = f"has {len(numbers)} cls_indexes and {poses.shape[2]} poses"
        raise DataError(what, where=path, mend="restore the file")
    motions = checked_poses([_motion(poses[..., k]) for k in range(len(numbers))], [path] * len(numbers))
    camera = found.get("rotation_translation_matrix")
    pose = None if camera is None else checked_poses([_motion(camera)], [path])[0]
    factor = float(found.get("factor_depth", np.array(FACTOR)).ravel()[0])
    if not 0 < factor < np.inf:
        raise DataError(f"factor_depth is {factor:g}", where=path, mend="restore the file")
    matrix = intrinsics_from(found["intrinsic_matrix"], path)
    return Meta(matrix, 1 / factor, dict(zip(numbers, motions, strict=True)), pose)


def _motion(matrix: np.ndarray) -> np.ndarray:
    return np.vstack([matrix[:3, :4].astype(np.float64), [0, 0, 0, 1]])


def _direction(metas: Sequence[Meta]) -> tuple[bool | None, tuple[str, ...]]:
    """Whether the cameras' matrices are world from camera: the way in which objects stand still. None if unknown."""
    if not any(meta.camera is not None for meta in metas):
        return None, ()
    spread = [_spread(metas, inverse) for inverse in (False, True)]
    if min(spread) < STILL < max(spread):
        return spread[0] < spread[1], ()
    unclear = "the objects do not say which way round the cameras' matrices are: the views have no poses"
    return None, (unclear,)


def _spread(metas: Sequence[Meta], inverse: bool) -> float:
    """Metres by which objects seem to move in the world, at most."""
    places: dict[int, list[Tensor]] = defaultdict(list)
    for meta in metas:
        if meta.camera is not None:
            world_from_camera = torch.linalg.inv(meta.camera) if inverse else meta.camera
            for number, motion in meta.objects.items():
                places[number].append((world_from_camera @ motion)[:3, 3])
    ranges = [torch.stack(found) for found in places.values() if len(found) > 1]
    return max((float((p.amax(0) - p.amin(0)).norm()) for p in ranges), default=0.0)
