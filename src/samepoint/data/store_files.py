"""The folder behind a FrameStore: all views of a data set decoded into a few flat files.

`images.bin` uint8 planes `3 h w`, `depth.bin` uint16, `labels.bin` uint8 or uint16, `quantiles.bin` float16 `m h w`
if any view has depth quantiles, and `index.json` with the size and offset of each view. It appears whole, under the
fingerprint of what it was made from.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from samepoint.data.cache import Hold, hold, is_of
from samepoint.data.decode import DecodedView, fitted_size, image_size
from samepoint.data.quantile_files import quantile_number
from samepoint.data.recording import Dataset, View
from samepoint.data.straight import decode_straight
from samepoint.errors import DataError
from samepoint.files import clear_disk_errors, read_json, write_json
from samepoint.surroundings import cache_root
from samepoint.types import Size

LAYOUT = 2
ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which a half-built folder is taken for that of a killed process and removed."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Entry:
    """Where one view lies: byte offsets (None: it has no depth, no masks). `quantiles`: offset and number m."""

    size: Size
    source_size: Size
    image: int
    depth: int | None
    metres_per_unit: float | None
    labels: int | None
    quantiles: tuple[int, int] | None = None


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/samepoint/frames`, or the same below `~/.cache` (`surroundings.cache_root`)."""
    return cache_root() / "frames"


def fingerprint(dataset: Dataset, max_size: int | None) -> str:
    """A hash over the data set's files (names, sizes, modification times, order) and `max_size`."""
    digest = hashlib.sha256(f"{LAYOUT} {max_size}".encode())
    for view in dataset.views():
        digest.update(b"\nview")
        if view.lens is not None and not view.lens.straight:
            digest.update(f" {view.lens} {view.intrinsics}".encode())
        for kind, path, scale in _files(view):
            try:
                status = path.stat()
            except OSError as error:
                raise DataError(
                    f"this {kind} does not exist", where=path, mend="check the data set"
                ) from error
            name = os.path.relpath(path, dataset.root)
            digest.update(f"\n{kind} {name} {status.st_size} {status.st_mtime_ns} {scale}".encode())
    return digest.hexdigest()[:32]


def decoded_bytes(dataset: Dataset, max_size: int | None) -> int:
    """What the decoded views need, from the image headers alone."""
    total = 0
    for view in dataset.views():
        height, width = fitted_size(image_size(view.image), max_size)
        per_pixel = 3 + (2 if view.depth else 0) + (1 if any(p.mask for p in view.placements) else 0)
        if view.depth_quantiles is not None:
            per_pixel += 2 * quantile_number(view.depth_quantiles)
        total += height * width * per_pixel
    return total


def open_folder(folder: Path) -> list[Entry] | None:
    """The index of a finished folder; None if there is none or its files are shorter than the index says."""
    try:
        content = read_json(folder / "index.json")
        complete = all((folder / name).stat().st_size == size for name, size in content["bytes"].items())
    except (DataError, OSError, KeyError, TypeError):
        return None
    if not complete:
        return None
    pairs = ("size", "source_size", "quantiles")
    found = content["entries"]
    return [Entry(**{**entry, **{k: tuple(entry[k]) for k in pairs if k in entry}}) for entry in found]


def held_folder(folder: Path) -> tuple[list[Entry] | None, Hold | None]:
    """The index as `open_folder`, and what keeps the folder from being evicted meanwhile."""
    if not folder.is_dir():
        return None, None
    held = hold(folder)
    entries = open_folder(folder)
    if entries is None and held is not None:
        held.release()
    return entries, None if entries is None else held


