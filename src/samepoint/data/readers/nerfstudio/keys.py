"""Keys of a transforms file: those that are read, those for other programs alone, and what is said of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

SHARED = (
    "camera_model",
    "fl_x",
    "fl_y",
    "cx",
    "cy",
    "w",
    "h",
    "k1",
    "k2",
    "k3",
    "k4",
    "k5",
    "k6",
    "p1",
    "p2",
)
ANGLES = ("camera_angle_x", "camera_angle_y", "x_fov", "y_fov", "is_fisheye")
LENSES = ("ftheta_p0", "latlong", "equirectangular", "orthographic")
"""What instant-ngp names, in place of a model, where pixels are no pinhole's."""
DEPTH_KEYS = ("depth_file_path", "depth_path")
"""nerfstudio's and instant-ngp's."""
DEPTH_UNITS = ("integer_depth_scale", "depth_unit_scale_factor")
METRES_PER_UNIT = 1e-3
"""Of depth where the file does not say: what nerfstudio assumes."""
SWITCH = "enable_depth_loading"
LISTS = ("train_filenames", "val_filenames", "test_filenames")
FRAMES = ("frames", "file_path", "transform_matrix", "mask_path", "time", "applied_scale")
READ = frozenset((*SHARED, *ANGLES, *LENSES, *DEPTH_KEYS, *DEPTH_UNITS, SWITCH, *LISTS, *FRAMES))
TRAINING = (
    "sharpness sharpen white_transparent black_transparent mask_color fix_premult near far z_near z_far"
)
WORLD = (
    "aabb aabb_scale render_aabb scale offset up from_na applied_transform orientation_override ply_file_path"
)
NAMES = "colmap_im_id frame_id image_id id rotation n_extra_learnable_dims enable_ray_loading"
ELSEWHERE = frozenset(f"{TRAINING} {WORLD} {NAMES}".split())
"""How another program trains or draws; the world and its cameras are the same without them."""


def key_notes(content: dict[str, Any], frames: Sequence[dict[str, Any]], name: str) -> list[str]:
    """What is to be said of keys: depth whose unit is assumed or that is switched off, a shutter, unknown ones."""
    notes = []
    measured = sum(any(frame.get(key) is not None for key in DEPTH_KEYS) for frame in frames)
    off = sum(frame.get("depth_path") is not None for frame in frames)
    if off and content.get(SWITCH) is False:
        notes.append(f"{off} frames have a depth_path that is not read: {SWITCH} is false")
    elif measured and not any(key in content or key in frames[0] for key in DEPTH_UNITS):
        notes.append(f"depth is read as millimetres: no {DEPTH_UNITS[0]} says its unit (--depth-scale does)")
    shutters = [holder["rolling_shutter"] for holder in (content, *frames) if "rolling_shutter" in holder]
    if any(any(shutter) if isinstance(shutter, list) else shutter for shutter in shutters):
        notes.append("rolling_shutter is not read: a frame's pose is taken for all its rows")
    counts = Counter(key for frame in frames for key in frame)
    others = dict.fromkeys(content, 0) | counts
    unread = [key for key in others if key not in READ | ELSEWHERE | {"rolling_shutter"}]
    if unread:
        shown = [key if not counts[key] else f"{key} ({counts[key]} frames)" for key in unread]
        notes.append(f"keys that are not read: {', '.join(shown)}")
    return [f"{name}: {note}" for note in notes]
