"""Exact recordings by ray casting: a table with boxes in many textures, sizes and views, and a seed for each.

Colour, depth (to the unit of its file), poses, intrinsics, masks and times are right by construction. Only numpy and
OpenCV; lengths are metres.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch

from samepoint.data.bop_writer import BopWriter, ObjectMesh
from samepoint.data.scene_writer import WrittenView

Form = Literal["frames", "bop scan", "bop rig", "bop shuffle", "cameras", "photos"]
Path3 = Literal["round", "above", "shift", "wave"]
SIZES = (
    (36, 48),
    (48, 64),
    (60, 80),
    (64, 64),
    (96, 96),
    (90, 120),
    (120, 160),
    (160, 120),
    (144, 256),
    (180, 240),
)
LARGE = ((240, 320), (256, 256), (240, 424), (480, 640))
SCALES = (0.15, 0.4, 1.0, 1.0, 1.0, 3.0, 12.0)
EXTREME = 234
STEPS = (1 / 90, 1 / 30, 0.1, 0.5, 4.0, 60.0, 600.0, 3600.0)
"""Seconds from frame to frame."""


@dataclass(frozen=True)
class Scene:
    """What `recording` writes, all of it drawn from `number`. Lengths are those of a table-top times `scale`."""

    number: int
    form: Form
    texture: str
    alike: bool
    size: tuple[int, int]
    views: int
    path: Path3
    span: float
    boxes: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    scale: float
    sharp: bool
    holes: float
    step: float
    field: float

    @property
    def camera_matrix(self) -> np.ndarray:
        height, width = self.size
        focal = self.field * max(self.size)
        return np.array([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1]])

    @property
    def unit(self) -> float:
        """Metres of a depth unit."""
        return 1e-4 if self.scale < 0.5 else 1e-3


def scene(number: int) -> Scene:
    """The scene of this number: textures go round, the rest is drawn. From `EXTREME` on they are seen from the air or
    from very near, from above, with things far before others."""
    if number < EXTREME:
        return _ordinary(number)
    draw = np.random.default_rng(number)
    path: Path3 = ("above", "above", "wave")[draw.integers(3)]
    boxes = _boxes(draw, int(draw.integers(1, 5)), float(draw.choice([0.12, 0.45])))
    scale = float(draw.choice([0.06, 1.0, 100 / 60, 80.0]))
    form: Form = ("frames", "bop scan")[draw.integers(2)]
    return replace(_ordinary(number), form=form, path=path, boxes=boxes, scale=scale)


def _ordinary(number: int) -> Scene:
    draw = np.random.default_rng(number)
    names = list(TEXTURES)
    forms: tuple[Form, ...] = (
        ("frames",) * 6 + ("bop scan",) * 3 + ("bop rig", "bop shuffle", "cameras", "photos")
    )
    sizes = SIZES * 3 + LARGE
    relief = float(draw.choice([0.02, 0.06, 0.12, 0.25]))
    path: Path3 = ("round", "round", "round", "above", "shift", "wave")[draw.integers(6)]
    return Scene(
        number,
        forms[(number // len(names)) % len(forms)],
        names[number % len(names)],
        bool(draw.random() < 0.35),
        sizes[draw.integers(len(sizes))],
        int(draw.choice([3, 5, 8, 12, 12, 18, 24])),
        path,
        float(draw.choice([0.3, 0.8, 1.6, 2.6])),
        _boxes(draw, int(draw.integers(0, 7)), relief),
        float(draw.choice(SCALES)),
        bool(draw.random() < 0.5),
        float(draw.choice([0.0, 0.0, 0.05, 0.3])),
        float(draw.choice(STEPS)),
        float(draw.choice([0.7, 0.94, 1.4])),
    )


def _boxes(draw: np.random.Generator, number: int, relief: float) -> tuple:
    boxes = []
    for _ in range(number):
        middle, half = draw.uniform(-0.14, 0.14, 2), draw.uniform(0.02, 0.06, 2)
        low, high = middle - half, middle + half
        boxes.append(((*low, 0.0), (*high, relief * draw.uniform(0.6, 1.0))))
    return tuple(boxes)


def poses(made: Scene) -> list[np.ndarray]:
    """`world_from_camera` of every view, metres of the scene."""
    draw = np.random.default_rng(1000 + made.number)
    start, height = draw.uniform(-3, 3), draw.uniform(0.35, 0.55)
    found = []
    for along in np.linspace(-0.5, 0.5, made.views):
        angle = start + made.span * along
        eye = np.array([0.45 * np.cos(angle), 0.45 * np.sin(angle), height])
        aim = np.array([0.0, 0.0, 0.03])
        if made.path == "above":  # straight down: the table has one depth
            eye = np.array([0.25 * along * made.span, 0.1 * along, 0.6])
            aim = eye - np.array([0, 0, 1.0])
        elif made.path == "shift":
            eye = np.array([0.3 * along * made.span, -0.4, height])
            aim = eye + np.array([0, 0.4, -height])
        elif made.path == "wave":
            eye *= 1 + 0.2 * np.sin(7 * along)
            aim = np.array([0.05 * np.sin(9 * along), 0.04 * np.cos(5 * along), 0.03])
        found.append(
            _look(eye * made.scale, aim * made.scale, 0.3 * np.sin(6 * along) * (made.path == "wave"))
        )
    return found


def _look(eye: np.ndarray, aim: np.ndarray, roll: float) -> np.ndarray:
    forward = (aim - eye) / np.linalg.norm(aim - eye)
    right = np.cross(forward, (0, 0, 1.0) if abs(forward[2]) < 0.99 else (0, 1.0, 0))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pose = np.eye(4)
    c, s = np.cos(roll), np.sin(roll)
    pose[:3, :3] = np.stack((c * right + s * down, c * down - s * right, forward), 1)
    pose[:3, 3] = eye
    return pose


def view(made: Scene, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour uint8 "h w 3", depth along the axis in metres "h w", labels "h w" (0 table, k box k).

    Colour is one sample a pixel where the scene is `sharp`, else the mean of four.
    """
    depth, labels, colour = _cast(made, pose, 0.0, 0.0)
    if not made.sharp:
        offsets = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))
        colour = np.mean([_cast(made, pose, *offset)[2] for offset in offsets], 0)
    return np.rint(colour * 255).clip(0, 255).astype(np.uint8), depth, labels


