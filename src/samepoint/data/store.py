"""Decoded views for training and evaluation: every file is decoded once, then read through memory maps."""

from __future__ import annotations

import io
import logging
import math
import pickle
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from samepoint.data.cache import cache_limit, hold, make_room, shown_size
from samepoint.data.decode import DecodedView
from samepoint.data.recording import Dataset, View
from samepoint.data.store_files import (
    Entry,
    Progress,
    build_folder,
    decoded_bytes,
    default_cache,
    fingerprint,
    held_folder,
)
from samepoint.data.straight import decode_straight
from samepoint.geometry.pixels import resize_intrinsics
from samepoint.types import Size

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """One decoded view at the store's size. Depth in metres, 0 unknown; intrinsics of the resized image.

    `labels` (int16): 0 background, k = index into `view.placements` plus 1. `source_size` is the file's.
    `depth_quantiles`: float16 metres, NaN unknown, read from the disk where it is looked at (`DepthQuantiles`).
    """

    image: UInt8[Tensor, "3 h w"]
    depth: Float[Tensor, "h w"] | None
    labels: Int[Tensor, "h w"] | None
    intrinsics: Float[Tensor, "3 3"] | None
    view: View
    recording: int
    moment: int
    source_size: Size
    depth_quantiles: Float[Tensor, "m h w"] | None = None


class FrameStore:
    """The decoded views of a data set: `store[i]` is a Frame, `store.index[i]` its (recording, moment, view).

    Images whose long side exceeds `max_size` are shrunk (never enlarged). The decoded views are kept in a
    folder named by `fingerprint` below `cache_dir` (default: the user's cache, which has a limit) and reused. A
    data set whose decoded views exceed `budget_bytes` or that limit is decoded on the fly instead (`mapped` is
    then False). Raises DataError for a file that is missing, truncated or of the wrong size.
    Pickling sends no pixels.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        max_size: int | None = 320,
        cache_dir: Path | None = None,
        budget_bytes: int = 8 << 30,
        progress: Progress | None = None,
    ) -> None:
        self.dataset = dataset
        self.max_size = max_size
        self.index: list[tuple[int, int, int]] = [
            (r, m, v)
            for r, recording in enumerate(dataset.recordings)
            for m, moment in enumerate(recording.moments)
            for v in range(len(moment.views))
        ]
        self.fingerprint: str = fingerprint(dataset, max_size)
        self.folder: Path = (cache_dir or default_cache()) / self.fingerprint
        self._entries, self._hold = held_folder(self.folder)
        self._maps: dict[str, np.ndarray] = {}
        needed = 0 if self._entries is not None else decoded_bytes(dataset, max_size)
        if self._entries is None and needed <= budget_bytes and (cache_dir or _has_room(needed)):
            self._entries, self._hold = build_folder(dataset, self.folder, max_size, progress)

    @property
    def mapped(self) -> bool:
        """Whether the views were decoded in advance."""
        return self._entries is not None

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Frame:
        r, m, _ = self.index[i]
        view = self.view(i)
        arrays = (
            decode_straight(view, self.max_size) if self._entries is None else self._read(self._entries[i])
        )
        size = (arrays.image.shape[0], arrays.image.shape[1])
        planes = np.ascontiguousarray(arrays.image.transpose(2, 0, 1))
        depth = labels = None
        if arrays.depth is not None and arrays.metres_per_unit is not None:
            depth = torch.from_numpy(arrays.depth * np.float32(arrays.metres_per_unit))
        if arrays.labels is not None:
            labels = torch.from_numpy(arrays.labels.astype(np.int16))
        intrinsics = view.intrinsics
        if intrinsics is not None and size != arrays.source_size:
            intrinsics = resize_intrinsics(intrinsics, arrays.source_size, size)
        quantiles = None if arrays.depth_quantiles is None else torch.from_numpy(arrays.depth_quantiles)
        image = torch.from_numpy(planes)
        return Frame(image, depth, labels, intrinsics, view, r, m, arrays.source_size, quantiles)

    def view(self, i: int) -> View:
        """What is known of the image, without its pixels."""
        r, m, v = self.index[i]
        return self.dataset.recordings[r].moments[m].views[v]

    @cached_property
    def position(self) -> dict[tuple[int, int, int], int]:
        """The inverse of `index`."""
        return {key: i for i, key in enumerate(self.index)}

    def _read(self, entry: Entry) -> DecodedView:
        planes = self._slice("images", np.uint8, entry.image, (3, *entry.size))
        depth = labels = None
        if entry.depth is not None:
            depth = self._slice("depth", np.uint16, entry.depth, entry.size)
        if entry.labels is not None:
            labels = self._slice("labels", self._label_type, entry.labels, entry.size)
        image = planes.transpose(1, 2, 0)
        quantiles = None if entry.quantiles is None else self._mapped_quantiles(*entry.quantiles, entry.size)
        return DecodedView(image, depth, entry.metres_per_unit, labels, entry.source_size, quantiles)

    def _mapped_quantiles(self, at: int, number: int, size: Size) -> np.ndarray:
        """Not copied: of the m layers little is looked at. What is written to it does not reach the file."""
        if "quantiles" not in self._maps:
            self._maps["quantiles"] = np.memmap(self.folder / "quantiles.bin", dtype=np.uint8, mode="c")
        end = at + number * math.prod(size) * 2
        return self._maps["quantiles"][at:end].view(np.float16).reshape(number, *size)

    def _slice(self, name: str, dtype: type, at: int, shape: tuple[int, ...]) -> np.ndarray:
        if name not in self._maps:
            self._maps[name] = np.memmap(self.folder / f"{name}.bin", dtype=np.uint8, mode="r")
        size = math.prod(shape) * np.dtype(dtype).itemsize
        return np.array(self._maps[name][at : at + size]).view(dtype).reshape(shape)

    @cached_property
    def _label_type(self) -> type:
        wide = any(len(view.placements) > 255 for view in self.dataset.views())
        return np.uint16 if wide else np.uint8

    def __getstate__(self) -> dict[str, object]:
        left = ("dataset", "_maps", "position", "_hold")
        kept = {k: v for k, v in self.__dict__.items() if k not in left}
        return {**kept, "dataset": _dumps(self.dataset)}

    def __setstate__(self, state: dict[str, object]) -> None:
        content = state["dataset"]
        assert isinstance(content, bytes)
        self.__dict__.update({**state, "dataset": pickle.loads(content), "_maps": {}})
        self._hold = hold(self.folder) if self.mapped else None


def _has_room(needed: int) -> bool:
    """Whether the user's cache takes so many bytes more; said where it does not."""
    if make_room(needed):
        return True
    sizes = f"{shown_size(needed)} of decoded frames exceed the cache's limit of {shown_size(cache_limit())}"
    log.warning("%s: they are decoded each time; samepoint data cache --limit SIZE sets another", sizes)
    return False


class _TensorPickler(pickle.Pickler):
    """Sends small tensors by value; the default in worker processes takes a shared file for each of them."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            return _tensor, (obj.detach().cpu().numpy(),)
        return NotImplemented


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values))


def _dumps(value: object) -> bytes:
    buffer = io.BytesIO()
    _TensorPickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()
