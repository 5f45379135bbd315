"""Tables as text, however a program wrote them: apart by commas, semicolons, tabs or blanks, decimal commas."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from samepoint.errors import DataError
from samepoint.text import read_text

SEPARATORS = ";\t|,"
"""Tried in this order: a comma may be a decimal one where another separator is there."""
EXCEL = re.compile(r"sep=(.)\n", re.IGNORECASE)
"""What Excel writes and takes as a first line."""


@dataclass(frozen=True)
class Table:
    """A header and rows of fields, blanks around them gone; `rows` have the place to name in an error. Rows may be
    longer or shorter than the header. Where `separator` is no comma, numbers may have decimal commas."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    separator: str

    def column(self, name: str) -> int | None:
        """Which column has this name, whatever its capitals; None if none."""
        names = [entry.casefold() for entry in self.header]
        return names.index(name.casefold()) if name.casefold() in names else None


def read_rows(path: Path) -> Table:
    """A table with a header. Empty lines are passed over, empty fields behind the header's last are cut off.

    DataError for a file without a line, and for what `read_text` refuses.
    """
    text = read_text(path)
    said = EXCEL.match(text)
    first = text[said.end() :] if said else text
    head = next((line for line in first.split("\n") if line.strip()), "")
    separator = said[1] if said else next((mark for mark in SEPARATORS if mark in head), " ")
    if not head:
        raise DataError("holds no line", where=path, mend="write a header and rows")
    skipped = text.count("\n", 0, said.end()) if said else 0
    reader = csv.reader(
        io.StringIO(first, newline=""), delimiter=separator, skipinitialspace=separator != "\t", strict=False
    )
    found: list[tuple[str, tuple[str, ...]]] = []
    try:
        for fields in reader:
            row = tuple(field.strip() for field in fields)
            if separator == " ":
                row = tuple(field for field in row if field)
            if any(row):
                found.append((f"{path}, line {reader.line_num + skipped}", row))
    except csv.Error as error:
        where = f"{path}, line {reader.line_num + skipped}"
        raise DataError(f"is not a row of a table ({error})", where=where, mend="write it again") from error
    (_, header), *rows = found
    while header and not header[-1]:
        header = header[:-1]
    return Table(header, tuple((where, _cut(row, len(header))) for where, row in rows), separator)


def decimal_point(text: str, table: Table) -> str:
    """A number with a decimal comma as Python reads it; whatever else stays. In a table apart by commas only quoted
    fields hold one, and 1,234 stays: it may be a thousand."""
    match = re.fullmatch(r"([+-]?\d*),(\d*)([eE][+-]?\d+)?", text)
    if match is None or (table.separator == "," and len(match[2]) == 3):
        return text
    return f"{match[1]}.{match[2]}{match[3] or ''}"


def _cut(row: tuple[str, ...], length: int) -> tuple[str, ...]:
    while len(row) > length and not row[-1]:
        row = row[:-1]
    return row
