"""The CSV tables of a recording of several cameras: read with the line that is wrong, written whole."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from samepoint.errors import DataError
from samepoint.files import write_whole
from samepoint.tables import decimal_point, read_rows

LABELS = ("moment", "camera", "keypoint", "u", "v")
POINTS = ("moment", "keypoint", "x", "y", "z")
TIMES = ("moment", "camera", "time")
STILL = ("first", "last")
COORDINATES = ("u", "v")
NUMBERS = frozenset({"u", "v", "x", "y", "z", "time"})
"""Columns that hold numbers."""


def read_table(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> list[tuple[str, dict[str, str]]]:
    """The rows of a table with (at least) these columns, each with the place to name in an error. Capitals of the
    header do not matter; decimal commas of NUMBERS become points. All fields of `optional` may be empty in a row."""
    table = read_rows(path)
    places = {name: table.column(name) for name in columns}
    missing = [name for name, place in places.items() if place is None]
    if missing:
        line = f"has no column {', '.join(missing)}"
        raise DataError(line, where=path, mend=f"its first line is {','.join(columns)}")
    rows: list[tuple[str, dict[str, str]]] = []
    for where, fields in table.rows:
        if len(fields) > len(table.header):
            mend = f"give {','.join(columns)}, numbers with decimal points (29.3), not commas"
            what = f"has {len(fields)} fields, not {len(table.header)}"
            raise DataError(what, where=where, mend=mend)
        row = {name: fields[k] for name, k in places.items() if k is not None and k < len(fields)}
        bare = len(row) == len(columns) and not any(row[name] for name in optional)
        if len(row) < len(columns) or not all(row[k] for k in columns if not (bare and k in optional)):
            raise DataError("has an empty field", where=where, mend=f"give all of {','.join(columns)}")
        rows.append((where, {k: decimal_point(v, table) if k in NUMBERS else v for k, v in row.items()}))
    return rows


def unused_columns(path: Path, columns: Sequence[str]) -> list[str]:
    """Columns that a table has beyond these."""
    known = {name.casefold() for name in columns}
    return [name for name in read_rows(path).header if name and name.casefold() not in known]


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV table, whole or not at all."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_whole(path, out.getvalue().encode())


def number(text: str, what: str, where: str) -> float:
    """A finite number. DataError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{what} is {text!r}, not a number", where=where, mend="correct or remove the line")
    return value