def _cast(made: Scene, pose: np.ndarray, du: float, dv: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    v, u = np.mgrid[: made.size[0], : made.size[1]].astype(np.float64)
    pixels = np.stack((u + du, v + dv, np.ones_like(u)), -1)
    rays = pixels @ np.linalg.inv(made.camera_matrix).T @ pose[:3, :3].T
    eye = pose[:3, 3] / made.scale
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(rays[..., 2] < -1e-9, -eye[2] / rays[..., 2], np.inf)
        label, axis = np.zeros(made.size, np.int64), np.full(made.size, 2)
        for k, (low, high) in enumerate(made.boxes, 1):
            one, two = (np.array(low) - eye) / rays, (np.array(high) - eye) / rays
            near = np.fmin(one, two)
            enter, leave = near.max(-1), np.fmax(one, two).min(-1)
            hit = (enter < leave) & (enter > 0) & (enter < depth)
            depth = np.where(hit, enter, depth)
            label, axis = np.where(hit, k, label), np.where(hit, near.argmax(-1), axis)
    there = depth < 4
    point = eye + np.where(there, depth, 0)[..., None] * rays
    st = np.stack(
        (
            np.where(axis == 0, point[..., 1], point[..., 0]),
            np.where(axis == 2, point[..., 1], point[..., 2]),
        ),
        -1,
    )
    face = label * 3 + np.where(label > 0, axis, 0)
    colour = TEXTURES[made.texture](st + 0.37 * face[..., None], _tint(made, label), made.number)
    colour = colour * (np.array([0.8, 0.65, 1.0])[axis] if not made.alike else np.ones(made.size))[..., None]
    if made.texture == "glossy":
        normal = np.eye(3)[axis] * -np.sign(np.take_along_axis(rays, axis[..., None], -1))
        mirrored = rays - 2 * (rays * normal).sum(-1, keepdims=True) * normal
        mirrored /= np.linalg.norm(mirrored, axis=-1, keepdims=True)
        colour = colour + ((mirrored @ np.array([0.3, 0.4, 0.866])).clip(0, 1) ** 40)[..., None]
    return (
        np.where(there, depth, 0) * made.scale,
        np.where(there, label, 0),
        np.where(there[..., None], colour, 0.5),
    )


def _tint(made: Scene, label: np.ndarray) -> np.ndarray:
    draw = np.random.default_rng(7 + made.number)
    tints = draw.uniform(0.25, 1.0, (len(made.boxes) + 1, 3))
    return tints[0 if made.alike else label] * np.ones((*label.shape, 1))


# Textures: colours in [0, 1] of surface coordinates in metres, before light. `tint`: the object's colour.

Texture = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def _cells(st: np.ndarray, cell: float, seed: int) -> np.ndarray:
    """A random value in [0, 1) of each square cell."""
    whole = np.floor(st / cell).astype(np.int64)
    mixed = whole[..., 0] * 73856093 ^ whole[..., 1] * 19349663 ^ (seed + 1) * 83492791
    mixed = (mixed ^ (mixed >> 13)) * 1274126177 & 0xFFFFFFFF
    return ((mixed ^ (mixed >> 16)) & 0xFFFF) / 65536


def _smooth(st: np.ndarray, cell: float, seed: int) -> np.ndarray:
    """Cells with values between them."""
    place = st / cell
    low = np.floor(place)
    part = (place - low) ** 2 * (3 - 2 * (place - low))
    corners = [_cells((low + shift + 0.5) * cell, cell, seed) for shift in ((0, 0), (1, 0), (0, 1), (1, 1))]
    above = corners[0] * (1 - part[..., 0]) + corners[1] * part[..., 0]
    below = corners[2] * (1 - part[..., 0]) + corners[3] * part[..., 0]
    return above * (1 - part[..., 1]) + below * part[..., 1]


def _colours(st: np.ndarray, cell: float, seed: int, smooth: bool = True) -> np.ndarray:
    of = _smooth if smooth else _cells
    return np.stack([of(st, cell, 3 * seed + k) for k in range(3)], -1)


def _two(mask: np.ndarray, tint: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], tint, 0.25 * tint)


