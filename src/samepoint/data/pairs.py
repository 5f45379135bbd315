"""Pairs files: pixels of image A and the same points in image B, as JSON (DESIGN: stable interfaces)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.data.checks import intrinsics_from
from samepoint.data.decode import image_size
from samepoint.errors import DataError
from samepoint.files import read_json, write_json
from samepoint.geometry.pixels import in_frame

Value = TypeVar("Value")
PER_POINT = ("visible_b", "object", "region", "alternatives_b")


@dataclass(frozen=True)
class Pair:
    """Two images and n points in both, pixels of the files (integers at pixel centres).

    `visible_b` false: B does not show the point (hidden or outside; its `uv_b` may be NaN). `object` names
    each point's object, `region` is "inside" or "boundary". `alternatives_b` lists other right answers for a
    point (k x 2, k may be 0). `scale_ratio` is the size in B over the size in A, `depth_b` each point's depth
    in B in metres (NaN unknown), `intrinsics_b` B's camera matrix. What the file lacks is None.
    """

    image_a: Path
    image_b: Path
    uv_a: Float[Tensor, "n 2"]
    uv_b: Float[Tensor, "n 2"]
    visible_b: Bool[Tensor, " n"] | None = None
    object: tuple[str | int | None, ...] | None = None
    region: tuple[str | None, ...] | None = None
    alternatives_b: tuple[Float[Tensor, "_ 2"], ...] | None = None
    scale_ratio: Float[Tensor, " n"] | None = None
    depth_b: Float[Tensor, " n"] | None = None
    intrinsics_b: Float[Tensor, "3 3"] | None = None

    def __len__(self) -> int:
        return len(self.uv_a)


@dataclass(frozen=True)
class PairsFile:
    """The pairs of one file; `root` is the folder that its image paths are relative to."""

    root: Path
    pairs: tuple[Pair, ...]


def read_pairs(path: Path) -> PairsFile:
    """Reads and checks a pairs file. DataError names the pair and the point that is wrong."""
    path = Path(path)
    content = read_json(path)
    entries = content.get("pairs") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise DataError('has no list "pairs"', where=path, mend='write {"pairs": [{"image_a": ..., ...}]}')
    size = cache(image_size)
    return PairsFile(
        path.parent,
        tuple(_pair(entry, path.parent, f"{path}, pair {i}", size) for i, entry in enumerate(entries)),
    )


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Writes a pairs file, whole, with image paths relative to it."""
    path = Path(path)
    write_json(path, {"pairs": [_entry(pair, path.parent) for pair in pairs]})


def _pair(entry: Any, root: Path, where: str, size: Callable[[Path], tuple[int, int]]) -> Pair:
    if not isinstance(entry, dict):
        raise DataError("is not an object", where=where, mend='write {"image_a": ..., "uv_a": ...}')
    for name in ("image_a", "image_b", "uv_a", "uv_b"):
        if name not in entry:
            raise DataError(f'lacks "{name}"', where=where, mend="add it")
    n = len(entry["uv_a"]) if isinstance(entry["uv_a"], list) else 0
    for name in ("uv_a", "uv_b", *PER_POINT):
        value = entry.get(name)
        if value is not None and (not isinstance(value, list) or len(value) != n):
            got = len(value) if isinstance(value, list) else "no list"
            raise DataError(
                f'"{name}" has {got} entries but "uv_a" {n}', where=where, mend="give one a point"
            )
    visible = None if entry.get("visible_b") is None else _flags(entry["visible_b"])
    image_a, image_b = (_image(entry[name], root, where) for name in ("image_a", "image_b"))
    uv_a = _points(entry["uv_a"], None, f"{where}, uv_a")
    uv_b = _points(entry["uv_b"], visible, f"{where}, uv_b")
    _check_inside(uv_a, None, size(image_a), f"{where}, uv_a")
    _check_inside(uv_b, visible, size(image_b), f"{where}, uv_b")
    k_b = entry.get("K_b")
    return Pair(
        image_a,
        image_b,
        uv_a,
        uv_b,
        visible_b=visible,
        object=_optional(entry.get("object"), tuple),
        region=_optional(entry.get("region"), lambda r: _regions(r, where)),
        alternatives_b=_optional(entry.get("alternatives_b"), lambda a: _alternatives(a, where)),
        scale_ratio=_optional(entry.get("scale_ratio"), lambda s: _per_point(s, n, f"{where}, scale_ratio")),
        depth_b=_optional(entry.get("depth_b"), lambda d: _per_point(d, n, f"{where}, depth_b")),
        intrinsics_b=_optional(k_b, lambda k: intrinsics_from(k, f"{where}, K_b")),
    )