def build_folder(
    dataset: Dataset, folder: Path, max_size: int | None, progress: Progress | None = None
) -> tuple[list[Entry], Hold | None]:
    """Decodes every view of `dataset` into `folder`, and holds it: the folder of another process that was faster."""
    with clear_disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".building-"))
        try:
            _write(dataset, draft, max_size, progress)
            held = hold(draft)  # what is renamed is held already
            _rename(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    if held is None or not is_of(held, folder):
        entries, held = held_folder(folder)
    else:
        entries = open_folder(folder)
    if entries is None:
        raise DataError(
            "the decoded frames are not complete", where=folder, mend="remove this folder and retry"
        )
    return entries, held


def _write(dataset: Dataset, draft: Path, max_size: int | None, progress: Progress | None) -> None:
    views = dataset.views()
    entries: list[Entry] = []
    names = ["images.bin", "depth.bin", "labels.bin"]
    if any(view.depth_quantiles is not None for view in views):
        names.append("quantiles.bin")
    wide = any(len(view.placements) > 255 for view in views)
    with ExitStack() as stack:
        files = [stack.enter_context((draft / name).open("wb")) for name in names]
        for decoded in _decoded(views, max_size):
            entries.append(_append_view(files, decoded, np.uint16 if wide else np.uint8))
            if progress is not None:
                progress(len(entries), len(views))
    sizes = {name: (draft / name).stat().st_size for name in names}
    write_json(draft / "index.json", {"bytes": sizes, "entries": [_as_json(entry) for entry in entries]})


def _as_json(entry: Entry) -> dict[str, object]:
    fields = asdict(entry)
    return fields if entry.quantiles is not None else {k: v for k, v in fields.items() if k != "quantiles"}


def _append_view(files: Sequence[BinaryIO], decoded: DecodedView, label_type: type) -> Entry:
    image, depth, labels, *more = files
    quantiles = decoded.depth_quantiles
    return Entry(
        size=(decoded.image.shape[0], decoded.image.shape[1]),
        source_size=decoded.source_size,
        image=_append(image, decoded.image.transpose(2, 0, 1)),
        depth=None if decoded.depth is None else _append(depth, decoded.depth),
        metres_per_unit=decoded.metres_per_unit,
        labels=None if decoded.labels is None else _append(labels, decoded.labels.astype(label_type)),
        quantiles=None if quantiles is None else (_append(more[0], quantiles), len(quantiles)),
    )


def _decoded(views: tuple[View, ...], max_size: int | None) -> Iterator[DecodedView]:
    """Decodes in a few threads (the decoders release the lock), in order, few views in memory at a time."""
    workers = min(4, os.cpu_count() or 1)
    ahead = 4 * workers
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(views), ahead):
            yield from pool.map(lambda view: decode_straight(view, max_size), views[start : start + ahead])


def _append(file: BinaryIO, values: np.ndarray) -> int:
    at = file.tell()
    file.write(np.ascontiguousarray(values).tobytes())
    return at


def _rename(draft: Path, folder: Path) -> None:
    draft.chmod(0o755)
    for attempt in (1, 2):
        try:
            os.rename(draft, folder)
            return
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        if open_folder(folder) is not None or attempt == 2:
            return
        shutil.rmtree(folder, ignore_errors=True)  # damaged: ours takes its place


def _remove_abandoned(cache: Path) -> None:
    for draft in cache.glob(".building-*"):
        try:
            age = time.time() - draft.stat().st_mtime
        except OSError:
            continue
        if age > ABANDONED_AFTER:
            shutil.rmtree(draft, ignore_errors=True)


def _files(view: View) -> Iterator[tuple[str, Path, float | int | str]]:
    """Kind, path and how each is read."""
    yield "image", view.image, 0
    if view.depth is not None:
        depth = view.depth
        more = "" if depth.unknown is None else f" unknown {depth.unknown}"
        more += "" if depth.intrinsics is None else f" {depth.intrinsics.tolist()}"
        yield "depth image", depth.path, f"{depth.metres_per_unit}{more}"
    if view.depth_quantiles is not None:
        yield "file of depth quantiles", view.depth_quantiles.path, view.depth_quantiles.metres_per_unit
    for k, placement in enumerate(view.placements):
        if placement.mask is not None:
            more = "" if placement.label is None else f" label {placement.label}"
            yield "mask", placement.mask, f"{k}{more}{' as stored' * placement.as_stored}"