def _print(cell: float) -> Texture:
    return lambda st, tint, seed: _colours(st, cell, seed)


def _squares(cell: float) -> Texture:
    return lambda st, tint, seed: _colours(st, cell, seed, False) * (0.4 + 0.6 * tint)


def _stripes(width: float) -> Texture:
    return lambda st, tint, seed: _two(
        np.floor((st[..., 0] + (seed % 5) * 0.3 * st[..., 1]) / width) % 2 > 0, tint
    )


def _checkers(width: float) -> Texture:
    return lambda st, tint, seed: _two(np.floor(st / width).sum(-1) % 2 > 0, tint)


def _dots(st: np.ndarray, tint: np.ndarray, seed: int) -> np.ndarray:
    return _two(np.hypot(*np.moveaxis(st % 0.02 - 0.01, -1, 0)) < 0.006, tint)


def _bricks(st: np.ndarray, tint: np.ndarray, seed: int) -> np.ndarray:
    row = np.floor(st[..., 1] / 0.015)
    joint = ((st[..., 0] + 0.5 * 0.04 * (row % 2)) % 0.04 < 0.004) | (st[..., 1] % 0.015 < 0.003)
    return _two(~joint, tint)


def _text(st: np.ndarray, tint: np.ndarray, seed: int) -> np.ndarray:
    ink = (_cells(st, 0.003, seed) < 0.45) & (st[..., 1] % 0.018 < 0.009) & (st[..., 0] % 0.012 < 0.009)
    return _two(~ink, tint)


def _wood(st: np.ndarray, tint: np.ndarray, seed: int) -> np.ndarray:
    ring = st[..., 0] * 90 + 3 * _smooth(st * [1, 0.15], 0.02, seed)
    level = 0.6 + 0.25 * np.sin(2 * np.pi * ring) + 0.15 * _smooth(st * [4, 0.3], 0.01, seed + 1)
    return level[..., None] * np.array([0.9, 0.65, 0.4]) * (0.5 + 0.5 * tint)


def _plain(st: np.ndarray, tint: np.ndarray, seed: int) -> np.ndarray:
    return tint * (1 + 0.01 * (_smooth(st, 0.01, seed)[..., None] - 0.5))


def _camouflage(st: np.ndarray, tint: np.ndarray, seed: int) -> np.ndarray:
    level = _smooth(st, 0.04, seed) + 0.5 * _smooth(st, 0.02, seed + 1)
    return np.floor(level * 4)[..., None] / 6 * (0.4 + 0.6 * tint)


def _fractal(st: np.ndarray, tint: np.ndarray, seed: int) -> np.ndarray:
    level = sum(_smooth(st, 0.1 / 2**k, seed + k) / 1.5**k for k in range(6)) / 2.8
    return np.asarray(level)[..., None] * tint


def _framed(st: np.ndarray, tint: np.ndarray, seed: int) -> np.ndarray:
    """A printed frame, as labels have: lines at a constant distance from edges."""
    inside = np.abs(st % 0.06 - 0.03).max(-1)
    return _two((inside < 0.018) | (inside > 0.024), tint)


TEXTURES: dict[str, Texture] = {
    "print": _print(0.03),
    "fine print": _print(0.008),
    "coarse print": _print(0.08),
    "squares": _squares(0.025),
    "fine squares": _squares(0.006),
    "stripes": _stripes(0.02),
    "fine stripes": _stripes(0.005),
    "checkers": _checkers(0.03),
    "fine checkers": _checkers(0.007),
    "dots": _dots,
    "bricks": _bricks,
    "text": _text,
    "wood": _wood,
    "plain": _plain,
    "glossy": _plain,
    "camouflage": _camouflage,
    "fractal": _fractal,
    "framed": _framed,
}


