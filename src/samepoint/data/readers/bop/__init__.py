"""BOP data sets, native and foreign: the reader, with the writer's names beside it.

https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md. A foreign data set has no
samepoint.json and no scene_samepoint.json: its scenes are scans, one moment an image, unless the object poses
say that objects moved between images; then "shuffle".
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from samepoint.data.bop_writer import BopWriter, ObjectMesh, SceneWriter, WrittenView
from samepoint.data.checks import checked_poses, intrinsics_from, matrix_from
from samepoint.data.decode import IMAGE_SUFFIXES
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.bop.objects import METRES, read_native_header, read_objects
from samepoint.data.recording import (
    Dataset,
    DepthFile,
    DepthQuantiles,
    Mode,
    Moment,
    Placement,
    Recording,
    Split,
    View,
)
from samepoint.errors import DataError, one_of
from samepoint.files import read_json
from samepoint.reading import entries as listed
from samepoint.reading import matching

__all__ = ["BopWriter", "ObjectMesh", "SceneWriter", "WrittenView", "is_bop", "read_bop"]

CAMERAS = "scene_camera.json"
NATIVE = "scene_samepoint.json"
STILL = 0.02
"""Metres that an object may seem to move in a foreign scene before it is called rearranged."""


def is_bop(root: Path) -> bool:
    """Whether `root` is a BOP data set, one of its splits, or one scene."""
    return (root / "samepoint.json").exists() or next(_scene_folders(root), None) is not None


def read_bop(root: Path) -> Dataset:
    """Reads a BOP data set (or one split or scene folder of it); millimetres become metres.

    Split folders named train*, val* and test* give the recording's split; others give none. Depth, masks,
    camera poses and object poses may be missing. Raises DataError for damaged files and wrong poses.
    """
    root = Path(root)
    folders = sorted(_scene_folders(root), key=natural_key)
    base = _base(root, folders)
    header = read_native_header(base)
    if not header and any((folder / NATIVE).exists() for folder in folders):
        mend = "write it again, to its end"
        raise DataError("this data set was not finished (no samepoint.json)", where=base, mend=mend)
    recordings = tuple(_read_scene(folder, root) for folder in folders)
    if not recordings and not header:
        mend = f"a scene is a folder with {CAMERAS} and rgb/"
        raise DataError("holds no BOP scene", where=root, mend=mend)
    return Dataset(root, recordings, read_objects(base, header))


def _scene_folders(root: Path):
    for pattern in (CAMERAS, f"*/{CAMERAS}", f"*/*/{CAMERAS}"):
        yield from (path.parent for path in matching(root, pattern))


def _base(root: Path, folders: list[Path]) -> Path:
    """The folder of the whole data set: above `root` if that is a split or a scene."""
    depth = min((len(folder.relative_to(root).parts) for folder in folders), default=2)
    above = root.resolve()
    for _ in range(2 - depth):
        above = above.parent
    return root if depth == 2 else above


def _split(folder: Path, root: Path) -> Split | None:
    for name in (folder.parent.name, folder.name) if folder == root else (folder.parent.name,):
        for prefix, split in (("train", "train"), ("val", "validation"), ("test", "test")):
            if name.startswith(prefix):
                return split  # type: ignore[return-value]
    return None


def _read_scene(folder: Path, root: Path) -> Recording:
    try:
        views = _read_views(folder)
        native, take = folder / NATIVE, None
        if native.exists():
            content = read_json(native)
            take = None if content.get("take") is None else str(content["take"])
            mode, moments = _native_moments(content, views, native)
        else:
            moments = tuple(Moment((view,)) for view in views.values())
            mode = "scan" if _is_still(list(views.values())) else "shuffle"
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        what = f"the scene's JSON files do not fit together ({type(error).__name__}: {error})"
        raise DataError(what, where=folder, mend="compare them with the BOP format") from error
    name = folder.name if folder == root else folder.relative_to(root).as_posix()
    return Recording(name, mode, moments, _split(folder, root), take)


def _native_moments(content: dict[str, Any], views: dict[int, View], path: Path) -> tuple[Mode, tuple]:
    mode = content["mode"]
    if mode not in get_args(Mode):
        raise DataError(one_of("mode", mode, get_args(Mode)), where=path)
    moments = tuple(
        Moment(
            tuple(replace(views[number], camera=camera) for camera, number in moment["views"].items()),
            moment.get("time"),
            moment.get("sync_group"),
        )
        for moment in content["moments"]
    )
    return mode, moments


def _read_views(folder: Path) -> dict[int, View]:
    cameras = {int(key): value for key, value in read_json(folder / CAMERAS).items()}
    numbers = sorted(cameras)
    images, depths = _numbered(folder, "rgb") or _numbered(folder, "gray"), _numbered(folder, "depth")
    quantiles = _numbered(folder, "depth_quantiles", frozenset({".npy"}))
    placements = _read_placements(folder, numbers)
    posed = [n for n in numbers if "cam_R_w2c" in cameras[n]]
    names = {n: f"{folder / CAMERAS}, image {n}" for n in numbers}
    camera_from_world = [
        matrix_from(cameras[n]["cam_R_w2c"], cameras[n]["cam_t_w2c"], METRES, names[n]) for n in posed
    ]
    checked_poses(camera_from_world, [names[n] for n in posed])
    inverses = [np.linalg.inv(matrix) for matrix in camera_from_world]
    poses = dict(zip(posed, checked_poses(inverses, [names[n] for n in posed]), strict=True))
    views: dict[int, View] = {}
    for n in numbers:
        if n not in images:
            raise DataError(f"image {n} of {CAMERAS} is missing", where=folder / "rgb", mend="restore it")
        values = cameras[n].get("cam_K")
        intrinsics = None if values is None else intrinsics_from(values, names[n])
        depth = None
        if n in depths:
            if "depth_scale" not in cameras[n] or intrinsics is None:
                mend = "give cam_K and depth_scale (millimetres a unit)"
                raise DataError("depth without cam_K or depth_scale", where=names[n], mend=mend)
            depth = DepthFile(depths[n], float(cameras[n]["depth_scale"]) * METRES)
        view = View("cam0", images[n], intrinsics, poses.get(n), depth, placements.get(n, ()))
        if n in quantiles:
            if depth is None:
                mend = f"restore depth/{n:06d}, or remove this file"
                raise DataError("depth quantiles of an image without depth", where=quantiles[n], mend=mend)
            view = replace(view, depth_quantiles=DepthQuantiles(quantiles[n]))
        views[n] = view
    return views


def _read_placements(folder: Path, numbers: list[int]) -> dict[int, tuple[Placement, ...]]:
    path = folder / "scene_gt.json"
    if not path.exists():
        return {}
    truth = read_json(path)
    info_path = folder / "scene_gt_info.json"
    info = read_json(info_path) if info_path.exists() else {}
    masks = {p.stem: p for p in matching(folder / "mask_visib", "*.png")}
    entries = [(n, k, entry) for n in numbers for k, entry in enumerate(truth.get(str(n), ()))]
    posed = [(n, k, entry) for n, k, entry in entries if "cam_R_m2c" in entry]
    names = [f"{path}, image {n}, object {k}" for n, k, _ in posed]
    matrices = [
        matrix_from(entry["cam_R_m2c"], entry["cam_t_m2c"], METRES, name)
        for (_, _, entry), name in zip(posed, names, strict=True)
    ]
    poses = dict(zip(((n, k) for n, k, _ in posed), checked_poses(matrices, names), strict=True))
    placements: dict[int, list[Placement]] = {}
    for n, k, entry in entries:
        visible = info.get(str(n), [])[k].get("visib_fract") if str(n) in info else None
        mask = masks.get(f"{n:06d}_{k:06d}")
        placements.setdefault(n, []).append(
            Placement(
                int(entry["obj_id"]), poses.get((n, k)), mask, None if visible is None else float(visible)
            )
        )
    return {n: tuple(found) for n, found in placements.items()}


def _numbered(folder: Path, kind: str, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> dict[int, Path]:
    files = [
        path for path in listed(folder / kind) if path.suffix.lower() in suffixes and path.stem.isdigit()
    ]
    return {int(path.stem): path for path in files}


def _is_still(views: list[View]) -> bool:
    """False if some object has no one place in the world. Unknown poses do not contradict."""
    places: dict[tuple[int, int], torch.Tensor] = {}
    for view in views:
        if view.world_from_camera is None:
            continue
        for k, placement in enumerate(view.placements):
            if placement.camera_from_object is None:
                continue
            place = (view.world_from_camera @ placement.camera_from_object)[:3, 3]
            first = places.setdefault((k, placement.object_id), place)
            if (place - first).norm() > STILL:
                return False
    return True
