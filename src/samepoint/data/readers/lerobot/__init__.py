"""LeRobot data sets (version 2.0, 2.1 or 3.0): each episode a recording.

    meta/info.json   meta/episodes...   data/....parquet   videos/....mp4   samepoint_cameras.json (ours)

`episodes` shows the layouts, `cameras` the side-car with intrinsics, poses and depth, which LeRobot
does not store. Not read: actions, states and tasks (but for the poses that the side-car names), statistics, and depth
that the side-car does not name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samepoint.data.decode import image_size
from samepoint.data.leftovers import noted
from samepoint.data.readers.lerobot.cameras import SIDE_CAR, Camera, read_cameras
from samepoint.data.readers.lerobot.depth import is_depth
from samepoint.data.readers.lerobot.episodes import Episode, read_episodes
from samepoint.data.readers.lerobot.frames import colour_files, depth_files
from samepoint.data.readers.lerobot.layout import INFO, Layout, read_layout
from samepoint.data.readers.lerobot.tables import read_rows, real_number, whole_number
from samepoint.data.readers.tally import Tally
from samepoint.data.recording import Dataset, Mode, Moment, Recording, View
from samepoint.errors import DataError, one_of

MAX_FRAMES = 400
"""Frames kept of an episode, evenly chosen with its first and its last."""


def is_lerobot(root: Path) -> bool:
    """Whether a folder is the root of a LeRobot data set."""
    return (root / INFO).is_file()


def read_lerobot(source: Path, scratch: Path, max_frames: int = MAX_FRAMES) -> Dataset:
    """Reads every episode; frames of videos and images inside parquet become files in `scratch`.

    Several cameras make a recording of mode "rig", a moment a frame. One camera makes "scan" if the side-car calls
    the scene static, else "shuffle". Splits are those of info.json. DataError for what is missing or does not fit.
    """
    root = Path(source)
    layout = read_layout(root)
    cameras = _cameras(layout)
    episodes = read_episodes(layout)
    _check_files(episodes, cameras)
    recordings = tuple(_recording(layout, cameras, episode, scratch, max_frames) for episode in episodes)
    clips = [clip.path for episode in episodes for clip in episode.clips.values()]
    return noted(Dataset(root, recordings), also=clips, notes=_notes(layout, cameras, episodes, max_frames))


def _notes(
    layout: Layout, cameras: dict[str, Camera], episodes: Sequence[Episode], max_frames: int
) -> list[str]:
    """Frames that are not kept, depth that nothing names, and what a missing side-car means."""
    tally = Tally()
    for episode in episodes:
        left = max(episode.length - max_frames, 0)
        what = f"frames are left out, evenly: at most {max_frames} of an episode are kept"
        tally.add(what, f"episode {episode.number}", left, episode.length)
    notes = tally.lines()
    named = {*cameras, *(camera.depth_key for camera in cameras.values())}
    unread = [key for key in layout.of_type("video", "image") if key not in named]
    if unread:
        notes.append(f"{', '.join(unread)}: not read, because no depth_key of {SIDE_CAR} names it")
    if all(camera.intrinsics is None and camera.pose == Camera().pose for camera in cameras.values()):
        notes.append(f"images have neither intrinsics nor poses: {SIDE_CAR} gives none")
    return notes


def _cameras(layout: Layout) -> dict[str, Camera]:
    """A camera for each feature of images that is not depth, with what the side-car says of it."""
    known = read_cameras(layout.root)
    images = layout.of_type("video", "image")
    others = [name for name in layout.features if name not in images]
    depths = {camera.depth_key for camera in known.values()}
    keys = [key for key in images if key not in depths and not is_depth(layout.features[key])]
    if not keys:
        mend = 'features of dtype "video" or "image" are cameras'
        raise DataError("has no camera images", where=layout.where, mend=mend)
    for key, camera in known.items():
        for name, value, valid in (
            ("camera", key, keys),
            ("depth_key", camera.depth_key, images),
            ("pose column", camera.pose.column, others),
        ):
            if value is not None and value not in valid:
                raise DataError(one_of(name, value, valid), where=camera.where)
    return {key: known.get(key, Camera()) for key in keys}


def _check_files(episodes: Sequence[Episode], cameras: dict[str, Camera]) -> None:
    """Before hours of decoding: is everything there?"""
    keys = {*cameras, *(camera.depth_key for camera in cameras.values())}
    for episode in episodes:
        for path in (episode.table, *(clip.path for key, clip in episode.clips.items() if key in keys)):
            if not path.is_file():
                mend = "download or copy the whole data set"
                raise DataError(f"is missing, with episode {episode.number}", where=path, mend=mend)


def _recording(
    layout: Layout, cameras: dict[str, Camera], episode: Episode, scratch: Path, max_frames: int
) -> Recording:
    name = f"episode_{episode.number:06d}"
    rows = _chosen_rows(cameras, episode, max_frames)
    views = {
        key: _views(layout, episode, key, camera, rows, scratch / name) for key, camera in cameras.items()
    }
    several = len(cameras) > 1
    static = all(camera.static for camera in cameras.values())
    mode: Mode = "rig" if several else "scan" if static else "shuffle"
    moments = []
    for row in rows:
        frame = row["frame_index"]
        group = f"{name}/{frame:06d}" if several else None
        moments.append(Moment(tuple(views[key][frame] for key in cameras), row["timestamp"], group))
    return Recording(name, mode, tuple(moments), episode.split)


def _chosen_rows(cameras: dict[str, Camera], episode: Episode, max_frames: int) -> list[dict[str, Any]]:
    """The rows of the kept frames in order, with frame index and time as numbers."""
    poses = {camera.pose.column for camera in cameras.values() if camera.pose.column is not None}
    where = f"{episode.table}, episode {episode.number}"
    rows = list(read_rows(episode.table, ("frame_index", "timestamp", *sorted(poses)), episode.number))
    if len(rows) != episode.length:
        what = f"has {len(rows)} rows, but meta/ says {episode.length}"
        raise DataError(what, where=where, mend="copy the whole data set again")
    for row in rows:
        row["frame_index"] = whole_number(row["frame_index"], "frame_index", where)
        row["timestamp"] = real_number(row["timestamp"], "timestamp", where)
    rows.sort(key=lambda row: row["frame_index"])
    if len({row["frame_index"] for row in rows}) != len(rows):
        raise DataError("has a frame twice", where=where, mend="write the data set again")
    if len(rows) <= max_frames:
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, max_frames).round().astype(int)]


def _views(
    layout: Layout, episode: Episode, key: str, camera: Camera, rows: Sequence[dict[str, Any]], folder: Path
) -> dict[int, View]:
    """The views of one camera by their frame."""
    frames = [row["frame_index"] for row in rows]
    poses = camera.pose.poses(rows, f"{episode.table}, episode {episode.number}")
    images = colour_files(layout, episode, key, frames, folder / key)
    _check_size(camera, images[frames[0]])
    depths = {}
    if camera.depth_key is not None:
        depths = depth_files(layout, episode, camera.depth_key, camera, frames, folder / camera.depth_key)
    return {
        frame: View(
            key, images[frame], camera.intrinsics, poses.get(frame), depths.get(frame), lens=camera.lens
        )
        for frame in frames
    }


def _check_size(camera: Camera, image: Path) -> None:
    height, width = image_size(image)
    declared = (camera.size[0] or width, camera.size[1] or height)
    if declared != (width, height):
        what = f"is for {declared[0]}x{declared[1]} images, but these are {width}x{height}"
        raise DataError(what, where=camera.where, mend="give the intrinsics of the images as they are")
