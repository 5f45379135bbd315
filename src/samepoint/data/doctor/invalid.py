"""Values of depth files that stand for "unknown" and are not 0."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import UInt16

from samepoint.data.decode import decode_depth, image_size
from samepoint.data.depth_files import depth_size
from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import Footage, evenly
from samepoint.data.recording import View

CHECK = "depth values"
FRAMES = 8
MUCH = 0.005
"""Share of the known pixels at which one value is piled up."""
USUAL = (65535, 65534, 65500, 65000, 32767, 32001, 20000, 10000)
"""Values that makers write for "unknown"."""
ROUND = (20000, 10000)
"""Of these, those that a wall may have as well."""
TURNED = math.radians(1.0)
"""Views turned by less see a plane that faces one of them at one depth each."""
LITTLE_KNOWN = 0.02


def check_values(footage: Footage) -> tuple[Finding, frozenset[int]]:
    """The finding, and raw values to be taken for unknown by the other checks."""
    numbers = [i for i, view in enumerate(footage.views) if view.depth is not None]
    if not numbers:
        return Finding(CHECK, "not applicable", "there is no depth"), frozenset()
    odd = _sizes(footage, numbers)
    if odd is not None:
        return odd, frozenset()
    arrays, unit, chosen = [], 0.001, evenly(numbers, FRAMES)
    for i in chosen:
        depth = footage.views[i].depth
        assert depth is not None
        values, unit = decode_depth(depth)
        arrays.append(values)
    piled = piled_up(arrays)
    known = float(np.mean([np.mean(~np.isin(values, [0, *piled])) for values in arrays]))
    if piled:
        shares = Counter({v: float(np.mean([np.mean(values == v) for values in arrays])) for v in piled})
        value, share = shares.most_common(1)[0]
        if (value not in USUAL or value in ROUND) and not _turned(footage, chosen, arrays, value):
            sentence = (
                f"the value {value} ({value * unit:.4g} m) fills {share:.0%} of the depth images: it may mean"
                " unknown, or a plane that faces the camera lies there"
            )
            return Finding(CHECK, "undecided", sentence), frozenset()
        sentence = f"the value {value} ({value * unit:.4g} m) fills {share:.0%} of the depth images: it means unknown"
        return Finding(CHECK, "fault", sentence, "write 0 where depth is unknown"), frozenset(piled)
    if known < LITTLE_KNOWN:
        return Finding(
            CHECK, "fault", f"only {known:.1%} of depth is known", "check the depth files"
        ), frozenset()
    return Finding(
        CHECK, "right", f"{known:.0%} of depth is known, 0 elsewhere; no other value is piled up"
    ), frozenset()


def _turned(
    footage: Footage, chosen: Sequence[int], arrays: Sequence[UInt16[np.ndarray, "_ _"]], value: int
) -> bool:
    """Whether views that have the value look in different directions: no plane has one depth in all of them."""
    axes = [
        pose[:3, 2]
        for pose, values in zip((footage.views[i].world_from_camera for i in chosen), arrays, strict=True)
        if pose is not None and np.mean(values == value) >= MUCH
    ]
    return any(float(torch.linalg.cross(one, axes[0]).norm()) > math.sin(TURNED) for one in axes[1:])


def piled_up(arrays: Sequence[UInt16[np.ndarray, "_ _"]]) -> list[int]:
    """Values that are far more frequent than their neighbours and lie far beyond all others.

    Far is twice the largest of the others (less half a percent of them), or half the smallest; values that makers
    are known to write for "unknown" need only be larger than the others.
    """
    counts = sum(np.bincount(values.ravel(), minlength=65536) for values in arrays)
    counts = np.array(counts)
    counts[0] = 0
    piled: list[int] = []
    for value in np.argsort(-counts, kind="stable")[:4].tolist():
        others = counts.copy()
        others[[value, *piled]] = 0
        total = counts.sum() - counts[piled].sum()
        if counts[value] < MUCH * max(total, 1) or not _alone(counts, value):
            continue
        running = np.cumsum(others)
        if running[-1] == 0:
            low = high = None
        else:
            low, high = (int(np.searchsorted(running, q * running[-1])) for q in (0.005, 0.995))
        if _beyond(value, low, high):
            piled.append(value)
    return piled


def _alone(counts: np.ndarray, value: int) -> bool:
    around = counts[max(1, value - 5) : value + 6].sum() - counts[value]
    return bool(around < 0.1 * counts[value])


def _beyond(value: int, low: int | None, high: int | None) -> bool:
    if low is None or high is None:
        return value in USUAL
    if value in USUAL and value > 1.05 * high:
        return True
    return value > 2 * high or value < 0.5 * low


def _sizes(footage: Footage, numbers: Sequence[int]) -> Finding | None:
    """A fault if depth and image are not of one size."""
    views = [footage.views[i] for i in evenly(numbers, 50)]
    wrong = [view for view in views if not _fits(view)]
    if not wrong:
        return None
    depth, image = wrong[0].depth, wrong[0].image
    assert depth is not None
    shown = [f"{size[1]}x{size[0]}" for size in (depth_size(depth.path), image_size(image))]
    sentence = f"depth is {shown[0]} but {image.name} is {shown[1]}"
    mend = "register depth to the colour camera, at the size of its images"
    return Finding(CHECK, "fault", sentence, mend, tuple(view.image.name for view in wrong))


def with_fitting_depth(footage: Footage) -> Footage:
    """The footage without depth images of another size than their image."""
    views = tuple(view if _fits(view) else replace(view, depth=None) for view in footage.views)
    return replace(footage, views=views)


def _fits(view: View) -> bool:
    if view.depth is None or view.depth.intrinsics is not None:
        return True
    return depth_size(view.depth.path) == image_size(view.image)
