"""The one door for text that users give: any encoding that editors write, any ends of lines, paths from Windows.

All readers stand on `read_text`: of lists, numbers and TOML here, of JSON (`files.py`), tables and YAML.
"""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from samepoint.errors import DataError
from samepoint.reading import read_bytes

MARKS = (  # UTF-32 before UTF-16: its mark begins with the other's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x19\x1b-\x1f]")
"""Characters that no text holds."""
DECIMAL_COMMA = re.compile(r"[^,]*(,\d+([eE][+-]?\d+)?)?")
"""A number of which no comma, or a decimal one, is part."""
log = logging.getLogger(__name__)
_guessed: set[str] = set()
"""Files whose encoding was taken for Windows-1252: each is named once."""


def read_text(path: Path) -> str:
    """The text of a file, lines ended by "\\n", without a byte order mark.

    UTF-8, UTF-16 and UTF-32 with a mark, UTF-8 and UTF-16 without, else Windows' cp1252 (of which Latin-1 is the
    printable part). An empty file gives "". DataError for one that is missing, not allowed, a Git LFS pointer or not
    text.
    """
    return decoded(read_bytes(Path(path), may_be_empty=True), path)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without blanks at their ends; blank ones stay, so that line n is entry n - 1."""
    return [line.strip() for line in read_text(path).rstrip("\n").split("\n")]


def decoded(content: bytes, where: object) -> str:
    """What `read_text` makes of a file's content. DataError, naming `where`, if it is not text."""
    text = _decoded(content, where)
    if text is None or CONTROL.search(text):
        raise DataError("cannot be read as text", where=where, mend="save it as text in UTF-8")
    return text.removesuffix("\x1a").replace("\r\n", "\n").replace("\r", "\n")  # \x1a ended files of DOS


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file, or a DataError that says where it breaks."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        line = " ".join(str(error).split())
        raise DataError(f"is not valid TOML ({line})", where=path, mend="write it again") from error


def read_numbers(path: Path, count: int, *, mend: str | None = None) -> Float64[np.ndarray, " count"]:
    """The numbers of a text file, apart by blanks, line ends, commas or semicolons; lists in brackets too.

    Commas are decimal where blanks or semicolons part `count` numbers already ("0,99 0,01"). NaN and infinity pass
    (`nan`, `inf`, `-1.#IND`). DataError if there are more or fewer than `count`.
    """
    mend = mend or f"write {count} numbers"
    text = re.sub(r"[\[\](){};]", " ", read_text(path))
    words = text.split()
    if len(words) != count or not all(DECIMAL_COMMA.fullmatch(word) for word in words):
        words = text.replace(",", " ").split()
    try:
        found = np.array([_number(word.replace(",", ".")) for word in words], dtype=np.float64)
    except ValueError as error:
        raise DataError(f"holds {error} among its numbers", where=path, mend=mend) from error
    if len(found) != count:
        raise DataError(f"has {len(found)} numbers, not {count}", where=path, mend=mend)
    return found


def slashed(name: str) -> str:
    """A path as it is written here: backslashes of Windows become slashes, blanks and quotes around it go."""
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1]
    return name.replace("\\", "/")


def named_file(folder: Path, name: str) -> Path | None:
    """The file that a list, table or JSON names, relative to `folder`; None if there is none.

    As written, else with the slashes of Windows turned, else spelt alike: letters with accents may be one character
    or two (macOS), capitals may differ (Windows) where only one file fits.
    """
    if "\0" in name or not slashed(name):
        return None
    for written in dict.fromkeys((name, name.strip(), slashed(name))):
        if os.path.lexists(folder / written):
            return folder / written
    found = Path("/") if slashed(name).startswith("/") else Path(folder)
    for part in slashed(name).split("/"):
        below = found / part if part in ("", ".", "..") else _spelt(found, part)
        if below is None:
            return None
        found = below
    return found


def same_name(name: str) -> str:
    """A file name's key: equal for names that differ only in how accented letters are made up."""
    return unicodedata.normalize("NFC", name)


def _spelt(folder: Path, name: str) -> Path | None:
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    for key in (str, same_name, lambda text: same_name(text).casefold()):
        fitting = [entry for entry in names if key(entry) == key(name)]
        if len(fitting) == 1:
            return folder / fitting[0]
    return None


def _decoded(content: bytes, where: object) -> str | None:
    """None for what no encoding fits."""
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        encoding = _unmarked_utf16(content)
    try:
        return content.decode(encoding or "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None if encoding is not None else _western(content, where)


def _unmarked_utf16(content: bytes) -> str:
    """Text of mostly Latin letters has its zero bytes at odd (little endian) or at even places."""
    return "utf-16-le" if content[1::2].count(0) >= content[::2].count(0) else "utf-16-be"


def _western(content: bytes, where: object) -> str:
    text = content.decode("latin-1")
    with contextlib.suppress(UnicodeDecodeError):  # five bytes have no letter in cp1252
        text = content.decode("cp1252")
    if not CONTROL.search(text) and str(where) not in _guessed:
        _guessed.add(str(where))
        log.warning("%s: is not UTF-8, taken as Windows-1252 (Western European)", where)
    return text


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        odd = re.fullmatch(r"([+-]?)(?:1\.#)?(IND|QNAN|SNAN|INF)0*", word, re.IGNORECASE)  # Visual C++
        if odd is None:
            raise ValueError(repr(word)) from None
        return float(f"{odd[1]}inf") if odd[2].upper() == "INF" else float("nan")
