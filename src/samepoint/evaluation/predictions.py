"""Predictions as a file: made first, scored afterwards, so that any program's answers are scored alike.

`{"format": "samepoint-predictions", "version": 1, "pairs_sha256": ..., "predictor": name, "config": {...},
"pairs": [{"uv_b": [[u, v], ...], "confidence": [...], "closer_fraction": [...]}, ...]}`; pairs and points in
the order of the pairs file. A point may be null: no answer. `pairs_sha256`, `config`, `confidence` and
`closer_fraction` may be left out by other programs.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.data.pairs import Pair, PairsFile
from samepoint.errors import DataError
from samepoint.evaluation.caches import LastUsed
from samepoint.evaluation.predictors import DensePredictor, Predictor
from samepoint.files import read_json, write_json
from samepoint.inference.images import image_tensor

FORMAT, VERSION = "samepoint-predictions", 1
CACHED_IMAGES = 8

MaskOf = Callable[[Pair], Bool[Tensor, "h w"] | None]
"""The mask of the object in a pair's image B, if there is one."""


@dataclass(frozen=True)
class PairPrediction:
    """Answers for the points of one pair; NaN where there is none. See `predictors.Prediction`."""

    uv_b: Float[Tensor, "n 2"]
    confidence: Float[Tensor, " n"] | None = None
    closer_fraction: Float[Tensor, " n"] | None = None


@dataclass(frozen=True)
class Predictions:
    """Answers of one predictor for a whole pairs file. `pairs_sha256` None: not said which."""

    predictor: str
    pairs: tuple[PairPrediction, ...]
    pairs_sha256: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


def pairs_sha256(file: PairsFile) -> str:
    """A name for the content of a pairs file as it was read: images, points, visibility, alternatives."""
    return hashlib.sha256(
        json.dumps([_described(pair, file.root) for pair in file.pairs]).encode()
    ).hexdigest()


def predict_pairs(
    predictor: Predictor,
    file: PairsFile,
    *,
    closer: bool = False,
    mask_of: MaskOf | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Asks `predictor` about every pair.

    `closer`: also rank the true matches, if the predictor scores every pixel (over the pixels of `mask_of`
    where that gives a mask). Pairs are visited so that images recur while they are in memory.
    `progress(done, all)` is called after every pair.
    """
    images: LastUsed[Tensor] = LastUsed(CACHED_IMAGES)
    answers: dict[int, PairPrediction] = {}
    order = sorted(range(len(file.pairs)), key=lambda i: (file.pairs[i].image_b, file.pairs[i].image_a))
    for i in order:
        pair = file.pairs[i]
        a, b = (
            images.get(path, lambda path=path: image_tensor(path)) for path in (pair.image_a, pair.image_b)
        )
        found = predictor.predict(a, pair.uv_a, b)
        fraction = None
        if closer and isinstance(predictor, DensePredictor):
            mask = mask_of(pair) if mask_of is not None else None
            fraction = predictor.closer_fractions(a, pair.uv_a, b, pair.uv_b, mask)
        answers[i] = PairPrediction(found.uv_b, found.confidence, fraction)
        if progress is not None:
            progress(len(answers), len(order))
    pairs = tuple(answers[i] for i in range(len(order)))
    return Predictions(predictor.name, pairs, pairs_sha256(file), dict(predictor.config))


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Writes the file, whole or not at all."""
    entries = []
    for pair in predictions.pairs:
        entry: dict[str, object] = {
            "uv_b": [_numbers(row) if row is not None else None for row in _rows(pair.uv_b)]
        }
        for name in ("confidence", "closer_fraction"):
            values = getattr(pair, name)
            if values is not None:
                entry[name] = _numbers(values.tolist())
        entries.append(entry)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "pairs_sha256": predictions.pairs_sha256,
        "predictor": predictions.predictor,
        "config": dict(predictions.config),
    }
    write_json(Path(path), {**header, "pairs": entries})


def read_predictions(path: Path, file: PairsFile) -> Predictions:
    """Predictions for the pairs of `file`. DataError for a file of another form or made for other pairs."""
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError("is not a predictions file", where=path, mend=f'it needs "format": "{FORMAT}"')
    if content.get("version") != VERSION:
        what = f"predictions have version {content.get('version')!r}, this samepoint reads {VERSION}"
        raise DataError(what, where=path, mend="export them again")
    made_for = content.get("pairs_sha256")
    if made_for not in (None, pairs_sha256(file)):
        raise DataError("was made for other pairs", where=path, mend="export predictions for this pairs file")
    entries = content.get("pairs")
    if not isinstance(entries, list) or len(entries) != len(file.pairs):
        got = len(entries) if isinstance(entries, list) else "no list of"
        raise DataError(
            f"has {got} pairs but the pairs file {len(file.pairs)}", where=path, mend="give one entry a pair"
        )
    both = enumerate(zip(entries, file.pairs, strict=True))
    pairs = tuple(_pair(entry, len(pair), f"{path}, pair {i}") for i, (entry, pair) in both)
    name, config = content.get("predictor"), content.get("config")
    return Predictions(
        name if isinstance(name, str) else path.stem,
        pairs,
        made_for,
        config if isinstance(config, dict) else {},
    )


def _pair(entry: Any, n: int, where: str) -> PairPrediction:
    if not isinstance(entry, dict) or not isinstance(entry.get("uv_b"), list):
        raise DataError('has no list "uv_b"', where=where, mend="write one [u, v] or null a point")
    if len(entry["uv_b"]) != n:
        raise DataError(f"has {len(entry['uv_b'])} points, not {n}", where=where, mend="give one a point")
    rows = [[None, None] if row is None else row for row in entry["uv_b"]]
    if not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise DataError("a point is not [u, v]", where=where, mend="write one [u, v] or null a point")
    flat = _tensor([value for row in rows for value in row], where)
    return PairPrediction(
        flat.reshape(-1, 2),
        _optional(entry.get("confidence"), n, f"{where}, confidence"),
        _optional(entry.get("closer_fraction"), n, f"{where}, closer_fraction"),
    )


def _optional(values: Any, n: int, where: str) -> Float[Tensor, " n"] | None:
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != n:
        raise DataError(
            f"is not a list of {n} numbers", where=where, mend="give one a point, or leave it out"
        )
    return _tensor(values, where)


def _tensor(values: Iterable[Any], where: str) -> Float[Tensor, " n"]:
    try:
        return torch.tensor([math.nan if value is None else float(value) for value in values])
    except (TypeError, ValueError):
        raise DataError(
            "holds something that is no number", where=where, mend="write numbers or null"
        ) from None


def _described(pair: Pair, root: Path) -> dict[str, object]:
    return {
        "image_a": Path(os.path.relpath(pair.image_a, root)).as_posix(),
        "image_b": Path(os.path.relpath(pair.image_b, root)).as_posix(),
        "uv_a": _rows(pair.uv_a),
        "uv_b": _rows(pair.uv_b),
        "visible_b": None if pair.visible_b is None else pair.visible_b.tolist(),
        "alternatives_b": None if pair.alternatives_b is None else [_rows(uv) for uv in pair.alternatives_b],
    }


def _rows(uv: Float[Tensor, "n 2"]) -> list[list[float] | None]:
    return [[round(u, 4), round(v, 4)] if math.isfinite(u + v) else None for u, v in uv.tolist()]


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
