"""BOP data sets, native and foreign: the reader, with the writer's names beside it.

https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md. A foreign data set has no
samepoint.json and no scene_samepoint.json: its scenes are scans, one moment an image, unless the object poses
say that objects moved between images; then "shuffle". `sensors` has the layout, also of several sensors.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.data.bop_writer import BopWriter, ObjectMesh, SceneWriter, WrittenView
from samepoint.data.checks import checked_poses, matrix_from
from samepoint.data.leftovers import noted
from samepoint.data.readers.bop.objects import METRES, read_native_header, read_objects
from samepoint.data.readers.bop.optics import optics_of
from samepoint.data.readers.bop.placements import read_placements
from samepoint.data.readers.bop.sensors import CAMERAS, SensorFiles, numbered, sensor_files, sensors_below
from samepoint.data.readers.tally import Tally
from samepoint.data.recording import (
    Dataset,
    DepthFile,
    DepthQuantiles,
    Mode,
    Moment,
    Recording,
    Split,
    View,
)
from samepoint.errors import DataError, one_of
from samepoint.files import read_json

__all__ = ["BopWriter", "ObjectMesh", "SceneWriter", "WrittenView", "is_bop", "read_bop"]

NATIVE = "scene_samepoint.json"
STILL = 0.02
"""Metres that an object may seem to move in a foreign scene before it is called rearranged."""


def is_bop(root: Path) -> bool:
    """Whether `root` is a BOP data set, one of its splits, or one scene."""
    return (root / "samepoint.json").exists() or next(sensor_files(root), None) is not None


def read_bop(root: Path) -> Dataset:
    """Reads a BOP data set (or one split or scene folder of it); millimetres become metres.

    Split folders named train*, val* and test* give the recording's split; others give none. Each sensor of a scene
    is a recording. Depth, masks, camera poses, object poses and in foreign data sets images (copies of keyframes)
    may be missing: the notes count them. Raises DataError for damaged files and wrong poses.
    """
    root = Path(root)
    sensors = sensors_below(root)
    folders = [sensor.folder for sensor in sensors]
    base = _base(root, folders)
    header = read_native_header(base)
    if not header and any((folder / NATIVE).exists() for folder in folders):
        mend = "write it again, to its end"
        raise DataError("this data set was not finished (no samepoint.json)", where=base, mend=mend)
    tally = Tally()
    recordings = tuple(_read_scene(sensor, root, tally) for sensor in sensors if _has_images(sensor, tally))
    if not recordings and not header:
        mend = f"a scene is a folder with {CAMERAS}.json and rgb/"
        raise DataError("holds no BOP scene", where=root, mend=mend)
    dataset = Dataset(root, recordings, read_objects(base, header))
    if header:
        return dataset
    replaced = [path for sensor in sensors for path in sensor.others()]
    reasons = {root / "models": "textures are not read"} | {
        sensor.image_folder: f"{sensor.table(CAMERAS).name} does not name them" for sensor in sensors
    }
    return noted(dataset, also=replaced, reasons=reasons, notes=tally.lines())


def _has_images(sensor: SensorFiles, tally: Tally) -> bool:
    """False for one of several sensors whose images were not copied."""
    if sensor.name is None or numbered(sensor.image_folder):
        return True
    count = len(read_json(sensor.table(CAMERAS)))
    tally.add(
        f"images of {sensor.table(CAMERAS).name} are not there and left out", sensor.folder, count, count
    )
    return False


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


def _read_scene(sensor: SensorFiles, root: Path, tally: Tally) -> Recording:
    folder = sensor.folder
    try:
        native, take = folder / NATIVE, None
        views = _read_views(sensor, tally, whole=native.exists())
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
    name = folder.absolute().name if folder == root else folder.relative_to(root).as_posix()
    name = name if sensor.name is None else f"{name}/{sensor.name}"
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


def _read_views(sensor: SensorFiles, tally: Tally, *, whole: bool) -> dict[int, View]:
    """The views by their number. `whole`: no image may be missing (native data sets)."""
    path = sensor.table(CAMERAS)
    cameras = {int(key): value for key, value in read_json(path).items()}
    images, depths = numbered(sensor.image_folder), numbered(sensor.depth_folder)
    missing = [n for n in sorted(cameras) if n not in images]
    if missing and (whole or len(missing) == len(cameras)):
        what = f"image {missing[0]} of {path.name} is missing"
        raise DataError(what, where=sensor.image_folder, mend="restore it")
    tally.add(f"images of {path.name} are not there and left out", path, len(missing), len(cameras))
    shown = [n for n in sorted(cameras) if n in images]
    quantiles = (
        numbered(sensor.folder / "depth_quantiles", frozenset({".npy"})) if sensor.name is None else {}
    )
    placements = read_placements(sensor, shown, tally)
    names = {n: f"{path}, image {n}" for n in shown}
    poses = _poses(cameras, shown, names)
    views: dict[int, View] = {}
    for n in shown:
        intrinsics, lens, unread = optics_of(cameras[n], names[n])
        if unread is not None:
            tally.add(f"images have the camera model {unread}, which is not read", path, 1, len(shown))
        depth = None
        if n in depths:
            if "depth_scale" not in cameras[n] or intrinsics is None:
                mend = "give cam_K and depth_scale (millimetres a unit)"
                raise DataError("depth without cam_K or depth_scale", where=names[n], mend=mend)
            depth = DepthFile(depths[n], float(cameras[n]["depth_scale"]) * METRES)
        view = View("cam0", images[n], intrinsics, poses.get(n), depth, placements.get(n, ()), lens)
        if n in quantiles:
            if depth is None:
                mend = f"restore depth/{n:06d}, or remove this file"
                raise DataError("depth quantiles of an image without depth", where=quantiles[n], mend=mend)
            view = replace(view, depth_quantiles=DepthQuantiles(quantiles[n]))
        views[n] = view
    if depths:
        lacking = sum(view.depth is None for view in views.values())
        tally.add("images have no depth image", sensor.depth_folder, lacking, len(views))
    return views


def _poses(
    cameras: dict[int, Any], shown: list[int], names: dict[int, str]
) -> dict[int, Float[Tensor, "4 4"]]:
    """`world_from_camera` of the images that have one."""
    posed = [n for n in shown if cameras[n].get("cam_R_w2c") is not None]
    camera_from_world = [
        matrix_from(cameras[n]["cam_R_w2c"], cameras[n]["cam_t_w2c"], METRES, names[n]) for n in posed
    ]
    checked_poses(camera_from_world, [names[n] for n in posed])
    inverses = [np.linalg.inv(matrix) for matrix in camera_from_world]
    return dict(zip(posed, checked_poses(inverses, [names[n] for n in posed]), strict=True))


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
