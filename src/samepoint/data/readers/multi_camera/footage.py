"""What each camera of a recording shot: a folder of images or a video, and when each frame was taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samepoint.data.decode import IMAGE_SUFFIXES
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.multi_camera.frame_times import read_frame_times, times_in_names
from samepoint.data.readers.video import VIDEO_SUFFIXES, all_frames
from samepoint.errors import DataError
from samepoint.reading import entries


@dataclass(frozen=True)
class Footage:
    """Frames of a camera by name, in order. `times`: of each, seconds on the clock of `clock` (a file, or "the
    names"); None where nobody says. `broken`: the line of a video that ends before it says."""

    camera: str
    source: Path
    images: Mapping[str, Path]
    times: tuple[float, ...] | None = None
    clock: str = ""
    broken: str | None = None

    @property
    def video(self) -> bool:
        return self.source.is_file()

    @property
    def name(self) -> str:
        """As a message calls it."""
        return self.source.name if self.video else f"{self.source.name}/"


def footage_of(folder: Path, cameras: Sequence[str], cache: Path) -> dict[str, Footage]:
    """The footage of each camera; of one without images it is empty. DataError for two images of one name, two videos
    of one camera, and a file of times that does not fit the frames."""
    found = {camera: _footage(folder, camera, cache) for camera in cameras}
    return times_in_names_of(found)


def times_in_names_of(footage: dict[str, Footage]) -> dict[str, Footage]:
    """Folders whose images are named by their times have these where no image has the name of another camera's."""
    folders = [shot for shot in footage.values() if shot.images and not shot.video and shot.times is None]
    if len(folders) < 2 or len(folders) < sum(bool(shot.images) for shot in footage.values()):
        return footage
    names = [set(shot.images) for shot in folders]
    shared = sum(len(mine & set().union(*names[:i], *names[i + 1 :])) for i, mine in enumerate(names))
    if shared * 2 > sum(map(len, names)):
        return footage
    times = times_in_names([tuple(shot.images) for shot in folders])
    if times is None:
        return footage
    timed = {
        shot.camera: Footage(shot.camera, shot.source, shot.images, stamps, "the names of the images")
        for shot, stamps in zip(folders, times, strict=True)
    }
    return {**footage, **timed}


def shown(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """The files of a folder by suffix, without those that file systems hide."""
    return [path for path in entries(folder) if path.suffix.lower() in suffixes]


def _footage(folder: Path, camera: str, cache: Path) -> Footage:
    if (folder / camera).is_dir():
        files = sorted(shown(folder / camera, IMAGE_SUFFIXES), key=natural_key)
        images = {path.stem: path for path in files}
        if len(images) < len(files):
            double = next(p for p in files if images[p.stem] != p)
            mend = "keep one of them"
            raise DataError(f"two images are named {double.stem}", where=double.parent, mend=mend)
        times, file = read_frame_times(folder, camera, tuple(images))
        return Footage(camera, folder / camera, images, times, file.name if file else "")
    videos = [p for p in shown(folder, VIDEO_SUFFIXES) if p.stem == camera]
    if len(videos) > 1:
        raise DataError(f"camera {camera} has {len(videos)} videos", where=folder, mend="keep one of them")
    if not videos:
        return Footage(camera, folder / camera, {})
    frames = all_frames(videos[0], cache)
    images = {path.stem: path for path in frames.images}
    times, file = read_frame_times(folder, camera, tuple(images))
    broken = next(iter(frames.notes), None)
    clock = file.name if file else "the videos"
    return Footage(camera, videos[0], images, times or frames.times, clock, broken)
