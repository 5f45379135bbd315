"""Images inside a page: embedded pixels with markers drawn over them as SVG, in the image's own pixels."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from samepoint.geometry.pixels import pixels_from_grid
from samepoint.types import Size
from samepoint.viewers.palette import FOUND, TRUE

LONG_SIDE = 520
"""Pictures are embedded no larger than this: enough to judge a point, small enough for a page to be
mailed."""


def picture(image: UInt8[np.ndarray, "h w 3"], marks: str = "", caption: str = "") -> str:
    """One image as an HTML figure; `marks` is SVG in pixels of `image` (integers at pixel centres)."""
    size = (image.shape[0], image.shape[1])
    left, top = pixels_from_grid(torch.tensor((-1.0, -1.0)), size).tolist()
    box = f"{left} {top} {size[1]} {size[0]}"
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure class="picture"><svg viewBox="{box}" role="img" aria-label="{escape(caption, quote=True)}">'
        f'<image x="{left}" y="{top}" width="{size[1]}" height="{size[0]}" href="{data_uri(image)}"/>'
        f"{marks}</svg>{text}</figure>"
    )


def data_uri(image: UInt8[np.ndarray, "h w 3"], long_side: int = LONG_SIDE) -> str:
    """The image as an embedded JPEG, scaled down to `long_side`."""
    height, width = image.shape[:2]
    scale = long_side / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    _, content = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 86])
    return f"data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode()}"


def unit(size: Size) -> float:
    """The length that looks like one pixel of a picture shown 300 pixels wide, in pixels of the image."""
    return max(0.4, max(size) / 300)


def ring(uv: Sequence[float], size: Size, label: str = "", colour: str = TRUE) -> str:
    """The true place: a ring."""
    one = unit(size)
    u, v = uv
    return _both(f'<circle cx="{u:.2f}" cy="{v:.2f}" r="{6 * one:.2f}" fill="none"', colour, one) + _label(
        uv, label, one
    )


def cross(uv: Sequence[float], size: Size, label: str = "", colour: str = FOUND) -> str:
    """The found place: a cross."""
    one = unit(size)
    u, v, r = *uv, 5 * one
    path = f"M{u - r:.2f} {v - r:.2f}L{u + r:.2f} {v + r:.2f}M{u - r:.2f} {v + r:.2f}L{u + r:.2f} {v - r:.2f}"
    return _both(f'<path d="{path}" fill="none"', colour, one) + _label(uv, label, one)


def joined(start: Sequence[float], end: Sequence[float], size: Size) -> str:
    """A line from the true to the found place."""
    one = unit(size)
    line = f'x1="{start[0]:.2f}" y1="{start[1]:.2f}" x2="{end[0]:.2f}" y2="{end[1]:.2f}"'
    return f'<line {line} stroke="#fff" stroke-opacity="0.85" stroke-width="{1.1 * one:.2f}"/>'


def numbered(uv: Float[np.ndarray, "n 2"], size: Size) -> str:
    """Rings numbered from 1."""
    return "".join(ring(place, size, str(index + 1)) for index, place in enumerate(uv.tolist()))


def _both(shape: str, colour: str, one: float) -> str:
    """A dark edge under a bright stroke: to be seen on any image."""
    return (
        f'{shape} stroke="#000" stroke-opacity="0.7" stroke-width="{4 * one:.2f}"/>'
        f'{shape} stroke="{colour}" stroke-width="{2 * one:.2f}"/>'
    )


def _label(uv: Sequence[float], label: str, one: float) -> str:
    if not label:
        return ""
    return (
        f'<text x="{uv[0] + 8 * one:.2f}" y="{uv[1] - 5 * one:.2f}" font-size="{11 * one:.2f}" fill="#fff"'
        f' stroke="#000" stroke-width="{3 * one:.2f}" paint-order="stroke">{escape(label)}</text>'
    )
