"""What a picture of a recording shows: a view taken into another by depth and pose, and depth's edges on colour."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, UInt8

from samepoint.correspondence.depth import depth_at, known
from samepoint.data.doctor.agreement import agreement, lifted
from samepoint.data.doctor.diagnosis import Diagnosis
from samepoint.data.doctor.edge_shift import Shift, closed, depth_edges
from samepoint.data.doctor.evidence import Case
from samepoint.data.doctor.footage import Shot
from samepoint.data.doctor.readings import Reading
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import invert, rotation_angle, transform
from samepoint.geometry.pixels import in_frame, pixel_grid, sample

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Warp:
    """The colours of A at the pixels of B, by B's depth and the poses; `seen`: where A shows them. `caption`: how
    they were read."""

    image: Picture
    seen: Bool[np.ndarray, "h w"]
    caption: str


@dataclass(frozen=True)
class Overlays:
    """Views `a` and `b`, A in B as written and, if something is to be mended, as found."""

    a: Picture
    b: Picture
    names: tuple[str, str]
    warps: tuple[Warp, ...]


@dataclass(frozen=True)
class Edges:
    """A colour image and the edges of its depth, as written and shifted by what was found (else None)."""

    image: Picture
    name: str
    edges: Bool[np.ndarray, "h w"]
    shifted: Bool[np.ndarray, "h w"] | None


def overlays(diagnosis: Diagnosis) -> Overlays | None:
    """Of the pair that shows most; None without depth."""
    case = diagnosis.case
    if not case.has_depth:
        return None
    number = telling_pair(case, diagnosis.found)
    a, b = (case.shots[i] for i in case.pairs[number])
    readings = {"as written": diagnosis.written}
    if diagnosis.found != diagnosis.written:
        readings["mended"] = diagnosis.found
    warps = tuple(warped(case, number, reading, caption) for caption, reading in readings.items())
    return Overlays(a.image, b.image, (a.name, b.name), warps)


def telling_pair(case: Case, reading: Reading) -> int:
    """Of the pairs that agree better than most, the one with the widest turn."""
    geometry, surface = case.geometry, case.surfaces
    assert geometry is not None
    assert surface is not None
    support, turn = [], []
    for k in range(len(case.pairs)):
        only = torch.tensor([k])
        pair = geometry.some(only)
        support.append(agreement(pair, surface.some(only, 200), reading).support)
        turn.append(float(rotation_angle(pair.b_from_a(reading))))
    good = [k for k, value in enumerate(support) if value >= np.median(support)]
    return max(good, key=lambda k: turn[k])


def warped(case: Case, number: int, reading: Reading, caption: str) -> Warp:
    """A seen from B: every pixel of B that knows its depth takes the colour of its place in A."""
    geometry = case.geometry
    assert geometry is not None
    a, b = (case.shots[i] for i in case.pairs[number])
    assert a.depth is not None
    assert b.depth is not None
    pair = geometry.some(torch.tensor([number]))
    depth = torch.from_numpy(closed(b.depth.numpy()))
    uv = pixel_grid(b.size).flatten(0, 1)[None]
    xyz = lifted(reading.camera(pair.camera_b), uv, depth.flatten()[None], reading)
    xyz_a = transform(invert(pair.b_from_a(reading)), xyz)
    uv_a, z = project(reading.camera(pair.camera_a), xyz_a)
    seen = known(depth.flatten()) & (z[0] > 0) & in_frame(uv_a[0], a.size)
    uv_a = torch.where(seen[None, :, None], uv_a, torch.zeros_like(uv_a))
    measured = depth_at(torch.from_numpy(closed(a.depth.numpy()))[None], uv_a, radius=1)[0]
    length = xyz_a[0].norm(dim=-1) if reading.along == "ray" else z[0]
    seen &= ~(measured < 0.95 * length)  # hidden in A behind something nearer
    colours = torch.from_numpy(a.image.transpose(2, 0, 1).copy())[None].float()
    values = sample(colours, uv_a)[0].reshape(*b.size, 3)
    mask = seen.reshape(b.size).numpy()
    return Warp(values.numpy().round().clip(0, 255).astype(np.uint8) * mask[..., None], mask, caption)


def edge_picture(shot: Shot, shift: Shift | None) -> Edges | None:
    """`shift`: where colour lies, if it is at fault."""
    if shot.depth is None:
        return None
    edges = depth_edges(np.ascontiguousarray(shot.depth.numpy(), dtype=np.float32))[0]
    if shot.size[1] > 400:  # a line of one pixel is lost when the picture is reduced
        edges = cv2.dilate(edges.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    shifted = None
    if shift is not None:
        move = np.array([[1, 0, shift.u], [0, 1, shift.v]], np.float32)
        size = (edges.shape[1], edges.shape[0])
        shifted = cv2.warpAffine(edges.astype(np.uint8), move, size, flags=cv2.INTER_NEAREST) > 0
    return Edges(shot.image, shot.name, edges, shifted)
