"""What a fused scan becomes: scenes in the native form, meshes, a row of the report, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from samepoint.data.bop_writer import ObjectMesh
from samepoint.data.decode import image_size
from samepoint.data.importers import written_view
from samepoint.data.quantile_files import decode_quantiles
from samepoint.data.recording import Recording, View
from samepoint.data.scene_writer import SceneWriter, WrittenView
from samepoint.data.takes import Take
from samepoint.fusion.frames import camera_of, usable_views
from samepoint.fusion.objects import part
from samepoint.fusion.scene import FusedScene
from samepoint.fusion.views import MeshViews

PICTURE_FRAMES = 6


def mesh_of(scene: FusedScene, k: int) -> ObjectMesh:
    """An object's part of the surface, with its origin in the middle of its bounding box and the world's axes."""
    mine = part(scene.surface, scene.labels == k)
    vertices = mine.vertices.astype(np.float64) - _centre(scene, k)
    return ObjectMesh(None, torch.from_numpy(vertices).float(), torch.from_numpy(mine.triangles).long())


def _centre(scene: FusedScene, k: int) -> Float[np.ndarray, " 3"]:
    points = scene.surface.vertices[scene.labels == k].astype(np.float64)
    return (points.min(0) + points.max(0)) / 2


def write_scene(
    recording: Recording, scene: FusedScene, ids: Sequence[int], target: SceneWriter, depth: str
) -> None:
    """Writes a recording with the scene's masks, the poses of its objects `ids`, and its depth or the sensor's."""
    objects = []
    for k, number in enumerate(ids):
        world_from_object = np.eye(4)
        world_from_object[:3, 3] = _centre(scene, k)
        objects.append((number, world_from_object))
    for moment in recording.moments:
        written = [_written(view, scene.views, objects, depth) for view in moment.views]
        target.add_moment(written, moment.time, moment.sync_group)


def _written(
    view: View, rendered: MeshViews, objects: Sequence[tuple[int, Float[np.ndarray, "4 4"]]], depth: str
) -> WrittenView:
    if view.intrinsics is None or view.world_from_camera is None:
        return written_view(
            View(view.camera, view.image, view.intrinsics, view.world_from_camera, view.depth)
        )
    intrinsics, pose = camera_of(view)
    metres, labels = rendered.render(intrinsics, pose, image_size(view.image))
    camera_from_world = np.linalg.inv(pose)
    placements = [(number, camera_from_world @ world_from_object) for number, world_from_object in objects]
    kept, quantiles = metres, None
    if depth == "sensor":
        kept, quantiles = view.depth, view.depth_quantiles
    return WrittenView(
        view.camera,
        view.image,
        view.intrinsics,
        view.world_from_camera,
        kept,
        (labels + 1).astype(np.uint8),
        placements,
        depth_quantiles=None if quantiles is None else decode_quantiles(quantiles, image_size(view.image)),
    )


def copy_recording(recording: Recording, target: SceneWriter) -> None:
    """Writes a recording as it is."""
    for moment in recording.moments:
        target.add_moment([written_view(view) for view in moment.views], moment.time, moment.sync_group)


def row_of(take: Take, scene: FusedScene, ids: Sequence[int], written: Sequence[str]) -> dict[str, Any]:
    """What the report says of a scan; `written` are the recordings that it became."""
    objects = [
        {
            "object_id": number,
            "size_m": [round(float(edge), 4) for edge in scene.extent(k)],
            "may_be": scene.may_be[k],
        }
        for k, number in enumerate(ids)
    ]
    return {
        "recording": take.name,
        "written": list(written),
        "frames": len(usable_views(take.whole)),
        "box_m": [round(edge, 4) for edge in scene.box],
        "vertices": len(scene.surface.vertices),
        "objects": objects,
    }


def picture_of(recording: Recording, scene: FusedScene) -> tuple[list[Path], list[np.ndarray], list[str]]:
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
