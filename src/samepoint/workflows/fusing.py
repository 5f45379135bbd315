"""`samepoint data fuse`: scans with depth and poses become objects, masks and clean depth in the native form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float

from samepoint.data.bop_writer import BopWriter, ObjectMesh
from samepoint.data.decode import image_size
from samepoint.data.importers import object_mesh, written_view
from samepoint.data.open import open_dataset
from samepoint.data.recording import Recording, View
from samepoint.data.scene_writer import SceneWriter, WrittenView
from samepoint.errors import DataError, one_of
from samepoint.files import folder_written_whole, read_json, write_json
from samepoint.fusion.frames import camera_of, usable_views
from samepoint.fusion.robot import robot_pixels
from samepoint.fusion.scene import FusedScene, fuse_scene, split_by_clicks
from samepoint.fusion.settings import FusionSettings
from samepoint.fusion.views import MeshViews
from samepoint.viewers.fusion_pictures import draw_fusion

Say = Callable[[str], None]
PICTURE_FRAMES = 6


@dataclass(frozen=True)
class Fusing:
    """What to fuse and what to write.

    `empty`: name of the recording of the scene without objects, for change detection. `robot`: names of recordings
    that show the robot alone (those of mode robot-only are). `clicks`: JSON file, {RECORDING: [{"image": NAME,
    "uv": [u, v]}, ...]}: several clicks on one object split it. `depth`: what is written, "fused" (rendered from the
    mesh: clean, none outside of the workspace) or "sensor" (as it was).
    """

    empty: str | None = None
    robot: tuple[str, ...] = ()
    clicks: Path | None = None
    depth: Literal["fused", "sensor"] = "fused"
    settings: FusionSettings = field(default_factory=FusionSettings)


def fuse_dataset(
    path: Path, out: Path, fusing: Fusing | None = None, say: Say = print
) -> list[dict[str, Any]]:
    """Writes `out`, whole or not at all, with a mesh an object, and returns what was found, a row a recording
    (also in `out`/fusion/fusion.json, with a picture of each).

    Scans are fused, each with objects of its own; other recordings are kept as they are. Raises DataError.
    """
    fusing = fusing or Fusing()
    dataset = open_dataset(path)
    scans, others, empty = _sorted_out(dataset.recordings, fusing)
    robot = _robot(others)
    behind = None if empty is None else _fused(empty, fusing, robot, None, {}, say).views
    clicks = {} if fusing.clicks is None else _read_clicks(fusing.clicks, scans)
    rows: list[dict[str, Any]] = []
    with folder_written_whole(out) as draft:
        writer = BopWriter(draft, {"fused_from": dataset.root.name})
        for model in dataset.objects.values():
            writer.add_object(object_mesh(model), model.object_id)
        numbers: dict[str, int] = {}
        for recording in (*scans, *others):
            split = recording.split or "train"
            number = numbers[split] = numbers.get(split, -1) + 1
            with writer.scene(split, number, recording.mode) as target:
                if recording in others:
                    _copy(recording, target)
                    continue
                scene = _fused(recording, fusing, robot, behind, clicks, say)
                ids = [writer.add_object(_mesh_of(scene, k)) for k in range(scene.number)]
                _write(recording, scene, ids, target, fusing.depth)
                rows.append(_row(recording, scene, ids))
                draw_fusion(draft / "fusion" / f"{split}-{number:06d}.png", *_picture(recording, scene))
        write_json(draft / "fusion" / "fusion.json", {"recordings": rows}, indent=1)
        writer.close()
    return rows


def _sorted_out(
    recordings: Sequence[Recording], fusing: Fusing
) -> tuple[list[Recording], list[Recording], Recording | None]:
    """Scans to fuse, recordings to keep as they are (the robot's with that mode), and the empty scene."""
    names = [recording.name for recording in recordings]
    for name in (*fusing.robot, *([] if fusing.empty is None else [fusing.empty])):
        if name not in names:
            raise DataError(one_of("recording", name, names))
    scans: list[Recording] = []
    others: list[Recording] = []
    empty = None
    for recording in recordings:
        if recording.name == fusing.empty:
            empty = recording
        elif recording.name in fusing.robot or recording.mode == "robot-only":
            others.append(Recording(recording.name, "robot-only", recording.moments, recording.split))
        elif recording.mode == "scan":
            scans.append(recording)
        else:
            others.append(recording)
    if not scans:
        mend = "give a recording of a moving camera in a still scene, with depth and poses"
        raise DataError("there is no scan to fuse", mend=mend)
    return scans, others, empty


def _robot(others: Sequence[Recording]) -> Bool[np.ndarray, "h w"] | None:
    views = [
        view
        for recording in others
        if recording.mode == "robot-only"
        for view in recording.views()
        if view.depth is not None
    ]
    return robot_pixels(views) if views else None


def _fused(
    recording: Recording,
    fusing: Fusing,
    robot: Bool[np.ndarray, "h w"] | None,
    behind: MeshViews | None,
    clicks: dict[str, list[tuple[str, tuple[float, float]]]],
    say: Say,
) -> FusedScene:
    views = usable_views(recording)

    def progress(what: str, done: int, frames: int) -> None:
        if done % max(1, frames // 4) == 0 or done == frames:
            say(f"{recording.name}: {what}, {done} of {frames} frames")

    try:
        scene = fuse_scene(views, fusing.settings, robot=robot, empty=behind, progress=progress)
    except DataError as error:
        raise DataError(error.what, where=error.where or recording.name, mend=error.mend) from error
    if clicks.get(recording.name):
        scene = split_by_clicks(scene, _in_world(clicks[recording.name], views, scene), fusing.settings)
    for k, parts in enumerate(scene.may_be):
        if parts > 1:
            say(
                f"{recording.name}: object {k + 1} may be {parts} objects that touch: look at the picture; split"
                " it with --clicks if so"
            )
    return scene


def _read_clicks(path: Path, scans: Sequence[Recording]) -> dict[str, list[tuple[str, tuple[float, float]]]]:
    content, known = read_json(path), [recording.name for recording in scans]
    mend = 'write {RECORDING: [{"image": NAME, "uv": [u, v]}, ...]}'
    if not isinstance(content, dict):
        raise DataError("holds no clicks", where=path, mend=mend)
    found: dict[str, list[tuple[str, tuple[float, float]]]] = {}
    for name, clicks in content.items():
        if name not in known:
            raise DataError(one_of("recording", name, known), where=path)
        try:
            found[name] = [(str(c["image"]), (float(c["uv"][0]), float(c["uv"][1]))) for c in clicks]
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise DataError(f"the clicks of {name} are not readable", where=path, mend=mend) from error
    return found


def _in_world(
    clicks: Sequence[tuple[str, tuple[float, float]]], views: Sequence[View], scene: FusedScene
) -> Float[np.ndarray, "c 3"]:
    """Where the clicked pixels lie on the surface."""
    by_name = {view.image.name: view for view in views}
    rendered, points = scene.views, []
    for name, (u, v) in clicks:
        if name not in by_name:
            raise DataError(f"no image is called {name}", mend=f"names are like {views[0].image.name}")
        view = by_name[name]
        intrinsics, pose = camera_of(view)
        depth, labels = rendered.render(intrinsics, pose, image_size(view.image))
        row, column = round(v), round(u)
        on = 0 <= row < depth.shape[0] and 0 <= column < depth.shape[1] and labels[row, column] >= 0
        if not on:
            raise DataError(
                f"the click at {u:g}, {v:g} of {name} is on no object", mend="click inside a mask"
            )
        ray = np.linalg.inv(intrinsics) @ (u, v, 1.0)
        points.append(pose[:3, :3] @ (ray * depth[row, column]) + pose[:3, 3])
    return np.array(points)


def _mesh_of(scene: FusedScene, k: int) -> ObjectMesh:
    """An object's part of the surface, with its origin in the middle of its bounding box and the world's axes."""
    mine = scene.labels == k
    triangles = scene.surface.triangles[mine[scene.surface.triangles].all(1)]
    number = np.cumsum(mine) - 1
    vertices = scene.surface.vertices[mine].astype(np.float64) - _centre(scene, k)
    return ObjectMesh(None, torch.from_numpy(vertices).float(), torch.from_numpy(number[triangles]))


def _centre(scene: FusedScene, k: int) -> Float[np.ndarray, " 3"]:
    points = scene.surface.vertices[scene.labels == k].astype(np.float64)
    return (points.min(0) + points.max(0)) / 2


def _write(
    recording: Recording, scene: FusedScene, ids: Sequence[int], target: SceneWriter, depth: str
) -> None:
    rendered = scene.views
    for moment in recording.moments:
        written = [_written(view, scene, ids, rendered, depth) for view in moment.views]
        target.add_moment(written, moment.time, moment.sync_group)


def _written(
    view: View, scene: FusedScene, ids: Sequence[int], rendered: MeshViews, depth: str
) -> WrittenView:
    if view.intrinsics is None or view.world_from_camera is None:
        return written_view(
            View(view.camera, view.image, view.intrinsics, view.world_from_camera, view.depth)
        )
    intrinsics, pose = camera_of(view)
    metres, labels = rendered.render(intrinsics, pose, image_size(view.image))
    placements = []
    for k, number in enumerate(ids):
        world_from_object = np.eye(4)
        world_from_object[:3, 3] = _centre(scene, k)
        placements.append((number, np.linalg.inv(pose) @ world_from_object))
    kept = view.depth if depth == "sensor" else metres
    labels = (labels + 1).astype(np.uint8)
    return WrittenView(
        view.camera, view.image, view.intrinsics, view.world_from_camera, kept, labels, placements
    )


def _copy(recording: Recording, target: SceneWriter) -> None:
    for moment in recording.moments:
        target.add_moment([written_view(view) for view in moment.views], moment.time, moment.sync_group)


def _row(recording: Recording, scene: FusedScene, ids: Sequence[int]) -> dict[str, Any]:
    objects = [
        {
            "object_id": number,
            "size_m": [round(float(edge), 4) for edge in scene.extent(k)],
            "may_be": scene.may_be[k],
        }
        for k, number in enumerate(ids)
    ]
    return {
        "recording": recording.name,
        "frames": len(usable_views(recording)),
        "box_m": [round(edge, 4) for edge in scene.box],
        "vertices": len(scene.surface.vertices),
        "objects": objects,
    }


def _picture(recording: Recording, scene: FusedScene) -> tuple[list[Path], list[np.ndarray], list[str]]:
    """Frames spread over the recording, the objects in them, and a name for each object."""
    views = usable_views(recording)
    chosen = [views[i] for i in np.unique(np.linspace(0, len(views) - 1, PICTURE_FRAMES).round().astype(int))]
    rendered = scene.views
    labels = [rendered.render(*camera_of(view), image_size(view.image))[1] for view in chosen]
    names = [
        f"{k + 1}: {' x '.join(f'{100 * edge:.0f}' for edge in scene.extent(k))} cm"
        + (f", may be {scene.may_be[k]}" if scene.may_be[k] > 1 else "")
        for k in range(scene.number)
    ]
    return [view.image for view in chosen], labels, names
