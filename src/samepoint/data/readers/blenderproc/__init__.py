"""Frames that BlenderProc wrote as HDF5.

    OUT/0.hdf5, OUT/1.hdf5, ...       or OUT/SCENE/0.hdf5, ...: a recording for each folder
    OUT/intrinsics.json               {"width", "height", "fx", "fy", "cx", "cy"} if the files hold no cam_K

    colors                  h w 3 uint8 RGB; a fourth channel is dropped
    depth | distance        h w metres, along the optical axis | along the ray
    instance_segmaps        h w; instance_attribute_maps: JSON [{"idx", "name", "category_id", ...}]
    campose, object_states  poses (`states`): only what state writers or scripts add has them

Instances become objects by their `name`, which means the same object in every frame; the family is the name without
Blender's number ("mug.001" is a "mug"), so copies of an object share it. Without names an instance counts for its
folder alone. Number 0, and category_id 0 where it is given, are background; depth is unknown on number 0. A recording
is a "scan"; "shuffle" if an object moves between frames by more than 2 cm (object_states), or if a number changes its
name, as it does when runs of different scenes were appended.

Not read: stereo pairs, normals, optical flow, NOCS, class maps, lights; lens distortion (straight cameras only).
Without object_states nothing tells whether runs appended to one folder moved the objects: keep runs in folders of
their own. A distance image ends at the range it was rendered with (25 m unless set), which is read as depth where no
instance map says that it is background.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from samepoint.data.checks import checked_poses
from samepoint.data.leftovers import noted
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.blenderproc.frame import colours, depth_along_axis, instances, read_content
from samepoint.data.readers.blenderproc.states import (
    camera_state,
    frame_intrinsics,
    object_poses,
    world_from_camera,
)
from samepoint.data.readers.scratch_files import write_colour, write_depth, write_mask
from samepoint.data.recording import Dataset, Moment, ObjectModel, Placement, Recording, View
from samepoint.errors import DataError
from samepoint.geometry.motions import invert
from samepoint.reading import folders, matching

STILL = 0.02
"""Metres that an object may seem to move in a static scene."""


def read_blenderproc(source: Path, scratch: Path) -> Dataset:
    """Reads a folder of frames, or the folders with frames in it; images and arrays go to `scratch`.

    DataError for unreadable files, missing keys, sizes that do not fit, and depth without intrinsics;
    MissingDependencyError without h5py.
    """
    source = Path(source)
    scenes = (
        [source] if _frames(source) else [p for p in sorted(folders(source), key=natural_key) if _frames(p)]
    )
    if not scenes:
        raise DataError("holds no frames 0.hdf5, 1.hdf5, ...", where=source, mend="give the output folder")
    objects: dict[str, int] = {}
    read = [_Scene(folder, Path(scratch), objects) for folder in scenes]
    recordings = tuple(scene.recording() for scene in read)
    families = {number: re.sub(r"\.\d{3,}$", "", name) for name, number in objects.items()}
    dataset = Dataset(source, recordings, {n: ObjectModel(n, family=name) for n, name in families.items()})
    unread = sorted({key for scene in read for key in scene.unread})
    notes = [f"keys that are not read: {', '.join(unread)}"] if unread else []
    return noted(dataset, also=[path for folder in scenes for path in _frames(folder)], notes=notes)


def is_blenderproc(root: Path) -> bool:
    """Whether a folder holds frames 0.hdf5, 1.hdf5, ... or folders with them."""
    return any(_frames(folder) for folder in (root, *folders(root)))


def _frames(folder: Path) -> list[Path]:
    found = matching(folder, "*.hdf5")
    return sorted((p for p in found if re.fullmatch(r"[0-9]+", p.stem)), key=lambda p: int(p.stem))


class _Scene:
    """Reads one folder. `objects` numbers the names of all folders; whether things move is found on the way."""

    def __init__(self, folder: Path, scratch: Path, objects: dict[str, int]) -> None:
        self.folder, self.name, self.objects = folder, folder.resolve().name, objects
        self.scratch = scratch / self.name
        self.names: dict[int, str] = {}
        self.places: dict[str, np.ndarray] = {}
        self.still = True
        self.unread: set[str] = set()

    def recording(self) -> Recording:
        moments = tuple(Moment((self._view(path),)) for path in _frames(self.folder))
        return Recording(self.name, "scan" if self.still else "shuffle", moments)

    def _view(self, path: Path) -> View:
        content, others = read_content(path)
        self.unread |= others
        stem = self.scratch / f"{int(path.stem):06d}"
        image = colours(content, path)
        state = camera_state(content, path)
        pose = world_from_camera(state, path)
        intrinsics = frame_intrinsics(state, (image.shape[0], image.shape[1]), path)
        metres = depth_along_axis(content, intrinsics, path)
        labels, attributes = instances(content, path)
        if metres is not None and labels is not None:
            metres = np.where(labels == 0, np.float32(0), metres)
        states = object_poses(content["object_states"], path) if "object_states" in content else {}
        self._compare(attributes, states)
        placed = [] if labels is None else self._placed(stem, labels, attributes)
        placements = tuple(Placement(n, _seen(pose, states.get(name)), mask) for n, name, mask in placed)
        depth = None if metres is None else write_depth(stem.with_suffix(".npy"), metres)
        return View(
            "cam0", write_colour(stem.with_suffix(".png"), image), intrinsics, pose, depth, placements
        )

    def _placed(
        self, stem: Path, labels: Int64[np.ndarray, "h w"], attributes: dict[int, dict[str, Any]]
    ) -> list[tuple[int, str, Path]]:
        """Object id, name and mask of each instance that is visible."""
        placed = []
        for number in np.unique(labels).tolist():
            row = attributes.get(number, {})
            if number == 0 or str(row.get("category_id", "")) in ("0", "0.0"):
                continue
            name = str(row.get("name", f"{self.name}/instance_{number}"))
            object_id = self.objects.setdefault(name, len(self.objects) + 1)
            mask = write_mask(stem.with_name(f"{stem.name}_{number:06d}.png"), labels == number)
            placed.append((object_id, name, mask))
        return placed

    def _compare(self, attributes: dict[int, dict[str, Any]], states: dict[str, np.ndarray]) -> None:
        for number, row in attributes.items():
            if "name" in row and self.names.setdefault(number, str(row["name"])) != str(row["name"]):
                self.still = False
        for name, pose in states.items():
            if np.linalg.norm(self.places.setdefault(name, pose)[:3, 3] - pose[:3, 3]) > STILL:
                self.still = False


def _seen(
    world_from_camera: Float[Tensor, "4 4"] | None, world_from_object: np.ndarray | None
) -> Float[Tensor, "4 4"] | None:
    if world_from_camera is None or world_from_object is None:
        return None
    return invert(world_from_camera) @ checked_poses([world_from_object], ["object_states"])[0]
