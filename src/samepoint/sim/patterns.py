"""Procedural colour patterns and prints, drawn on uint8 RGB pictures `h w 3` in place or returned new."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from jaxtyping import UInt8

Picture = UInt8[np.ndarray, "h w 3"]
Number = float | int
Colour = tuple[int, int, int]
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX, cv2.FONT_HERSHEY_COMPLEX | cv2.FONT_ITALIC,
)  # fmt: skip
SYLLABLES = (
    "ka",
    "lo",
    "mi",
    "ten",
    "ru",
    "sol",
    "va",
    "ne",
    "pri",
    "do",
    "zen",
    "bo",
    "ta",
    "li",
    "fre",
    "ox",
)


def from_hsv(hue: Number, saturation: Number, value: Number) -> Colour:
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1)))
    return int(r * 255), int(g * 255), int(b * 255)


def random_colour(generator: np.random.Generator) -> Colour:
    """A colour of a product: often strong, sometimes grey, white or nearly black."""
    kind = generator.uniform()
    if kind < 0.12:
        return from_hsv(generator.uniform(), 0.05, generator.uniform(0.85, 0.95))
    if kind < 0.22:
        return from_hsv(generator.uniform(), 0.15, generator.uniform(0.12, 0.25))
    if kind < 0.35:
        return from_hsv(generator.uniform(), generator.uniform(0.05, 0.25), generator.uniform(0.35, 0.75))
    return from_hsv(generator.uniform(), generator.uniform(0.45, 0.95), generator.uniform(0.4, 0.92))


def contrast_colour(generator: np.random.Generator, colour: Colour) -> Colour:
    """A colour well apart from `colour`."""
    best = max((random_colour(generator) for _ in range(5)), key=lambda c: _distance(c, colour))
    return best


def _distance(a: Colour, b: Colour) -> float:
    return float(sum(abs(x - y) for x, y in zip(a, b)))


def plain(size: tuple[int, int], colour: Colour) -> Picture:
    return np.full((*size, 3), colour, np.uint8)


def gradient(size: tuple[int, int], first: Colour, second: Colour, angle: Number) -> Picture:
    """A smooth change between colours along `angle` (radians; 0 is right, where it comes round again)."""
    v, u = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    t = 0.5 * np.cos(angle) * np.cos(2 * np.pi * u / size[1] + 5 * angle) + np.sin(angle) * v / size[0]
    t = ((t - t.min()) / max(float(np.ptp(t)), 1e-9))[..., None]
    return (np.asarray(first) * (1 - t) + np.asarray(second) * t).astype(np.uint8)


def noise(generator: np.random.Generator, size: tuple[int, int], cells: Number) -> np.ndarray:
    """Smooth noise in [0, 1], about `cells` bumps along the longer side; left and right edge meet."""
    rows, columns = (max(2, round(cells * s / max(size))) for s in size)
    small = generator.uniform(size=(rows, columns)).astype(np.float32)
    small[:, -1] = small[:, 0]
    out = cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(out, 0, 1)


def blotches(
    generator: np.random.Generator, picture: Picture, colour: Colour, cells: Number, share: Number
) -> None:
    """Smooth-edged patches of `colour`, like camouflage or a cow; `share` of the area."""
    field = noise(generator, (picture.shape[0], picture.shape[1]), cells)
    edge = np.quantile(field, 1 - share)
    alpha = np.clip((field - edge) * 12, 0, 1)[..., None]
    picture[:] = (picture * (1 - alpha) + np.asarray(colour) * alpha).astype(np.uint8)


def ombre(generator: np.random.Generator, picture: Picture, strength: Number) -> None:
    """Colours that run into one another mixed in, as in dyed cloth, glazes and packaging art."""
    size = (picture.shape[0], picture.shape[1])
    field = np.stack([noise(generator, size, float(generator.uniform(6, 12))) for _ in range(3)], axis=-1)
    field = np.clip((field - 0.5) * 1.8 + 0.5, 0, 1) * 255
    picture[:] = (picture * (1 - strength) + field * strength).astype(np.uint8)


def stripes(picture: Picture, colour: Colour, period: Number, share: Number, angle: Number) -> None:
    """Parallel stripes; `period` in pixels, `share` the coloured part of it."""
    h, w = picture.shape[:2]
    v, u = np.mgrid[0:h, 0:w]
    phase = ((u * np.cos(angle) + v * np.sin(angle)) / period) % 1.0
    inside = np.minimum(phase, share - phase) * period + 0.5
    alpha = np.clip(np.where(phase > share, 0.5 - (1 - phase) * period, inside), 0, 1)[..., None]
    picture[:] = (picture * (1 - alpha) + np.asarray(colour) * alpha).astype(np.uint8)


def check(picture: Picture, colour: Colour, period: Number) -> None:
    """A woven check: two sets of half-covering stripes."""
    over = picture.copy()
    for angle in (0.0, np.pi / 2):
        stripes(over, colour, period, 0.4, angle)
        picture[:] = cv2.addWeighted(picture, 0.5, over, 0.5, 0)


def dots(picture: Picture, colour: Colour, period: Number) -> None:
    """A regular print of dots."""
    h, w = picture.shape[:2]
    for row, y in enumerate(np.arange(period / 2, h, period * 0.87)):
        for x in np.arange((row % 2) * period / 2, w, period):
            cv2.circle(picture, (int(x), int(y)), max(1, int(period * 0.22)), colour, -1, cv2.LINE_AA)


def speckle(generator: np.random.Generator, picture: Picture, strength: Number) -> None:
    """Fine grain, as of plastic or fabric."""
    grain = generator.standard_normal(picture.shape[:2], np.float32)[..., None] * np.float32(strength)
    picture[:] = np.clip(picture + grain, 0, 255).astype(np.uint8)


def weave(picture: Picture, period: int, strength: Number) -> None:
    """The threads of a fabric."""
    h, w = picture.shape[:2]
    v, u = np.mgrid[0:h, 0:w]
    thread = np.sin(2 * np.pi * u / period) * np.sin(2 * np.pi * v / period)
    picture[:] = np.clip(picture + strength * thread[..., None], 0, 255).astype(np.uint8)


def wear(generator: np.random.Generator, picture: Picture, strength: Number) -> None:
    """Uneven brightness in large patches, and a few faint scuffs."""
    field = 1 + strength * (noise(generator, (picture.shape[0], picture.shape[1]), 6) - 0.5)
    picture[:] = np.clip(picture * field[..., None], 0, 255).astype(np.uint8)


def wood(generator: np.random.Generator, size: tuple[int, int], colour: Colour) -> Picture:
    """Boards with grain along the rows."""
    h, w = size
    grain = cv2.resize(
        generator.uniform(size=(h // 3, 4)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC
    )
    bend = noise(generator, size, 3) * 40
    v = np.mgrid[0:h, 0:w][0]
    rings = 0.5 + 0.5 * np.sin((v + bend) * 2 * np.pi / generator.uniform(18, 60))
    shade = 0.75 + 0.2 * rings + 0.15 * (grain - 0.5)
    return np.clip(np.asarray(colour) * shade[..., None], 0, 255).astype(np.uint8)


def word(generator: np.random.Generator, syllables: int | None = None) -> str:
    """A word that means nothing."""
    count = syllables or int(generator.integers(2, 4))
    text = "".join(generator.choice(SYLLABLES) for _ in range(count))
    return text.upper() if generator.uniform() < 0.5 else text.capitalize()


def write(
    picture: Picture, text: str, centre: tuple[Number, Number], width: Number, colour: Colour, font: int
) -> None:
    """Text in one line, `width` pixels long, its middle at (x, y); nothing where it would be too small."""
    (w1, h1), _ = cv2.getTextSize(text, font, 1.0, 2)
    scale = min(width / w1, picture.shape[0] * 0.8 / h1)
    thickness = max(1, round(2.2 * scale))
    (w, h), _ = cv2.getTextSize(text, font, scale, thickness)
    origin = (int(centre[0] - w / 2), int(centre[1] + h / 2))
    cv2.putText(picture, text, origin, font, scale, colour, thickness, cv2.LINE_AA)


def lines_of_print(
    generator: np.random.Generator, picture: Picture, box: tuple[int, int, int, int], colour: Colour
) -> None:
    """Small print: rows of short strokes in (left, top, right, bottom)."""
    left, top, right, bottom = box
    step = max(5, (bottom - top) // 7)
    for y in range(top, bottom, step):
        x = left
        while x < right - 4:
            end = min(right, x + int(generator.integers(5, 22)))
            cv2.line(picture, (x, y), (end, y), colour, max(1, step // 4), cv2.LINE_AA)
            x = end + 4


def barcode(generator: np.random.Generator, picture: Picture, box: tuple[int, int, int, int]) -> None:
    """Black bars on white in (left, top, right, bottom)."""
    left, top, right, bottom = box
    cv2.rectangle(picture, (left, top), (right, bottom), (245, 245, 245), -1)
    x = left + 3
    while x < right - 4:
        wide = int(generator.integers(1, 4))
        cv2.rectangle(picture, (x, top + 3), (x + wide - 1, bottom - 3), (20, 20, 20), -1)
        x += wide + int(generator.integers(1, 4))


def emblem(
    generator: np.random.Generator,
    picture: Picture,
    centre: tuple[Number, Number],
    radius: Number,
    colour: Colour,
) -> None:
    """A large simple sign: disc, ring, polygon, star, wave or crescent."""
    kind = int(generator.integers(6))
    c = (int(centre[0]), int(centre[1]))
    if kind == 0:
        cv2.circle(picture, c, int(radius), colour, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.circle(picture, c, int(radius * 0.8), colour, max(2, int(radius * 0.35)), cv2.LINE_AA)
    elif kind in (2, 3):
        corners = int(generator.integers(3, 7)) * (1 if kind == 2 else 2)
        angle = np.arange(corners) * 2 * np.pi / corners + generator.uniform(0, np.pi)
        reach = radius * np.where((kind == 3) & (np.arange(corners) % 2 == 1), 0.5, 1.0)
        points = np.stack([c[0] + reach * np.cos(angle), c[1] + reach * np.sin(angle)], axis=1)
        cv2.fillPoly(picture, [points.astype(np.int32)], colour, cv2.LINE_AA)
    elif kind == 4:
        x = np.linspace(-radius, radius, 30)
        rise, lift = generator.uniform(0.3, 0.7), generator.uniform(1.5, 3)
        up = c[1] + rise * radius * np.sin(x / radius * lift)
        edge = np.stack([c[0] + x, up - 0.25 * radius * (1 + x / radius)], 1)
        back = np.stack([c[0] + x, up + 0.25 * radius], 1)[::-1]
        cv2.fillPoly(picture, [np.concatenate([edge, back]).astype(np.int32)], colour, cv2.LINE_AA)
    else:
        first, span = float(generator.uniform(0, 360)), float(generator.uniform(150, 280))
        cv2.ellipse(picture, c, (int(radius * 0.8),) * 2, first, 0, span, colour, max(2, int(radius * 0.4)))
