"""What a computation allocates, counted rather than measured: the same on every machine."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from samepoint.types import Size

FULL_CHANNELS = 8
"""A tensor with this many values a pixel or more is a full-resolution map; images and masks have fewer."""


@dataclass(frozen=True)
class Counts:
    """`peak_bytes`: the most that tensors made by the call held at one time (kernels' own scratch memory is not
    seen). `allocated_bytes`: the sum over all of them. `full_resolution`: how many had 8 or more values for
    every pixel of every image of the batch."""

    peak_bytes: int
    allocated_bytes: int
    full_resolution: int


def count(call: Callable[[], object], image: Size) -> Counts:
    """What `call` allocates, forward and backward; `image` is the size that counts as full resolution."""
    mode = _Counting(image)
    with mode:
        call()
    return Counts(mode.peak, mode.total, mode.full)


class _Counting(TorchDispatchMode):
    """Follows the storages of all tensors that operators return, from the first sight to their end."""

    def __init__(self, image: Size) -> None:
        super().__init__()
        self.pixels = image[0] * image[1]
        self.image = image
        self.live = self.peak = self.total = self.full = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {
            id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)
        }
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and id(leaf.untyped_storage()) not in given:
                self._made(leaf)
        return out

    def _made(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._seen:
            return
        size = storage.nbytes()
        self._seen.add(key)
        self.live += size
        self.total += size
        self.peak = max(self.peak, self.live)
        self.full += self._is_full(tensor)
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size

    def _is_full(self, tensor: Tensor) -> bool:
        shape = tuple(tensor.shape)
        plane = self.pixels in shape or any(pair == self.image for pair in itertools.pairwise(shape))
        batch = shape[0] if len(shape) > 2 else 1
        return plane and tensor.numel() >= FULL_CHANNELS * self.pixels * batch
