"""The cache of decoded frames and of the frames of videos: entries that can be made again, kept within a limit.

    ROOT/frames/FINGERPRINT/   ROOT/videos/KEY/   an entry each
    .../.used                                     locked by who uses the entry; its time is that of the last use
    ROOT/limit                                    a limit that was set for good

Where the limit would be exceeded what was not used longest goes first, never what a running process uses.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samepoint.errors import DataError
from samepoint.files import clear_disk_errors, write_whole
from samepoint.surroundings import cache_root
from samepoint.text import read_text

SHELVES = ("frames", "videos")
USED, LIMIT, LOCK = ".used", "limit", ".lock"
VARIABLE = "SAMEPOINT_CACHE_LIMIT"
MOST = 20 * 10**9
"""Bytes, where nobody says another limit, and half of the disk is more."""
RECENT = 24 * 3600.0
"""Seconds for which a used entry counts as in use where the file system has no locks."""
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class CacheEntry:
    """`size` in bytes; `used`: seconds since 1970."""

    path: Path
    size: int
    used: float


class Hold:
    """Keeps an entry from being evicted until it is released or collected, also in workers that are forked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @property
    def inode(self) -> int | None:
        return None if self._descriptor is None else os.fstat(self._descriptor).st_ino

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    __del__ = release


def hold(folder: Path) -> Hold | None:
    """Says that this process uses an entry from now on; None if it is not there or nothing can be written to it."""
    try:
        found = Hold(_opened(folder / USED))
    except OSError:
        return None
    assert found._descriptor is not None
    _lock(found._descriptor, "LOCK_SH")  # waits while it is evicted
    if not is_of(found, folder):
        found.release()
        return None
    with contextlib.suppress(OSError):
        os.utime(folder / USED)
    return found


def is_of(held: Hold, folder: Path) -> bool:
    """Whether the entry that is held is the one that is there now."""
    try:
        return os.stat(folder / USED).st_ino == held.inode
    except OSError:
        return False


def cache_entries(root: Path | None = None) -> list[CacheEntry]:
    """All entries, what was not used longest first."""
    found = []
    for shelf in SHELVES:
        for path in _below((root or cache_root()) / shelf):
            if path.is_dir() and not path.name.startswith("."):
                stamp = path / USED
                with contextlib.suppress(OSError):
                    used = (stamp if stamp.exists() else path).stat().st_mtime
                    found.append(CacheEntry(path, _size(path), used))
    return sorted(found, key=lambda entry: entry.used)


def cache_limit(root: Path | None = None) -> int:
    """Bytes: `SAMEPOINT_CACHE_LIMIT`, else what `set_limit` wrote, else 20 GB, or half of what the disk would have
    free without the cache if that is less. DataError for a limit that is no size."""
    root = root or cache_root()
    if said := os.environ.get(VARIABLE):
        return parse_size(said, VARIABLE)
    if (root / LIMIT).is_file():
        return parse_size(read_text(root / LIMIT).strip(), root / LIMIT)
    root.mkdir(parents=True, exist_ok=True)
    without = shutil.disk_usage(root).free + sum(_size(root / shelf) for shelf in SHELVES)
    return min(MOST, without // 2)


def set_limit(limit: int, root: Path | None = None) -> None:
    """Keeps a limit for all later commands of this user, and evicts what is beyond it."""
    root = root or cache_root()
    write_whole(root / LIMIT, f"{limit}\n".encode())
    make_room(0, root)


def make_room(needed: int, root: Path | None = None) -> bool:
    """Evicts what was not used longest until `needed` bytes more are within the limit; False if they cannot be."""
    root = root or cache_root()
    limit = cache_limit(root)
    if needed > limit:
        return False
    with _alone(root):
        total = sum(_size(root / shelf) for shelf in SHELVES)
        for entry in cache_entries(root):
            if total + needed <= limit:
                break
            if evict(entry.path):
                total -= entry.size
    return total + needed <= limit


def evict(folder: Path) -> bool:
    """Removes an entry that no running process uses; False if one does, or it cannot be removed."""
    try:
        descriptor = os.open(folder / USED, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return False
    try:
        locks = _lock(descriptor, "LOCK_EX", wait=False)
        if locks is False or (locks is None and time.time() - os.fstat(descriptor).st_mtime < RECENT):
            return False
        gone = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".building-"))
        os.rename(folder, gone / "entry")
        shutil.rmtree(gone, ignore_errors=True)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def clear_cache(root: Path | None = None) -> tuple[list[CacheEntry], list[CacheEntry]]:
    """Removes all entries; those that were, and those that are in use and stay."""
    root = root or cache_root()
    with clear_disk_errors(root), _alone(root):
        entries = cache_entries(root)
        gone = [entry for entry in entries if evict(entry.path)]
    return gone, [entry for entry in entries if entry not in gone]


def parse_size(text: str, where: object) -> int:
    """Bytes of "20GB", "500 MB" or "1000000". DataError for anything else."""
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*([kmgt]?)i?b?", text.strip(), re.IGNORECASE)
    if match is None:
        raise DataError(f"{text!r} is no size", where=where, mend="write it as 20GB or 500MB")
    return int(float(match[1].replace(",", ".")) * UNITS[match[2].lower()])


def shown_size(size: int) -> str:
    """A size as people write it."""
    for name, unit in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def _opened(path: Path) -> int:
    """Of another user's cache for reading: that is enough for a lock."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY)


def _lock(descriptor: int, kind: str, *, wait: bool = True) -> bool | None:
    """True: locked. False: another process has it. None: there are no locks here."""
    try:
        fcntl: Any = importlib.import_module("fcntl")
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, getattr(fcntl, kind) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One process at a time makes room."""
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, "LOCK_EX")
        yield
    finally:
        os.close(descriptor)


def _below(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except OSError:
        return []


def _size(folder: Path) -> int:
    """Bytes of all files below; what is removed meanwhile counts nothing."""
    total = 0
    for path in _below(folder):
        with contextlib.suppress(OSError):
            total += _size(path) if path.is_dir() else path.stat().st_size
    return total
