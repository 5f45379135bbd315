"""The order in which a person reads numbered names: 1.png, 2.png, 10.png."""

from __future__ import annotations

import re
from pathlib import PurePath

NUMBER = re.compile(r"((?<![A-Za-z\d.])\d+\.\d+(?!\.?\d)|\d+)")
"""A whole number, or a decimal that stands alone: 100.25 (a time), not v1.10 or 2023.01.31."""
Part = str | tuple[int, str]


def natural_key(name: str | PurePath) -> tuple[tuple[list[Part], ...], str]:
    """A key for `sorted` by which 9 stands before 10, and 100.25 before 100.5. Folders of a path come first.

    Names that differ in leading zeros alone keep one order.
    """
    text = name.as_posix() if isinstance(name, PurePath) else name
    return tuple(_parts(part) for part in text.split("/")), text


def _parts(name: str) -> list[Part]:
    """Text and numbers in turn; a number is its whole part and its decimals, which compare as text."""
    return [_number(part) if i % 2 else part for i, part in enumerate(NUMBER.split(name))]


def _number(text: str) -> tuple[int, str]:
    whole, _, decimals = text.partition(".")
    return int(whole), decimals.rstrip("0")
