"""Clicks that say which parts of a fused cluster are objects of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from samepoint.data.decode import image_size
from samepoint.data.recording import View
from samepoint.data.takes import Take
from samepoint.errors import DataError, one_of
from samepoint.files import read_json
from samepoint.fusion.frames import camera_of
from samepoint.fusion.views import MeshViews

Click = tuple[str, str, tuple[float, float]]
"""(take or recording, image, pixel)."""


def read_clicks(path: Path, takes: Sequence[Take]) -> tuple[Click, ...]:
    """The clicks of a JSON file, {RECORDING: [{"image": NAME, "uv": [u, v]}, ...]}. DataError if it is another."""
    content, known = read_json(path), [name for take in takes for name in take.names]
    mend = 'write {RECORDING: [{"image": NAME, "uv": [u, v]}, ...]}'
    if not isinstance(content, dict):
        raise DataError("holds no clicks", where=path, mend=mend)
    found: list[Click] = []
    for name, clicks in content.items():
        if name not in known:
            raise DataError(one_of("recording", name, known), where=path)
        try:
            found += [(name, str(c["image"]), (float(c["uv"][0]), float(c["uv"][1]))) for c in clicks]
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise DataError(f"the clicks of {name} are not readable", where=path, mend=mend) from error
    return tuple(found)


def on_surface(clicks: Sequence[Click], take: Take, rendered: MeshViews) -> Float[np.ndarray, "c 3"]:
    """Where the pixels that were clicked in a take lie on its objects (world). DataError for one on no object."""
    return np.array([_point(_view(take, name, image), uv, rendered) for name, image, uv in clicks])


def _view(take: Take, name: str, image: str) -> View:
    lists = [recording for recording in take.lists if name in (recording.name, take.name)]
    views = {view.image: view for recording in lists for view in recording.views()}
    found = [view for path, view in views.items() if path.name == image]
    if not found:
        like = next(iter(views)).name
        raise DataError(f"no image of {name} is called {image}", mend=f"names are like {like}")
    if len(found) > 1:
        names = ", ".join(recording.name for recording in lists)
        raise DataError(f"{name} has {len(found)} images {image}", mend=f"name one of its lists: {names}")
    return found[0]


def _point(view: View, uv: tuple[float, float], rendered: MeshViews) -> Float[np.ndarray, " 3"]:
    intrinsics, pose = camera_of(view)
    depth, labels = rendered.render(intrinsics, pose, image_size(view.image))
    row, column = round(uv[1]), round(uv[0])
    on = 0 <= row < depth.shape[0] and 0 <= column < depth.shape[1] and labels[row, column] >= 0
    if not on:
        what = f"the click at {uv[0]:g}, {uv[1]:g} of {view.image.name} is on no object"
        raise DataError(what, mend="click inside a mask")
    ray = np.linalg.inv(intrinsics) @ (*uv, 1.0)
    return pose[:3, :3] @ (ray * depth[row, column]) + pose[:3, 3]
