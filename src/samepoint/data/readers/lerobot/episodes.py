"""Which files hold which episode of a LeRobot data set, in versions 2 and 3.

    v2.0, v2.1    meta/episodes.jsonl, a line an episode: {"episode_index": 0, "length": 120, ...}
                  data/chunk-000/episode_000000.parquet
                  videos/chunk-000/KEY/episode_000000.mp4
    v3.0          meta/episodes/chunk-000/file-000.parquet, a row an episode: episode_index, length, data/chunk_index,
                  data/file_index, and for a camera videos/KEY/chunk_index, .../file_index, .../from_timestamp
                  data/chunk-000/file-000.parquet and videos/KEY/chunk-000/file-000.mp4, many episodes in each

meta/info.json gives "codebase_version", "fps", "features", "splits" and the file names as templates ("data_path",
"video_path"); in version 2 the chunk of an episode is its index divided by "chunks_size".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samepoint.data.readers.lerobot.layout import Layout
from samepoint.data.readers.lerobot.tables import read_rows, real_number, whole_number
from samepoint.data.recording import Split
from samepoint.errors import DataError
from samepoint.reading import matching
from samepoint.text import read_lines

SPLITS: dict[str, Split] = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Clip:
    """The part of a video that belongs to an episode: it starts `start` seconds after the video does."""

    path: Path
    start: float


@dataclass(frozen=True)
class Episode:
    """`table` is the parquet file with its rows, `clips` its part of each video feature."""

    number: int
    length: int
    table: Path
    clips: Mapping[str, Clip]
    split: Split | None = None


def read_episodes(layout: Layout) -> list[Episode]:
    """All episodes by their index. DataError if there is none."""
    entries = _v3_entries(layout) if layout.version.startswith("v3") else _v2_entries(layout)
    splits = _splits(layout)
    episodes: dict[int, Episode] = {}
    for where, entry in entries:
        number = whole_number(entry.get("episode_index"), "episode_index", where)
        length = whole_number(entry.get("length"), "length", where)
        if number in episodes or length == 0:
            what = f"episode {number} {'is listed twice' if number in episodes else 'has no frames'}"
            raise DataError(what, where=where, mend="remove the entry")
        files = _v3_files if layout.version.startswith("v3") else _v2_files
        table, clips = files(layout, number, entry, where)
        split: Split | None = next((name for name, members in splits if number in members), None)
        episodes[number] = Episode(number, length, table, clips, split)
    if not episodes:
        mend = "a recording program must call finalize() at its end"
        raise DataError("has no episodes", where=layout.root / "meta", mend=mend)
    return [episodes[number] for number in sorted(episodes)]


Entry = tuple[str, dict[str, Any]]


def _v2_entries(layout: Layout) -> Iterable[Entry]:
    path = layout.root / "meta" / "episodes.jsonl"
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}, line {number}"
        if line.strip():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"is not valid JSON ({error})", where=where, mend="copy it again") from error
            if not isinstance(entry, dict):
                raise DataError("is not an episode", where=where, mend="copy it again")
            yield where, entry


def _v2_files(
    layout: Layout, number: int, _entry: Mapping[str, Any], _where: str
) -> tuple[Path, dict[str, Clip]]:
    size = whole_number(layout.content.get("chunks_size", 1000), "chunks_size", layout.where)
    if size == 0:
        raise DataError("chunks_size is 0", where=layout.where, mend="give the episodes in a chunk (1000)")
    names = {"episode_chunk": number // size, "episode_index": number}
    clips = {
        key: Clip(layout.file("video_path", video_key=key, **names), 0.0) for key in layout.of_type("video")
    }
    return layout.file("data_path", **names), clips


def _v3_entries(layout: Layout) -> Iterable[Entry]:
    columns = ["episode_index", "length", "data/chunk_index", "data/file_index"]
    for key in layout.of_type("video"):
        columns += [f"videos/{key}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
    for path in matching(layout.root / "meta" / "episodes", "*/*.parquet"):
        for entry in read_rows(path, columns):
            yield f"{path}, episode {entry['episode_index']}", entry


def _v3_files(
    layout: Layout, _number: int, entry: Mapping[str, Any], where: str
) -> tuple[Path, dict[str, Clip]]:
    def place(prefix: str) -> dict[str, int]:
        names = ("chunk_index", "file_index")
        return {name: whole_number(entry[f"{prefix}/{name}"], f"{prefix}/{name}", where) for name in names}

    clips = {}
    for key in layout.of_type("video"):
        start = f"videos/{key}/from_timestamp"
        path = layout.file("video_path", video_key=key, **place(f"videos/{key}"))
        clips[key] = Clip(path, real_number(entry[start], start, where))
    return layout.file("data_path", **place("data")), clips


def _splits(layout: Layout) -> list[tuple[Split, range]]:
    """Ranges of episodes, written as {"train": "0:40"}; only the names in SPLITS are read."""
    found = layout.content.get("splits") or {}
    splits: list[tuple[Split, range]] = []
    for name, text in found.items() if isinstance(found, dict) else ():
        if name in SPLITS:
            try:
                first, last = (int(part) for part in str(text).split(":"))
            except ValueError as error:
                what = f"split {name} is {text!r}"
                raise DataError(what, where=layout.where, mend='write "first:after the last"') from error
            splits.append((SPLITS[name], range(first, last)))
    return splits
