"""The colours of one part of a file: where each corner of each triangle lies in a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from samepoint.sim.patterns import Colour, Picture

SIDE = 2048
"""Pixels: larger pictures are shrunk."""
TILES = 4
"""A texture is repeated at most so often along a side, beyond which a triangle keeps its border's colour."""


@dataclass(frozen=True)
class Painting:
    """`uv` is (right, down) in the picture, fractions in [0, 1]. `textured`: it is more than one plain colour."""

    uv: Float[np.ndarray, "f 3 2"]
    picture: Picture
    textured: bool


def paint_part(mesh: Any, plain: Colour) -> Painting:
    """The colours of a trimesh.Trimesh: of its texture, else vertices or faces, else material, else `plain`.

    Transparency is left out.
    """
    visual = mesh.visual
    material, uv = getattr(visual, "material", None), getattr(visual, "uv", None)
    image = _image(material)
    if image is not None and uv is not None and len(uv) == len(mesh.vertices):
        down = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1)[mesh.faces]
        return _unrolled(np.nan_to_num(down), _tinted(image, material))
    colours = _face_colours(mesh)
    if colours is not None:
        return _one_texel_a_face(colours)
    return _even(len(mesh.faces), _material_colour(material) or plain)


def side_by_side(paintings: list[Painting]) -> Painting:
    """One picture for all, each beside the last with a border of its own colours around it."""
    if len(paintings) == 1:
        return paintings[0]
    border, widest = 4, max(8, 2 * SIDE // len(paintings))
    pictures = [_shrunk(p.picture, widest) for p in paintings]
    height = max(len(p) for p in pictures) + 2 * border
    framed = [
        cv2.copyMakeBorder(p, border, height - border - len(p), border, border, cv2.BORDER_REPLICATE)
        for p in pictures
    ]
    width, left, uv = sum(p.shape[1] for p in framed), 0, []
    for painting, picture, frame in zip(paintings, pictures, framed):
        size = np.array([picture.shape[1], picture.shape[0]])
        uv.append((painting.uv * size + (left + border, border)) / (width, height))
        left += frame.shape[1]
    return Painting(np.concatenate(uv), np.concatenate(framed, axis=1), any(p.textured for p in paintings))


def _unrolled(uv: Float[np.ndarray, "f 3 2"], picture: Picture) -> Painting:
    """Coordinates beyond the picture mean that it is repeated: the picture is, as often as a triangle needs."""
    uv = uv - np.floor(uv.min(axis=1, keepdims=True) + 1e-6)
    tiles = np.clip(np.ceil(uv.max(axis=(0, 1)) - 1e-6).astype(int), 1, TILES)
    picture = _shrunk(picture, SIDE // int(tiles.max()))
    return Painting(np.clip(uv / tiles, 0, 1), np.tile(picture, (tiles[1], tiles[0], 1)), True)


def _one_texel_a_face(colours: np.ndarray) -> Painting:
    side = int(np.ceil(np.sqrt(len(colours))))
    picture = np.zeros((side * side, 3), np.uint8)
    picture[: len(colours)] = colours
    row, column = np.divmod(np.arange(len(colours)), side)
    uv = (np.stack([column, row], axis=1) + 0.5) / side
    return Painting(np.repeat(uv[:, None], 3, axis=1), picture.reshape(side, side, 3), True)


def _even(faces: int, colour: Colour) -> Painting:
    return Painting(np.full((faces, 3, 2), 0.5), np.full((4, 4, 3), colour, np.uint8), False)


def _image(material: Any) -> Picture | None:
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is None or _is_stand_in(material):
        return None
    return np.ascontiguousarray(np.asarray(image.convert("RGB"), dtype=np.uint8))


def _is_stand_in(material: Any) -> bool:
    """Whether it is what trimesh puts where the material that an OBJ names is missing: 2 x 2 pixels of nothing."""
    image = getattr(material, "image", None)
    return image is not None and image.size == (2, 2) and not getattr(material, "kwargs", True)


def _tinted(picture: Picture, material: Any) -> Picture:
    """glTF multiplies the texture by a (linear) colour."""
    factor = getattr(material, "baseColorFactor", None)
    if factor is None:
        return picture
    return (picture * (np.asarray(factor[:3], dtype=float) / 255) ** (1 / 2.2)).astype(np.uint8)


def _face_colours(mesh: Any) -> np.ndarray | None:
    if mesh.visual.kind == "face":
        return np.asarray(mesh.visual.face_colors)[:, :3]
    if mesh.visual.kind == "vertex":
        return np.asarray(mesh.visual.vertex_colors)[:, :3][mesh.faces].mean(axis=1).astype(np.uint8)
    return None


def _material_colour(material: Any) -> Colour | None:
    """glTF's base colour (linear there) or OBJ's Kd; None where the file names none."""
    factor, written = getattr(material, "baseColorFactor", None), getattr(material, "kwargs", None) or {}
    if factor is not None:
        values = (np.asarray(factor[:3], dtype=float) / 255) ** (1 / 2.2) * 255
    elif "kd" in {str(key).lower() for key in written}:
        values = np.asarray(material.diffuse[:3], dtype=float)
    else:
        return None
    r, g, b = (int(x) for x in values)
    return r, g, b


def _shrunk(picture: Picture, side: int) -> Picture:
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    width, height = (max(1, round(n * scale)) for n in picture.shape[1::-1])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
