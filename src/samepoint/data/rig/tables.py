"""The CSV tables of a recording of several cameras: read with the line that is wrong, written whole."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from samepoint.errors import DataError
from samepoint.files import write_whole

LABELS = ("moment", "camera", "keypoint", "u", "v")
POINTS = ("moment", "keypoint", "x", "y", "z")
TIMES = ("moment", "camera", "time")
STILL = ("first", "last")


def read_table(path: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """The rows of a table with (at least) these columns, each with the place to name in an error."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", where=path, mend="save it as CSV in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text))
    header = reader.fieldnames or ()
    missing = [name for name in columns if name not in header]
    if missing:
        line = f"has no column {', '.join(missing)}"
        raise DataError(line, where=path, mend=f"its first line is {','.join(columns)}")
    rows: list[tuple[str, dict[str, str]]] = []
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if None in row:
            fields = len(header) + len(row[None])
            mend = f"give {','.join(columns)}, numbers with decimal points (29.3), not commas"
            raise DataError(f"has {fields} fields, not {len(header)}", where=where, mend=mend)
        if any(not (row[name] or "").strip() for name in columns):
            raise DataError("has an empty field", where=where, mend=f"give all of {','.join(columns)}")
        rows.append((where, {name: row[name].strip() for name in columns}))
    return rows


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
