"""The cache stays within its limit: what was not used longest goes, what a running process uses stays."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from samepoint.cli.main import run
from samepoint.data.cache import (
    USED,
    cache_entries,
    cache_limit,
    clear_cache,
    evict,
    hold,
    make_room,
    parse_size,
    set_limit,
    shown_size,
)
from samepoint.data.open import open_dataset
from samepoint.data.readers.video import _holds, all_frames
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.surroundings import cache_root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SAMEPOINT_CACHE_LIMIT", raising=False)
    return cache_root()


def entry(root: Path, name: str, size: int, age: float) -> Path:
    folder = root / "frames" / name
    folder.mkdir(parents=True)
    (folder / "images.bin").write_bytes(bytes(size))
    (folder / USED).touch()
    os.utime(folder / USED, (time.time() - age, time.time() - age))
    return folder


def photos(folder: Path, number: int = 3) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(number):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 255, (16, 20, 3), dtype=np.uint8))
    return folder


def test_what_was_not_used_longest_goes_first(root: Path) -> None:
    old, older, new = entry(root, "b", 100, 50), entry(root, "c", 100, 90), entry(root, "a", 100, 10)
    assert [e.path for e in cache_entries()] == [older, old, new]
    set_limit(10_000)
    assert make_room(9_750)
    assert [e.path for e in cache_entries()] == [old, new]
    hold(old).release()  # used again
    assert [e.path for e in cache_entries()] == [new, old]
    assert not make_room(10_001)
    assert len(cache_entries()) == 2  # nothing is evicted in vain


def test_what_is_in_use_stays(root: Path) -> None:
    used, unused = entry(root, "a", 100, 90), entry(root, "b", 100, 10)
    held = hold(used)
    assert held is not None
    assert not evict(used)
    gone, kept = clear_cache()
    assert ([e.path for e in gone], [e.path for e in kept]) == ([unused], [used])
    held.release()
    assert evict(used)
    assert hold(used) is None
    assert cache_entries() == []


def use(folder: str, ready, done) -> None:
    held = hold(Path(folder))
    ready.set()
    done.wait(30)
    assert held is not None


def test_what_another_process_uses_stays(root: Path) -> None:
    folder = entry(root, "a", 100, 90)
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=use, args=(str(folder), ready, done))
    process.start()
    assert ready.wait(30)
    assert not evict(folder)
    done.set()
    process.join()
    assert evict(folder)


def test_a_store_holds_its_frames_also_in_workers(root: Path, tmp_path: Path) -> None:
    store = FrameStore(open_dataset(photos(tmp_path / "photos")))
    assert store.mapped
    assert not evict(store.folder)
    copied = pickle.loads(pickle.dumps(store))
    folder = store.folder
    del store
    assert not evict(folder)
    assert copied[0].image.shape == (3, 16, 20)
    del copied
    assert evict(folder)


def test_a_store_that_finds_its_frames_holds_them(root: Path, tmp_path: Path) -> None:
    data = open_dataset(photos(tmp_path / "photos"))
    folder = FrameStore(data).folder
    before = (folder / "images.bin").stat().st_ino
    again = FrameStore(data)
    assert (folder / "images.bin").stat().st_ino == before  # not decoded again
    assert not evict(again.folder)


def test_beyond_the_limit_frames_are_decoded_each_time(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SAMEPOINT_CACHE_LIMIT", "1kB")
    store = FrameStore(open_dataset(photos(tmp_path / "photos")))
    assert not store.mapped
    assert store[0].image.shape == (3, 16, 20)
    assert "2.9 kB of decoded frames exceed the cache's limit of 1.0 kB" in caplog.text


def test_another_data_set_takes_the_place_of_an_older_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = FrameStore(open_dataset(photos(tmp_path / "a"))).folder
    monkeypatch.setenv("SAMEPOINT_CACHE_LIMIT", "5kB")
    second = FrameStore(open_dataset(photos(tmp_path / "b")))
    assert second.mapped
    assert [e.path for e in cache_entries()] == [second.folder]
    assert not first.exists()


def test_frames_of_a_video_are_the_same_data_after_they_were_evicted(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24))
    for i in range(3):
        writer.write(np.full((24, 32, 3), 60 * i, np.uint8))
    writer.release()
    images = all_frames(path, root / "videos").images
    before = [(image.stat().st_mtime_ns, image.read_bytes()) for image in images]
    assert not evict(images[0].parent)  # a data set of this process names them
    _holds.pop(images[0].parent).release()
    assert evict(images[0].parent)
    again = all_frames(path, root / "videos").images
    assert [(image.stat().st_mtime_ns, image.read_bytes()) for image in again] == before


def test_limits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < cache_limit() <= 20 * 10**9
    set_limit(parse_size("1,5 GB", "here"))
    assert cache_limit() == 1_500_000_000
    monkeypatch.setenv("SAMEPOINT_CACHE_LIMIT", "300MB")
    assert cache_limit() == 300_000_000
    monkeypatch.setenv("SAMEPOINT_CACHE_LIMIT", "much")
    with pytest.raises(DataError, match="SAMEPOINT_CACHE_LIMIT: 'much' is no size; write it as 20GB"):
        cache_limit()
    assert [shown_size(n) for n in (12, 1500, 2_000_000, 20 * 10**9)] == [
        "12 bytes",
        "1.5 kB",
        "2.0 MB",
        "20.0 GB",
    ]


def test_the_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry(root, "a", 3000, 50)
    held = hold(entry(root, "b", 2000, 10))
    assert held is not None
    assert run(["data", "cache", "--limit", "1MB"]) == 0
    *rows, last = capsys.readouterr().out.splitlines()
    assert [row.split()[:3] for row in rows] == [["frames/a", "3.0", "kB"], ["frames/b", "2.0", "kB"]]
    assert last == f"{root}: 2 entries, 5.0 kB of at most 1.0 MB"
    assert run(["data", "cache", "--clear"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "removed 1 entries, 3.0 kB",
        "kept 1 that a running program uses, or that may not be removed",
    ]
    assert run(["data", "cache", "--limit", "much"]) == 2
    assert "--limit: 'much' is no size" in capsys.readouterr().err
