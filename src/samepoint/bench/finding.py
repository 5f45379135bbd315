"""How fast keypoints are found: network and matching apart, and a whole `Finder.find`, beside the original way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samepoint.bench.measure import in_turn
from samepoint.bench.naive import nearest_pixels
from samepoint.correspondence.hard import hard_match
from samepoint.correspondence.sampling import sample_descriptors
from samepoint.inference.finder import Finder
from samepoint.inference.images import image_tensor, resized
from samepoint.inference.locate import locate
from samepoint.inference.matcher import DescriptorMatcher
from samepoint.types import DescriptorMap

NUMBERS = (1, 16, 100)


def finding(
    finder: Finder,
    frames: Sequence[np.ndarray],
    *,
    numbers: Sequence[int] = NUMBERS,
    repeats: int = 20,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Milliseconds for points of the first of `frames` (h w 3, uint8), looked for in the others in turn.

    `network` and `matching` apart; `plain`: matching the original code's way on the same maps; `whole`: one
    `Finder.find` with everything about it. `same`: the share of keypoints whose best pixel is the plain way's.
    """
    matcher = finder.matcher
    assert isinstance(matcher, DescriptorMatcher)
    maps = [finder.embed(frame).values for frame in frames]
    seen = [resized(image_tensor(frame), maps[0].image_size)[None] for frame in frames]
    temperature = matcher.settings.temperature
    rows = []
    for number in numbers:
        queries, names = _remember(finder, frames[0], maps[0], number)
        sides = {
            "matching": _over(maps[1:], partial(locate, queries, temperature=temperature)),
            "plain": _over(maps[1:], partial(nearest_pixels, queries)),
            "network": _over(seen[1:], matcher.embed),
            "whole": _over(frames[1:], partial(_find_anew, finder, names)),
        }
        times, ratios = in_turn(sides, repeats=repeats, device=maps[0].values.device.type)
        row = {
            "keypoints": number,
            **{name: timing.to_json() for name, timing in times.items()},
            "ratio_plain": ratios["plain"],
            "frames_per_second": round(1e3 / times["whole"].ms, 1),
            "same": round(_agreement(queries, maps[1:]), 4),
        }
        rows.append(row)
        say(
            f"{number:4} keypoints: network {times['network'].ms:.1f} ms, matching {times['matching'].ms:.2f} ms"
            f" (plain x {ratios['plain']:.1f}), in all {row['frames_per_second']} frames/s; same pixel"
            f" {100 * row['same']:.1f} %"
        )
    where = {"image": list(frames[0].shape[:2]), "seen_at": list(maps[0].image_size)}
    return {"question": "finding", **where, "map": list(maps[0].values.shape[1:]), "rows": rows}


def _over(things: Sequence[Any], function: Callable[[Any], object]) -> Callable[[], object]:
    """A call that takes the next of `things` each time, round and round."""
    endless = itertools.cycle(things)
    return lambda: function(next(endless))


def _find_anew(finder: Finder, names: list[str], frame: np.ndarray) -> object:
    """Finds in the frame with a few pixels changed, as a camera's noise would: the finder has not seen it."""
    frame = frame.copy()
    frame[0, :8] = np.random.default_rng().integers(0, 256, (8, 3), dtype=np.uint8)
    return finder.find(frame, names)


def _agreement(queries: Tensor, maps: Sequence[DescriptorMap]) -> float:
    """The share of keypoints whose best pixel is that of the plain way, to a tenth of a pixel."""
    apart = [(hard_match(queries, map).uv - nearest_pixels(queries, map)).norm(dim=-1) for map in maps]
    return float((torch.cat(apart) < 0.1).float().mean())


def _remember(finder: Finder, frame: np.ndarray, map: DescriptorMap, number: int) -> tuple[Tensor, list[str]]:
    """Random points of the frame, as queries on its map and as names of the finder."""
    height, width = frame.shape[:2]
    generator = torch.Generator().manual_seed(number)
    share = torch.rand(number, 2, generator=generator)
    names = [f"{number}-{k}" for k in range(number)]
    for name, place in zip(names, share * torch.tensor((width - 1.0, height - 1.0)), strict=True):
        finder.remember(name, frame, place)
    own = share * torch.tensor((map.image_size[1] - 1.0, map.image_size[0] - 1.0))
    return sample_descriptors(map, own[None].to(map.values.device)), names
