"""LeRobot's image features: encoded images inside the parquet rows, or files that the rows name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from samepoint.data.readers.lerobot.episodes import Episode
from samepoint.data.readers.lerobot.tables import read_rows, whole_number
from samepoint.errors import DataError
from samepoint.files import clear_disk_errors

STARTS = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"II*\0": ".tiff",
    b"MM\0*": ".tiff",
    b"RIFF": ".webp",
    b"BM": ".bmp",
}
TEMPLATES = (
    "images/{key}/episode_{episode:06d}/frame_{frame:06d}{suffix}",
    "images/{key}/episode-{episode:06d}/frame-{frame:06d}{suffix}",
)
"""Where versions 2 and 3 keep image files."""


def image_files(
    root: Path, episode: Episode, key: str, frames: Sequence[int], folder: Path
) -> dict[int, Path]:
    """The file of each frame's image: written into `folder`, or where it lies if the row holds but a name.

    A row's value is {"bytes", "path"}. DataError for a frame without an image.
    """
    files: dict[int, Path] = {}
    for row in read_rows(episode.table, ("frame_index", key), episode.number, frames):
        where = f"{episode.table}, episode {episode.number}, frame {row['frame_index']}, {key}"
        frame = whole_number(row["frame_index"], "frame_index", where)
        value = row[key] if isinstance(row[key], dict) else {}
        content, name = value.get("bytes"), value.get("path")
        if isinstance(content, bytes) and content:
            suffix = next((s for start, s in STARTS.items() if content.startswith(start)), None)
            if suffix is None:
                raise DataError("is not an encoded image", where=where, mend="write PNG, JPEG or TIFF")
            files[frame] = folder / f"{frame:06d}{suffix}"
            write_file(files[frame], content)
        else:
            files[frame] = _named(root, key, episode.number, frame, name, where)
    return files


def write_file(path: Path, content: bytes) -> None:
    with clear_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _named(root: Path, key: str, episode: int, frame: int, name: object, where: str) -> Path:
    named = [root / name] if isinstance(name, str) and name else []
    for template in TEMPLATES:
        for suffix in (".png", ".tiff", ".jpg"):
            named.append(root / template.format(key=key, episode=episode, frame=frame, suffix=suffix))
    found = next((path for path in named if path.is_file()), None)
    if found is None:
        mend = f"copy {named[0].relative_to(root) if named[0].is_relative_to(root) else named[0]} too"
        raise DataError("has no image, and its file is not there", where=where, mend=mend)
    return found
