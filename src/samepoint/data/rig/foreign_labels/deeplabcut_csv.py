"""Labels and predictions of DeepLabCut and Lightning Pose as CSV: three header rows, or four with individuals."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from samepoint.data.rig.foreign_labels.columns import AXES, labels_of_table
from samepoint.data.rig.foreign_labels.labels import ForeignLabels
from samepoint.errors import DataError
from samepoint.text import read_text, slashed

HEADS = ("scorer", "individuals", "bodyparts", "coords")
FEWEST = 3


def is_deeplabcut_csv(path: Path) -> bool:
    """Whether the first rows are named scorer, bodyparts and coords. DataError for what is not text."""
    heads = [row[0].strip().lower() for row in _rows(read_text(path))[:4] if row]
    return tuple(heads[:3]) == ("scorer", "bodyparts", "coords") or tuple(heads) == HEADS


def read_deeplabcut_csv(path: Path) -> ForeignLabels:
    """The frame is the path of an image (in one column, or in three) or a number. DataError for a row of another
    length, and for what is no number."""
    rows = [row for row in _rows(read_text(path)) if any(field.strip() for field in row)]
    depth = 4 if rows[1][0].strip().lower() == "individuals" else FEWEST
    header = [[field.strip() for field in row] for row in rows[:depth]]
    first = next((k for k, word in enumerate(header[-1]) if word in AXES), None)
    if first is None or any(len(row) != len(header[0]) for row in header):
        raise DataError("has no columns x and y", where=path, mend="its third row is coords,x,y,...")
    columns = [tuple(row[k] for row in header) for k in range(first, len(header[0]))]
    frames, values = [], []
    for n, row in enumerate(rows[depth:], depth + 1):
        where = f"{path}, row {n}"
        if len(row) != len(header[0]):
            what = f"has {len(row)} fields, the header {len(header[0])}"
            raise DataError(what, where=where, mend="write the table again")
        fields = zip(row[first:], columns, strict=True)
        values.append([_number(text, where) if words[-1] in AXES else math.nan for text, words in fields])
        frames.append("/".join(slashed(field) for field in row[:first] if field.strip()))
    return labels_of_table(path, columns, frames, values)


def _rows(text: str) -> list[list[str]]:
    head = text.split("\n", 1)[0]
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head else ","))


def _number(text: str, where: str) -> float:
    """NaN for an empty field."""
    text = text.strip()
    if not text or text.lower() in ("nan", "na", "none", "null"):
        return math.nan
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise DataError(f"{text!r} is not a number", where=where, mend="correct or empty it") from error
