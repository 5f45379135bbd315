"""The texture of an object: each part's panel painted as on a real product of its family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from samepoint.errors import DataError
from samepoint.reading import entries, explain_unreadable
from samepoint.sim import patterns as pat
from samepoint.sim.families import Family
from samepoint.sim.patterns import FONTS, Colour, Number, Picture

SHEET = 512
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


class Sheet:
    """The texture of one object while it is painted. `scheme` holds its three colours."""

    def __init__(self, family: Family, generator: np.random.Generator, photos: Sequence[Path] = ()) -> None:
        self.generator = generator
        self.panels = family.panels()
        self.photos = photos
        first = pat.random_colour(generator)
        second = pat.contrast_colour(generator, first)
        self.scheme: tuple[Colour, Colour, Colour] = (first, second, pat.contrast_colour(generator, second))
        self.picture = np.full((SHEET, SHEET, 3), first, np.uint8)

    def size(self, name: str) -> tuple[int, int]:
        left, top, right, bottom = (round(x * SHEET) for x in self.panels[name])
        return bottom - top, right - left

    def put(self, name: str, picture: Picture) -> None:
        left, top, right, bottom = (round(x * SHEET) for x in self.panels[name])
        self.picture[top:bottom, left:right] = picture

    def fill(self, colour: Colour, *names: str, grain: Number = 3.0) -> None:
        """Plain parts with a little grain and a faint shade."""
        for name in names:
            picture = pat.plain(self.size(name), colour)
            pat.wear(self.generator, picture, 0.12)
            pat.speckle(self.generator, picture, grain)
            self.put(name, picture)

    def cloth(self, name: str, colour: Colour, *, busy: bool = True) -> Picture:
        """The ground of a main panel: a photo, or a random treatment in the scheme's colours."""
        g, size = self.generator, self.size(name)
        if self.photos:
            return _crop(g, self.photos[int(g.integers(len(self.photos)))], size)
        other = self.scheme[1] if colour != self.scheme[1] else self.scheme[0]
        picture = pat.gradient(size, colour, _between(g, colour, other), float(g.uniform(0, 2 * np.pi)))
        kind = g.uniform() if busy else 0.0
        soft = _between(g, colour, other)
        if 0.35 < kind < 0.6:
            pat.blotches(g, picture, soft, float(g.uniform(3, 8)), float(g.uniform(0.2, 0.5)))
        elif 0.6 < kind < 0.72:
            pat.stripes(picture, soft, float(g.uniform(30, 120)), float(g.uniform(0.2, 0.5)),
                        float(g.choice([0, np.pi / 2, np.pi / 4])))  # fmt: skip
        elif 0.72 < kind < 0.82:
            pat.dots(picture, soft, float(g.uniform(24, 60)))
        elif 0.82 < kind < 0.9:
            pat.check(picture, soft, float(g.uniform(40, 90)))
        elif kind > 0.9:
            pat.blotches(g, picture, other, float(g.uniform(2, 4)), float(g.uniform(0.3, 0.5)))
        return picture

    def finish(self, name: str, picture: Picture, grain: Number = 3.0) -> None:
        pat.wear(self.generator, picture, float(self.generator.uniform(0.05, 0.2)))
        pat.speckle(self.generator, picture, grain)
        self.put(name, picture)


def paint(
    family: Family,
    generator: np.random.Generator,
    photos: Sequence[Path] = (),
    ombre: tuple[float, float] = (0.5, 0.75),
) -> Picture:
    """A random texture (512 x 512) for one object of the family; `photos` are the ground of main parts. `ombre`: the
    share (lowest, highest) of soft colours that run into one another."""
    sheet = Sheet(family, generator, photos)
    PAINTERS[family.name](sheet)
    pat.ombre(generator, sheet.picture, float(generator.uniform(*ombre)))
    return sheet.picture


