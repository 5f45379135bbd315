"""LabelFusion logs: a hand-held camera around objects that were fitted to the reconstruction.

    object_data.yaml                              {name: {mesh: object-meshes/NAME.vtp, label: NUMBER}}
    logs_test/2017-06-16-20/
      posegraph.posegraph                         a line a pose: seconds x y z qx qy qz qw
      images/0000000001_rgb.png                   8-bit colour
      images/0000000001_utime.txt                 microseconds
      images/0000000001_depth.png                 16-bit millimetres, 0 unknown; only if it was extracted
      images/0000000001_labels.png                label image, 0 background
      images/0000000001_poses.yaml                {name: {label, num_pixels, pose: [[x, y, z], [w, x, y, z]]}}

A pose of the posegraph is camera to first camera (which is the world), metres, OpenCV axes; one of an image is object
to camera. LabelFusion has one camera, an Xtion: fx = fy = 528, cx 320, cy 240, images of 640x480. An intrinsics.json
(fx, fy, cx, cy; and depth_unit_m, width, height if wanted) in the log's folder, or one of the two above it, replaces
it. Its tracking counts cx and cy from pixel centres, and so do we; it draws the labels counting from the corner, so
that they lie up to half a pixel off. Not read: the smoothed posegraph, registration_result.yaml (the poses of the
images hold it), transforms.yaml, info.yaml, point clouds, resized_images/, meshes other than VTP and PLY, logs_arch/
(logs that LabelFusion put aside).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.decode import image_size
from samepoint.data.leftovers import noted
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.camera_file import CAMERA_FILE, read_camera_file
from samepoint.data.readers.camera_numbers import check_image, pinhole
from samepoint.data.readers.labelfusion.objects import (
    KnownObjects,
    object_models,
    read_known_objects,
    read_placements,
)
from samepoint.data.readers.labelfusion.poses import NEAR, has_pose, image_times, read_posegraph
from samepoint.data.readers.pose_times import PoseTiming, poses_at
from samepoint.data.recording import Dataset, DepthFile, Moment, Recording, View
from samepoint.errors import DataError
from samepoint.reading import matching

XTION = (528.0, 528.0, 320.0, 240.0)
XTION_SIZE = (480, 640)
MILLIMETRE = 1e-3
ASIDE = "logs_arch"
COLOUR = "_rgb.png"


def is_labelfusion(root: Path) -> bool:
    """Whether a folder is a log, a folder of logs or a whole data set."""
    return bool(_logs(root))


def read_labelfusion(source: Path, scratch: Path, timing: PoseTiming | None = None) -> Dataset:
    """Reads a log, a folder of logs, or a data set with its folders logs*; each log is a recording of mode "scan".

    An image has the pose nearest to it in time, or as `timing` says; one more than 0.05 s from every pose has none,
    nor objects: they were placed by another moment's pose. Without posegraph no image has a pose, and objects are as
    written. Names are the families of objects and labels their numbers. `scratch` takes one mask an object and image,
    and meshes as PLY.
    Raises DataError for missing or damaged files, wrong poses, labels without a name and images of an unknown camera.
    """
    source = Path(source)
    logs = _logs(source)
    if not logs:
        mend = "a log is a folder with images/0000000001_rgb.png and so on; extract the images of the log"
        raise DataError("holds no LabelFusion log with images", where=source, mend=mend)
    objects = read_known_objects(_above(logs[0], "object_data.yaml"))
    read = [
        _read_log(log, objects, scratch / f"log-{k}", timing or PoseTiming()) for k, log in enumerate(logs)
    ]
    recordings = tuple(recording for recording, _ in read)
    seen = {p.object_id for recording in recordings for view in recording.views() for p in view.placements}
    dataset = Dataset(source, recordings, object_models(seen, objects, scratch))
    return noted(dataset, also=_labels(logs), notes=[note for _, notes in read for note in notes])


def _read_log(
    log: Path, objects: KnownObjects, scratch: Path, timing: PoseTiming
) -> tuple[Recording, list[str]]:
    """The log, and what is to be said of it."""
    images = _images(log)
    intrinsics, unit = _camera(_above(log, CAMERA_FILE), images[0], log)
    path, name = log / "posegraph.posegraph", log.absolute().name
    times = image_times(images, needed=path.exists())
    poses: list[Float[Tensor, "4 4"] | None] = [None] * len(images)
    near, notes = np.ones(len(images), bool), []
    if path.exists():
        graph = read_posegraph(path, times)
        poses, notes = poses_at(times, graph, NEAR, timing)
        near = has_pose(times, graph)
    moments: list[Moment] = []
    for image, time, pose, placed in zip(images, times, poses, near.tolist(), strict=True):
        file = image.with_name(image.name.replace("_rgb.png", "_depth.png"))
        depth = DepthFile(file, unit) if file.exists() else None
        placements = read_placements(image, objects, scratch) if placed else ()
        moments.append(Moment((View("cam0", image, intrinsics, pose, depth, placements),), time))
    lacking = sum(moment.views[0].depth is None for moment in moments)
    if 0 < lacking < len(moments):
        notes = [*notes, f"{lacking} of {len(moments)} images have no depth image"]
    if not near.all():
        number = int((~near).sum())
        notes = [
            *notes,
            f"{number} of {len(moments)} images have no objects: none of their poses is of their time",
        ]
    return Recording(name, "scan", tuple(moments)), [f"{name}: {note}" for note in notes]


def _camera(path: Path | None, image: Path, log: Path) -> tuple[Float[Tensor, "3 3"], float]:
    """The camera matrix and the metres of a depth unit."""
    if path is None:
        height, width = image_size(image)
        if (height, width) != XTION_SIZE:
            what = f"the images are {width}x{height}, not the 640x480 of LabelFusion's own camera"
            raise DataError(what, where=log, mend="write intrinsics.json there, with fx fy cx cy")
        return pinhole(*XTION, log), MILLIMETRE
    written = read_camera_file(path)
    check_image(image, written.width, written.height, path)
    return written.intrinsics, written.metres_per_unit or MILLIMETRE


def _logs(root: Path) -> list[Path]:
    """Folders with images, at `root`, in it, or in its folders logs*."""
    for pattern in (".", "*", "logs*/*"):
        folders = [root] if pattern == "." else _folders(root, pattern)
        logs = [p for p in folders if p.parent.name != ASIDE and _images(p)]
        if logs:
            return logs
    return []


def _folders(root: Path, pattern: str) -> list[Path]:
    return sorted((p for p in matching(root, pattern) if p.is_dir()), key=natural_key)


def _images(log: Path) -> list[Path]:
    found = matching(log / "images", f"*{COLOUR}")
    return sorted((p for p in found if p.name.removesuffix(COLOUR).isdigit()), key=natural_key)


def _labels(logs: list[Path]) -> list[Path]:
    """Label images, which are split into masks, and their colourful copies."""
    return [path for log in logs for path in matching(log / "images", "*labels.png")]


def _above(log: Path, name: str) -> Path | None:
    folders = (log, *log.absolute().parents[:2])
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
