"""What commands that render share: the size as it is written, and the time that is left."""

from __future__ import annotations

from tyro.constructors import PrimitiveConstructorSpec

from samepoint.errors import DataError
from samepoint.types import Size


def size_of(text: str) -> tuple[int, int]:
    """(height, width) of "WIDTHxHEIGHT"."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise DataError(f"size {text!r} is not WIDTHxHEIGHT", where="--size", mend="write it as in 320x240")
    return int(height), int(width)


def time_left(seconds: float) -> str:
    """ ", about 3 min left"; nothing at the end."""
    if seconds <= 0:
        return ""
    return f", about {seconds / 60:.0f} min left" if seconds > 90 else f", about {max(seconds, 1):.0f} s left"


WIDTH_BY_HEIGHT = PrimitiveConstructorSpec[Size](
    nargs=1,
    metavar="WIDTHxHEIGHT",
    instance_from_str=lambda words: size_of(words[0]),
    is_instance=lambda value: isinstance(value, tuple) and len(value) == 2,
    str_from_instance=lambda size: [f"{size[1]}x{size[0]}"],
)