def read_texture_folder(folder: Path) -> tuple[Path, ...]:
    """The images of a folder, sorted; DataError if there is none."""
    found = tuple(p for p in entries(folder) if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(
            "holds no images for textures", where=folder, mend=f"put {', '.join(IMAGE_SUFFIXES)} in it"
        )
    return found


def _crop(generator: np.random.Generator, path: Path, size: tuple[int, int]) -> Picture:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        mend = "remove it from the texture folder"
        raise explain_unreadable(path) or DataError("cannot be read as an image", where=path, mend=mend)
    h, w = image.shape[:2]
    scale = min(h / size[0], w / size[1]) * generator.uniform(0.6, 1.0)
    ch, cw = max(1, int(size[0] * scale)), max(1, int(size[1] * scale))
    y, x = int(generator.integers(h - ch + 1)), int(generator.integers(w - cw + 1))
    crop = image[y : y + ch, x : x + cw, ::-1]
    return np.ascontiguousarray(cv2.resize(crop, (size[1], size[0]), interpolation=cv2.INTER_AREA))


def _between(generator: np.random.Generator, a: Colour, b: Colour) -> Colour:
    t = generator.uniform(0.2, 0.55)
    r, g, bl = (int(x * (1 - t) + y * t) for x, y in zip(a, b))
    return r, g, bl


def _shade(colour: Colour, factor: Number) -> Colour:
    r, g, b = (int(min(255, c * factor)) for c in colour)
    return r, g, b


def _label(sheet: Sheet, picture: Picture, box: tuple[int, int, int, int], ground: Colour) -> None:
    """A printed label in (left, top, right, bottom): ground, band, emblem, a word or two, small print."""
    g = sheet.generator
    left, top, right, bottom = box
    ink = pat.contrast_colour(g, ground)
    wide, high = right - left, bottom - top
    cv2.rectangle(picture, (left, top), (right, bottom), ground, -1)
    band = int(high * g.uniform(0.12, 0.3))
    at = top if g.uniform() < 0.5 else bottom - band
    cv2.rectangle(picture, (left, at), (right, at + band), sheet.scheme[2], -1)
    x, y = left + wide * g.uniform(0.25, 0.75), top + high * g.uniform(0.45, 0.6)
    pat.emblem(g, picture, (x, y), min(wide, high) * g.uniform(0.2, 0.34), ink)
    font = int(g.choice(FONTS))
    pat.write(picture, pat.word(g), (left + wide / 2, top + high * g.uniform(0.2, 0.35)), wide * 0.7,
              pat.contrast_colour(g, ground), font)  # fmt: skip
    if g.uniform() < 0.6:
        pat.write(picture, pat.word(g), (left + wide * 0.5, bottom - high * 0.16), wide * 0.4, ink, font)


def _mug(sheet: Sheet) -> None:
    g, (first, second, third) = sheet.generator, sheet.scheme
    wall = sheet.cloth("wall", first)
    h, w = wall.shape[:2]
    if g.uniform() < 0.5:
        band = int(h * g.uniform(0.1, 0.25))
        cv2.rectangle(wall, (0, h - band), (w, h), second, -1)
    pat.emblem(g, wall, (w * g.uniform(0.42, 0.58), h * 0.42), h * g.uniform(0.2, 0.3), second)
    pat.write(wall, pat.word(g), (w * 0.5, h * 0.8), w * g.uniform(0.2, 0.35), third, int(g.choice(FONTS)))
    pat.emblem(g, wall, (w * g.uniform(0.08, 0.2), h * g.uniform(0.3, 0.7)), h * g.uniform(0.12, 0.22), third)
    sheet.finish("wall", wall)
    inner = first if g.uniform() < 0.3 else (236, 232, 224) if g.uniform() < 0.6 else second
    sheet.fill(inner, "inside", "floor", "rim")
    sheet.fill(second if g.uniform() < 0.5 else first, "handle")
    sheet.fill(_shade(first, 0.9), "bottom")


def _bottle(sheet: Sheet) -> None:
    g, (first, second, third) = sheet.generator, sheet.scheme
    body = sheet.cloth("body", first, busy=False)
    h, w = body.shape[:2]
    top, bottom = int(h * g.uniform(0.12, 0.25)), int(h * g.uniform(0.7, 0.88))
    pat.emblem(g, body, (w * 0.98, h * 0.25), h * 0.1, third)
    half = w * g.uniform(0.22, 0.46)
    _label(sheet, body, (int(w / 2 - half), top, int(w / 2 + half), bottom), second)
    pat.lines_of_print(g, body, (int(w * 0.03), int(h * 0.5), int(w * 0.16), int(h * 0.8)), third)
    sheet.finish("body", body)
    sheet.finish("shoulder", pat.gradient(sheet.size("shoulder"), _shade(first, 1.1), first, np.pi / 2))
    cap = pat.plain(sheet.size("cap"), third)
    pat.stripes(cap, _shade(third, 0.8), 9, 0.4, 0.0)
    sheet.finish("cap", cap)
    lid = pat.plain(sheet.size("cap_top"), third)
    sheet.finish("cap_top", lid)
    sheet.fill(_shade(third, 0.7), "cap_under")
    sheet.fill(_shade(first, 0.8), "bottom")


def _box(sheet: Sheet) -> None:
    g, (first, second, third) = sheet.generator, sheet.scheme
    face = sheet.cloth("front", first)
    h, w = face.shape[:2]
    pat.emblem(
        g, face, (w * g.uniform(0.35, 0.65), h * g.uniform(0.5, 0.65)), w * g.uniform(0.25, 0.4), second
    )
    if g.uniform() < 0.7:
        pat.emblem(g, face, (w * g.uniform(0.2, 0.8), h * g.uniform(0.6, 0.85)), w * 0.16, third)
    pat.write(face, pat.word(g), (w / 2, h * 0.16), w * 0.8, third, int(g.choice(FONTS)))
    pat.write(face, pat.word(g), (w * 0.4, h * 0.9), w * 0.4, second, int(g.choice(FONTS)))
    sheet.finish("front", face)
    back = sheet.cloth("back", second, busy=False)
    pat.write(back, pat.word(g), (w * 0.5, h * 0.12), w * 0.6, first, int(g.choice(FONTS)))
    pat.lines_of_print(g, back, (int(w * 0.1), int(h * 0.25), int(w * 0.6), int(h * 0.6)), first)
    pat.barcode(g, back, (int(w * 0.55), int(h * 0.75), int(w * 0.92), int(h * 0.92)))
    sheet.finish("back", back)
    for name, ground in (("left", first), ("right", second)):
        side = sheet.cloth(name, ground, busy=False)
        h, w = side.shape[:2]
        pat.emblem(g, side, (w / 2, h * g.uniform(0.25, 0.75)), w * g.uniform(0.2, 0.4), third)
        sheet.finish(name, side)
    top = sheet.cloth("top", first, busy=False)
    pat.write(top, pat.word(g), (top.shape[1] / 2, top.shape[0] * 0.7), top.shape[1] * 0.5, second, FONTS[1])
    cv2.line(top, (0, top.shape[0] // 3), (top.shape[1], top.shape[0] // 3), _shade(first, 0.6), 2)
    sheet.finish("top", top)
    sheet.fill((150, 125, 95), "bottom")


def _cap(sheet: Sheet) -> None:
    g, (first, second, third) = sheet.generator, sheet.scheme
    dome = sheet.cloth("dome", first)
    h, w = dome.shape[:2]
    if g.uniform() < 0.4:
        dome[:, int(w * 0.34) : int(w * 0.66)] = second
    for seam in range(6):
        x = int((seam + 0.5) * w / 6)
        cv2.line(dome, (x, 0), (x, h), _shade(first, 0.7), 2)
    centre = (w * 0.5, h * 0.62)
    badge = third if g.uniform() < 0.5 else pat.contrast_colour(g, first)
    pat.emblem(g, dome, centre, h * g.uniform(0.15, 0.24), badge)
    if g.uniform() < 0.7:
        pat.write(dome, pat.word(g, 2), (w * 0.5, h * 0.9), w * 0.18, badge, int(g.choice(FONTS)))
    pat.emblem(g, dome, (w * g.choice([0.22, 0.78]), h * 0.75), h * 0.1, third)
    cv2.ellipse(dome, (0, h), (int(w * 0.06), int(h * 0.3)), 0, 0, 360, (30, 28, 26), -1)
    cv2.ellipse(dome, (w, h), (int(w * 0.06), int(h * 0.3)), 0, 0, 360, (30, 28, 26), -1)
    pat.weave(dome, 5, 6)
    sheet.finish("dome", dome, 5)
    brim = sheet.cloth("brim", second if g.uniform() < 0.6 else first, busy=False)
    bh, bw = brim.shape[:2]
    for k in range(1, 5):
        cv2.line(brim, (0, int(bh * k / 5)), (bw, int(bh * k / 5)), _shade(second, 0.85), 1)
    pat.emblem(g, brim, (bw * g.uniform(0.2, 0.8), bh * 0.6), bh * 0.16, third)
    sheet.finish("brim", brim, 5)
    sheet.fill(_shade(first, 0.55), "inside", "rim", grain=6)
    sheet.fill(_shade(second, 0.6), "under", grain=5)
    sheet.fill(third, "button")


def _shoe(sheet: Sheet) -> None:
    g, (first, second, third) = sheet.generator, sheet.scheme
    upper = sheet.cloth("upper", first)
    h, w = upper.shape[:2]
    toe = np.array([[0.36, 1.0], [0.42, 0.72], [0.5, 0.62], [0.58, 0.72], [0.64, 1.0]]) * (w, h)
    cv2.fillPoly(upper, [toe.astype(np.int32)], second, cv2.LINE_AA)
    cv2.rectangle(upper, (0, int(h * 0.45)), (int(w * 0.1), h), third, -1)
    cv2.rectangle(upper, (int(w * 0.9), int(h * 0.45)), (w, h), third, -1)
    cv2.rectangle(upper, (0, 0), (w, int(h * 0.07)), _shade(third, 0.8), -1)
    throat = np.array([[0.4, 0.0], [0.44, 0.55], [0.56, 0.55], [0.6, 0.0]]) * (w, h)
    cv2.fillPoly(upper, [throat.astype(np.int32)], _shade(first, 0.6), cv2.LINE_AA)
    badge = pat.contrast_colour(g, first)
    for x in (0.24, 0.76):
        centre = (w * x, h * 0.62)
        if g.uniform() < 0.5:
            for k in range(3):
                at = int(centre[0] + (k - 1) * w * 0.03)
                cv2.line(upper, (at - 12, int(h * 0.9)), (at + 12, int(h * 0.35)), badge, 9, cv2.LINE_AA)
        else:
            pat.emblem(g, upper, centre, h * 0.2, badge)
    pat.weave(upper, 4, 4)
    sheet.finish("upper", upper, 4)
    sole = pat.plain(sheet.size("sole"), second if g.uniform() < 0.4 else (232, 228, 220))
    sh, sw = sole.shape[:2]
    cv2.rectangle(sole, (0, int(sh * 0.55)), (sw, int(sh * 0.75)), third, -1)
    sheet.finish("sole", sole)
    bottom = pat.plain(sheet.size("bottom"), _shade(third, 0.6))
    pat.stripes(bottom, _shade(third, 0.4), 14, 0.4, 0.0)
    sheet.finish("bottom", bottom)
    sheet.fill((225, 220, 212), "sole_top")
    sheet.fill(_shade(third, 0.5), "inside", grain=6)
    sheet.fill(second, "tongue", grain=5)
    lace = (235, 235, 230) if g.uniform() < 0.6 else pat.contrast_colour(g, first)
    sheet.fill(lace, *(name for name in sheet.panels if name.startswith("lace")))


def _drill(sheet: Sheet) -> None:
    g, (first, second, third) = sheet.generator, sheet.scheme
    dark = (42, 42, 46)
    body = np.ascontiguousarray(np.rot90(sheet.cloth("body", first, busy=False), 1))
    h, w = body.shape[:2]
    cv2.rectangle(body, (0, 0), (int(w * 0.12), h), dark, -1)
    cv2.rectangle(body, (int(w * 0.8), 0), (w, h), second, -1)
    for y in (0.25, 0.75):
        picture = np.ascontiguousarray(body[int(h * (y - 0.14)) : int(h * (y + 0.14))])
        pat.write(
            picture, pat.word(g, 2), (w * 0.46, picture.shape[0] / 2), w * 0.5, third, int(g.choice(FONTS))
        )
        body[int(h * (y - 0.14)) : int(h * (y + 0.14))] = picture if y > 0.5 else np.rot90(picture, 2)
    sheet.finish("body", np.ascontiguousarray(np.rot90(body, -1)))
    grip = pat.plain(sheet.size("handle"), first)
    h, w = grip.shape[:2]
    cv2.rectangle(grip, (int(w * 0.28), int(h * 0.1)), (int(w * 0.72), int(h * 0.9)), dark, -1)
    cv2.rectangle(grip, (0, int(h * 0.35)), (int(w * 0.1), int(h * 0.95)), dark, -1)
    cv2.rectangle(grip, (int(w * 0.9), int(h * 0.35)), (w, int(h * 0.95)), dark, -1)
    sheet.finish("handle", grip)
    battery = pat.plain(sheet.size("battery"), dark)
    h, w = battery.shape[:2]
    cv2.rectangle(battery, (0, int(h * 0.4)), (w, int(h * 0.55)), second, -1)
    pat.write(battery, f"{int(g.integers(10, 40))}V", (w / 2, h * 0.47), w * 0.14, (240, 240, 240), FONTS[1])
    sheet.finish("battery", battery)
    sheet.fill((70, 70, 74), "chuck")
    sheet.fill((170, 170, 175), "bit")
    sheet.fill(third if g.uniform() < 0.6 else (190, 30, 30), "trigger")
    vent = pat.plain(sheet.size("vent"), second)
    pat.stripes(vent, dark, 22, 0.5, np.pi / 2)
    sheet.finish("vent", vent)


def _plug(sheet: Sheet) -> None:
    g, (first, second, third) = sheet.generator, sheet.scheme
    body = sheet.cloth("body", first, busy=False)
    h, w = body.shape[:2]
    cv2.rectangle(body, (0, int(h * 0.82)), (w, h), second, -1)
    for x in (0.5, 0.02):
        pat.emblem(g, body, (w * x, h * 0.55), h * 0.08, third)
    pat.lines_of_print(
        g, body, (int(w * 0.4), int(h * 0.68), int(w * 0.6), int(h * 0.76)), _shade(first, 0.7)
    )
    pat.blotches(g, body, _shade(first, 0.85), 4, 0.25)
    sheet.finish("body", body)
    sheet.fill((190, 180, 140) if g.uniform() < 0.5 else (180, 182, 186), "prong_left", "prong_right")
    sheet.fill(_shade(second, 0.9), "relief")
    sheet.fill(second if g.uniform() < 0.5 else _shade(first, 0.8), "cable")
    sheet.fill((185, 110, 60), "cable_end")
    sheet.fill(third, "mark")


def _socket(sheet: Sheet) -> None:
    g, (first, second, third) = sheet.generator, sheet.scheme
    frame = sheet.cloth("frame", first, busy=False)
    h, w = frame.shape[:2]
    cv2.rectangle(frame, (int(w * 0.44), int(h * 0.45)), (int(w * 0.56), int(h * 0.85)), third, -1)
    pat.write(frame, pat.word(g, 2), (w * 0.25, h * 0.7), w * 0.12, third, FONTS[0])
    cv2.rectangle(frame, (int(w * 0.7), int(h * 0.75)), (int(w * 0.85), int(h * 0.95)), second, -1)
    sheet.finish("frame", frame)
    edge = sheet.cloth("edge", _shade(first, 0.9), busy=False)
    h, w = edge.shape[:2]
    cv2.rectangle(edge, (0, int(h * 0.6)), (w, h), second, -1)
    sheet.finish("edge", edge)
    sheet.fill(_shade(first, 0.8), "recess")
    sheet.fill(_shade(first, 0.7), "floor")
    sheet.fill((60, 60, 62), "bottom")
    sheet.fill((14, 14, 14), "hole_left", "hole_right")
    sheet.fill(second, "nose")
    sheet.fill((185, 175, 130), "clip_front", "clip_back")
    sheet.fill((220, 60, 40) if g.uniform() < 0.5 else (70, 200, 90), "lamp")


def _toy(sheet: Sheet) -> None:
    g, (first, second, third) = sheet.generator, sheet.scheme
    fur = [
        name for name in sheet.panels if name.split("_")[0] in ("body", "head", "ear", "arm", "foot", "tail")
    ]
    treated = g.uniform() < 0.5
    for name in fur:
        picture = sheet.cloth(name, first, busy=treated)
        h, w = picture.shape[:2]
        if name == "body":
            cv2.ellipse(
                picture, (w // 2, int(h * 0.55)), (int(w * 0.14), int(h * 0.28)), 0, 0, 360, second, -1
            )
            pat.emblem(g, picture, (w * 0.5, h * 0.5), h * 0.12, third)
            if g.uniform() < 0.5:
                cv2.rectangle(picture, (0, int(h * 0.05)), (w, int(h * 0.2)), third, -1)
        elif name.startswith("ear"):
            cv2.ellipse(picture, (w // 2, h // 2), (int(w * 0.16), int(h * 0.35)), 0, 0, 360, second, -1)
        elif name.startswith("foot"):
            cv2.circle(picture, (w // 2, int(h * 0.5)), int(h * 0.25), second, -1, cv2.LINE_AA)
        elif name.startswith("arm"):
            cv2.rectangle(picture, (0, int(h * 0.75)), (w, h), second, -1)
        elif name == "head" and g.uniform() < 0.5:
            cv2.ellipse(picture, (int(w * 0.41), int(h * 0.42)), (w // 12, h // 8), 0, 0, 360, third, -1)
        sheet.finish(name, picture, 7)
    sheet.fill(second, "snout", grain=6)
    sheet.fill((28, 24, 24), "nose", "eye_left", "eye_right")
    if g.uniform() < 0.5:
        sheet.fill(third, "tail", grain=6)


PAINTERS: dict[str, Callable[[Sheet], None]] = {
    "mug": _mug, "bottle": _bottle, "box": _box, "cap": _cap, "shoe": _shoe, "drill": _drill, "plug": _plug,
    "socket": _socket, "toy": _toy,
}  # fmt: skip
