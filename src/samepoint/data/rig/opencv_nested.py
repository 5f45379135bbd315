"""Cameras that stand in mappings of their own: multical, and JSON that people write."""

from __future__ import annotations

from collections.abc import Mapping

from samepoint.data.rig.opencv_keys import Values, matrices_of
from samepoint.data.rig.opencv_storage import Value


def cameras_inside(values: Values) -> dict[str, dict[str, Value]]:
    """Mappings with a camera matrix each, at the top or one below it (`cameras`), by name; multical's `camera_poses`
    are put to them."""
    tables = {key: value for key, value in values.items() if isinstance(value, dict)}
    for holder in (tables, *tables.values()):
        found = {
            name: dict(table)
            for name, table in holder.items()
            if isinstance(table, dict) and "" in matrices_of(table)
        }
        if found:
            poses = tables.get("camera_poses", {})
            return {name: table | _pose_of(name, poses) for name, table in found.items()}
    return {}


def _pose_of(name: str, poses: Mapping[str, Value]) -> dict[str, Value]:
    """multical's pose of a camera: NAME, or NAME_to_MASTER."""
    key = name if name in poses else next((key for key in poses if key.startswith(f"{name}_to_")), "")
    pose = poses.get(key)
    return dict(pose) if isinstance(pose, dict) else {}
