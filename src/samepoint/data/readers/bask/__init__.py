"""Trajectories of BASK and TAPAS: a file for each time step t and modality, by camera letter C.

    TASK/FEEDBACK/metadata.json             object_labels, ignore_gt_labels and others; may be missing
    TASK/FEEDBACK/trajectories/2023_01_31-12_00_00/
        metadata.json                       {"len": steps, ...}
        cam_C_rgb/t.png                     C: w wrist, o overhead, or any name
        cam_C_d/t.dat    cam_C_ext/t.dat    depth, metres; 4x4 camera to world
        cam_C_int.dat (or cam_C_int/t.dat)  3x3
        cam_C_mask_gt/t.dat    cam_C_mask_tsdf/t.dat    label images, 0 background
        object_poses/t.dat                  {name: x y z qw qx qy qz}

.dat are files of torch.save. Depth is along the optical axis; axes are OpenCV's; K counts pixels as integers at their
centres, as BASK's own projection does. RLBench writes negative focal lengths (x left, y up) and half the size as the
centre, measured from the corner of a pixel: then the camera is turned by 180 degrees and 0.5 taken off the centre.

Several cameras make a "rig". One is a "scan" of a scene that may change; "shuffle" if the folder FEEDBACK is called
demos or cloning..., or if an object moves by its poses. Ground-truth masks count before those of fusion; labels are
the object ids. (Fusion numbers its clusters in each trajectory anew. RLBench labels table and robot too, unless
ignore_gt_labels names them.) No pose belongs to a label by itself: they are taken where a trajectory has one label
and one pose. Not read: image_crop (images are whole), poses that were saved as a TensorDict or stacked, actions and
states of the robot, embeddings/, encodings/, fusion/.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from samepoint.data.leftovers import noted
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.bask.files import load_object_poses
from samepoint.data.readers.bask.views import Labels, read_view
from samepoint.data.readers.tally import Tally
from samepoint.data.recording import Dataset, Moment, ObjectModel, Recording, View
from samepoint.errors import DataError
from samepoint.files import read_json
from samepoint.geometry.motions import invert
from samepoint.reading import folders

STILL = 0.02
"""Metres that an object may seem to move in a static scene."""
CHANGING = ("demos", "cloning")


def read_bask(source: Path, scratch: Path) -> Dataset:
    """Reads a data set with trajectories/, a folder of trajectories, or one trajectory, a recording each.

    Depth and masks go to `scratch`. DataError for missing steps, unreadable tensors, wrong poses and sizes.
    """
    source = Path(source)
    folder = source / "trajectories" if (source / "trajectories").is_dir() else source
    trajectories = (
        [folder] if _cameras(folder) else [p for p in sorted(folders(folder), key=natural_key) if _cameras(p)]
    )
    if not trajectories:
        mend = "give the folder that holds trajectories/"
        raise DataError("holds no trajectory with cam_C_rgb folders", where=source, mend=mend)
    root = trajectories[0].resolve().parent
    root = root.parent if root.name == "trajectories" else root
    labels, changing = _labels(root / "metadata.json"), root.name.startswith(CHANGING)
    tally = Tally()
    recordings = tuple(
        _recording(trajectory, Path(scratch) / trajectory.resolve().name, labels, changing, tally)
        for trajectory in trajectories
    )
    numbers = sorted({p.object_id for r in recordings for view in r.views() for p in view.placements})
    dataset = Dataset(source, recordings, {n: ObjectModel(n, family=f"label_{n}") for n in numbers})
    reasons = dict.fromkeys(trajectories, "metadata.json gives fewer steps (len)")
    return noted(dataset, notes=tally.lines(), reasons=reasons)


def is_bask(root: Path) -> bool:
    """Whether a folder is a trajectory, or holds some, here or in trajectories/."""
    return any(_cameras(p) for base in (root, root / "trajectories") for p in (base, *folders(base)))


def _cameras(folder: Path) -> list[str]:
    names = (re.fullmatch(r"cam_(.+)_rgb", p.name) for p in folders(folder))
    return sorted((match.group(1) for match in names if match), key=natural_key)


def _labels(path: Path) -> Labels:
    settings = _mapping(path) if path.is_file() else {}
    found = []
    for name in ("object_labels", "ignore_gt_labels"):
        value = settings.get(name)
        if isinstance(value, dict):
            value = value.get("py/tuple", value)  # as jsonpickle writes a tuple
        if value is not None and (not isinstance(value, list) or any(type(n) is not int for n in value)):
            raise DataError(f"{name} is {value!r}", where=path, mend="write a list of whole numbers")
        found.append(None if value is None else frozenset(value))
    return Labels(found[0], found[1] or frozenset())


def _mapping(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError("does not hold names with values", where=path, mend='write {"len": ...}')
    return content


def _recording(trajectory: Path, scratch: Path, labels: Labels, changing: bool, tally: Tally) -> Recording:
    path = trajectory / "metadata.json"
    length = _mapping(path).get("len")
    if type(length) is not int or length < 1:
        raise DataError(f"len is {length!r}", where=path, mend="write the number of steps")
    cameras, steps, poses = _cameras(trajectory), [], []
    for t in range(length):
        views = [read_view(trajectory, camera, t, scratch, labels) for camera in cameras]
        steps.append([view for view in views if view is not None])
        poses.append(load_object_poses(trajectory / "object_poses" / f"{t}.dat"))
        if not steps[t]:
            what = f"step {t} of {length} (metadata.json) has no image"
            raise DataError(what, where=trajectory, mend="copy the trajectory again")
    _count(trajectory, cameras, steps, poses, tally)
    mode = "rig" if len(cameras) > 1 else "shuffle" if changing or not _still(poses) else "scan"
    groups = [str(t) if len(cameras) > 1 else None for t in range(length)]
    moments = [Moment(tuple(v), sync_group=g) for v, g in zip(_posed(steps, poses), groups, strict=True)]
    return Recording(trajectory.resolve().name, mode, tuple(moments))


def _count(
    trajectory: Path,
    cameras: Sequence[str],
    steps: Sequence[Sequence[View]],
    poses: Sequence[dict[str, Tensor]],
    tally: Tally,
) -> None:
    """What single steps lack, and object poses that belong to no label."""
    for camera in cameras:
        views = [view for step in steps for view in step if view.camera == camera]
        lacking = {
            "image": len(steps) - len(views),
            "depth": sum(view.depth is None for view in views),
            "pose": sum(view.world_from_camera is None for view in views),
        }
        for what, count in lacking.items():
            if count < len(views):
                tally.add(f"steps of camera {camera} have no {what}", trajectory.name, count, len(steps))
    if len({name for step in poses for name in step}) > 1:
        what = "trajectories have poses of several objects, which are not used: nothing links them to labels"
        tally.add(what, trajectory.name, 1, 1)


def _still(poses: Sequence[dict[str, Tensor]]) -> bool:
    first: dict[str, Tensor] = {}
    return all(
        bool((first.setdefault(name, pose) - pose)[:3, 3].norm() <= STILL)
        for step in poses
        for name, pose in step.items()
    )


def _posed(steps: list[list[View]], poses: Sequence[dict[str, Tensor]]) -> list[list[View]]:
    """The views with `camera_from_object`, if the trajectory has one label and one pose."""
    labels = {placement.object_id for views in steps for view in views for placement in view.placements}
    names = {name for step in poses for name in step}
    if len(labels) != 1 or len(names) != 1:
        return steps
    (name,) = names
    return [
        [_with_pose(view, step[name]) for view in views] if name in step else views
        for views, step in zip(steps, poses, strict=True)
    ]


def _with_pose(view: View, world_from_object: Float[Tensor, "4 4"]) -> View:
    if view.world_from_camera is None:
        return view
    pose = invert(view.world_from_camera) @ world_from_object
    return replace(view, placements=tuple(replace(p, camera_from_object=pose) for p in view.placements))