# Writing


def write(made: Scene, root: Path) -> Path:
    """The recording of the scene in its form, at a new folder `root`."""
    if made.form == "frames":
        return _frames(made, root)
    if made.form == "photos":
        return _photos(made, root)
    if made.form == "cameras":
        return _cameras(made, root)
    return _bop(made, root)


def _holed(made: Scene, depth: np.ndarray, k: int) -> np.ndarray:
    """Depth with unknown spots."""
    lost = np.random.default_rng((made.number, k)).random(depth.shape) < made.holes
    return np.where(lost, 0, depth)


def _png(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def _frames(made: Scene, root: Path) -> Path:
    (root / "pose").mkdir(parents=True)
    for k, pose in enumerate(poses(made)):
        colour, depth, _ = view(made, pose)
        _png(root / "color" / f"{k:04d}.png", colour)
        _png(root / "depth" / f"{k:04d}.png", np.rint(_holed(made, depth, k) / made.unit).astype(np.uint16))
        np.savetxt(root / "pose" / f"{k:04d}.txt", pose)
    k = made.camera_matrix
    numbers = {"fx": k[0, 0], "fy": k[1, 1], "cx": k[0, 2], "cy": k[1, 2], "depth_unit_m": made.unit}
    size = {"width": made.size[1], "height": made.size[0]}
    (root / "intrinsics.json").write_text(json.dumps(size | numbers))
    return root


def _photos(made: Scene, root: Path) -> Path:
    """Images with masks alone."""
    for k, pose in enumerate(poses(made)):
        colour, _, labels = view(made, pose)
        _png(root / f"{k:04d}.png", colour)
        if (labels > 0).any():
            _png(root / "masks" / f"{k:04d}.png", (255 * (labels > 0)).astype(np.uint8))
    return root


def _bop(made: Scene, root: Path) -> Path:
    writer = BopWriter(root)
    for _ in made.boxes:
        writer.add_object(ObjectMesh("box", torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long)))
    k, every = made.camera_matrix, poses(made)
    mode = made.form.removeprefix("bop ")
    with writer.scene("train", 0, mode) as taken:
        shown = []
        for i, pose in enumerate(every):
            colour, depth, labels = view(made, pose)
            placements = [(n + 1, np.linalg.inv(pose) @ _at(made, box)) for n, box in enumerate(made.boxes)]
            shares = [float((labels == n + 1).any()) for n in range(len(made.boxes))]
            shown.append(
                WrittenView(
                    f"cam{i}" if mode == "rig" else "cam0", colour, k, pose, _holed(made, depth, i),
                    labels.astype(np.uint8), placements, shares,
                )
            )  # fmt: skip
        if mode == "rig":
            taken.add_moment(shown, 0.0)
        else:
            for i, one in enumerate(shown):
                taken.add_moment([one], 100.0 + i * made.step)
    writer.close()
    return root


def _at(made: Scene, box: tuple) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = (np.array(box[0]) + box[1]) / 2 * made.scale
    return pose


def _cameras(made: Scene, root: Path) -> Path:
    """Up to four calibrated cameras and five moments, with clicks on corners of the boxes (on the table without
    any); a still scene."""
    every = poses(made)[:4]
    corners = [np.array(box[1]) for box in made.boxes] or [np.array([x, 0.05 * x, 0]) for x in (-0.1, 0, 0.1)]
    blocks, rows = [], ["moment,camera,keypoint,u,v"]
    for i, pose in enumerate(every):
        inverse, colour = np.linalg.inv(pose), view(made, pose)[0]
        turn = cv2.Rodrigues(inverse[:3, :3])[0].ravel().tolist()
        blocks.append(
            f'[cam_{i}]\nname = "c{i}"\nsize = [{made.size[1]}, {made.size[0]}]\n'
            f"matrix = {made.camera_matrix.tolist()}\ndistortions = [0.0, 0.0, 0.0, 0.0, 0.0]\n"
            f"rotation = {turn}\ntranslation = {inverse[:3, 3].tolist()}\n"
        )
        for m in range(5):
            _png(root / f"c{i}" / f"{m:04d}.png", colour)
            for n, xyz in enumerate(corners):
                at = made.camera_matrix @ (inverse[:3, :3] @ (xyz * made.scale) + inverse[:3, 3])
                u, v = at[:2] / at[2]
                if at[2] > 0 and 0 <= u < made.size[1] and 0 <= v < made.size[0]:
                    rows.append(f"{m:04d},c{i},corner{n},{u:.2f},{v:.2f}")
    (root / "calibration.toml").write_text("\n".join(blocks))
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root
