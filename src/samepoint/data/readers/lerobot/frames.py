"""Image and depth files of the chosen frames of an episode, whether LeRobot stored them as videos or as images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from samepoint.data.decode import quantise_depth
from samepoint.data.readers.lerobot.cameras import Camera
from samepoint.data.readers.lerobot.depth import depth_code, metres_per_unit
from samepoint.data.readers.lerobot.episodes import Clip, Episode
from samepoint.data.readers.lerobot.images import image_files, write_file
from samepoint.data.readers.lerobot.layout import Layout
from samepoint.data.readers.lerobot.video import codes, colour, frames_at
from samepoint.data.recording import DepthFile
from samepoint.errors import DataError

JPEG_QUALITY = 95


def colour_files(
    layout: Layout, episode: Episode, key: str, frames: Sequence[int], folder: Path
) -> dict[int, Path]:
    """The image file of each frame (its index in the episode, ascending) of a camera; new ones go to `folder`."""
    if layout.features[key]["dtype"] == "image":
        return image_files(layout.root, episode, key, frames, folder)
    files: dict[int, Path] = {}
    for frame, picture in _pictures(layout, episode.clips[key], frames):
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _, content = cv2.imencode(".jpg", np.ascontiguousarray(colour(picture)[..., ::-1]), quality)
        files[frame] = folder / f"{frame:06d}.jpg"
        write_file(files[frame], content.tobytes())
    return files


def depth_files(
    layout: Layout, episode: Episode, key: str, camera: Camera, frames: Sequence[int], folder: Path
) -> dict[int, DepthFile]:
    """The depth of each frame of `camera`, which is in the feature `key`."""
    feature = layout.features[key]
    if feature["dtype"] == "image":
        unit = metres_per_unit(feature, camera.depth_scale, camera.where)
        files = image_files(layout.root, episode, key, frames, folder)
        return {frame: DepthFile(path, unit) for frame, path in files.items()}
    if camera.depth_scale is not None:
        mend = "remove it: a depth video of LeRobot is coded in metres"
        raise DataError("gives depth_scale for a depth video", where=camera.where, mend=mend)
    code = depth_code(feature, f"{layout.where}, {key}")
    depths: dict[int, DepthFile] = {}
    clip = episode.clips[key]
    for frame, picture in _pictures(layout, clip, frames):
        units, unit = quantise_depth(code.metres(codes(picture, clip.path)))
        _, content = cv2.imencode(".png", units)
        depths[frame] = DepthFile(folder / f"{frame:06d}.png", unit)
        write_file(depths[frame].path, content.tobytes())
    return depths


def _pictures(layout: Layout, clip: Clip, frames: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Each frame with its picture. Times are by index: the timestamps in the rows are rounded to float32."""
    times = [clip.start + frame / layout.fps for frame in frames]
    return zip(frames, frames_at(clip.path, times, 1 / layout.fps), strict=False)