def _optional(value: Any, read: Callable[[Any], Value]) -> Value | None:
    return None if value is None else read(value)


def _image(name: Any, root: Path, where: str) -> Path:
    if not isinstance(name, str):
        raise DataError(f"{name!r} is not an image path", where=where, mend="write a path as text")
    path = root / name
    if not path.is_file():
        mend = f"paths are relative to {root}"
        raise DataError(f"the image {name} does not exist", where=where, mend=mend)
    return path


def _flags(values: list) -> Bool[Tensor, " n"]:
    return torch.tensor([bool(v) for v in values], dtype=torch.bool)


def _points(values: list, visible: Tensor | None, where: str) -> Float[Tensor, "n 2"]:
    rows: list[tuple[float, float]] = []
    for i, value in enumerate(values):
        hidden = visible is not None and not visible[i]
        row = (math.nan, math.nan)
        if not (value is None and hidden):
            try:
                u, v = list(value or ())
                row = (math.nan if u is None else float(u), math.nan if v is None else float(v))
            except (TypeError, ValueError):
                raise DataError(f"point {i} is {value!r}", where=where, mend="write [u, v]") from None
        if not hidden and not all(map(math.isfinite, row)):
            raise DataError(f"point {i} is {value!r}, not finite", where=where, mend="remove this point")
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 2)


def _check_inside(
    uv: Float[Tensor, "n 2"], visible: Tensor | None, size: tuple[int, int], where: str
) -> None:
    outside = ~in_frame(uv, size)
    if visible is not None:
        outside &= visible
    if outside.any():
        i = int(outside.int().argmax())
        u, v = uv[i].tolist()
        what = f"point {i} ({u:g}, {v:g}) lies outside the {size[1]}x{size[0]} image"
        raise DataError(what, where=where, mend="remove it, or mark it visible_b false if B does not show it")


def _per_point(value: Any, n: int, where: str) -> Float[Tensor, " n"]:
    """One number for all points, or one a point; null is unknown."""
    values = value if isinstance(value, list) else [value] * n
    if len(values) != n:
        raise DataError(f"has {len(values)} entries for {n} points", where=where, mend="give one a point")
    try:
        return torch.tensor([math.nan if v is None else float(v) for v in values], dtype=torch.float32)
    except (TypeError, ValueError):
        raise DataError(
            "holds something that is no number", where=where, mend="write numbers or null"
        ) from None


def _regions(values: list, where: str) -> tuple[str | None, ...]:
    for i, value in enumerate(values):
        if value not in ("inside", "boundary", None):
            raise DataError(f"region {i} is {value!r}", where=where, mend='write "inside" or "boundary"')
    return tuple(values)


def _alternatives(values: list, where: str) -> tuple[Float[Tensor, "_ 2"], ...]:
    return tuple(
        _points(v or [], None, f"{where}, alternatives_b of point {i}") for i, v in enumerate(values)
    )


def _entry(pair: Pair, root: Path) -> dict[str, object]:
    entry: dict[str, object] = {
        "image_a": Path(os.path.relpath(pair.image_a, root)).as_posix(),
        "image_b": Path(os.path.relpath(pair.image_b, root)).as_posix(),
        "uv_a": _list(pair.uv_a),
        "uv_b": _list(pair.uv_b),
        "visible_b": _optional(pair.visible_b, Tensor.tolist),
        "object": _optional(pair.object, list),
        "region": _optional(pair.region, list),
        "alternatives_b": _optional(pair.alternatives_b, lambda a: [_list(uv) for uv in a]),
        "scale_ratio": _optional(pair.scale_ratio, _list),
        "depth_b": _optional(pair.depth_b, _list),
        "K_b": _optional(pair.intrinsics_b, _list),
    }
    return {name: value for name, value in entry.items() if value is not None}


def _list(values: Tensor) -> Any:
    """Numbers to 1e-4; NaN becomes null, which JSON has."""
    if values.ndim > 1:
        return [_list(row) for row in values]
    return [None if math.isnan(x) else round(x, 4) for x in values.tolist()]
