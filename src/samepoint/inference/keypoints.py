"""Keypoints as numbers for a policy (seeds 002 and 004): reference descriptors, read out of an image in a frame.

Batched tensors in, batched tensors out; nothing is named. The finder answers people, this answers programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.depth import depth_at
from samepoint.correspondence.hard import hard_match
from samepoint.correspondence.soft import soft_match
from samepoint.errors import DataError, one_of
from samepoint.geometry.cameras import unproject
from samepoint.geometry.motions import transform
from samepoint.inference.locate import locate, mass_near
from samepoint.types import DescriptorMap, Size

Readout = Literal["mode", "expectation", "window"]
Frame = Literal["uv", "uvd", "camera", "world"]
DEPTH_RADIUS = 3
"""Pixels within which the depth nearest to a keypoint is taken."""


@dataclass(frozen=True)
class KeypointSettings:
    """How keypoints are read out.

    `readout`: "mode" is the best pixel, exactly (seed 004: better than the expectation under noise and several
    peaks); "expectation" the mean of softmax(score / temperature) over the image (seed 002; flat distributions draw
    it to the middle); "window" the expectation round the mode, sub-pixel. `frame`: "uv" in [-1, 1] (-1 and 1 are the
    centres of the outermost pixels), "uvd" the same with depth in metres, "camera" or "world" metres.
    """

    readout: Readout = "mode"
    frame: Frame = "uv"
    temperature: float = 0.05

    def __post_init__(self) -> None:
        for name, valid in (("readout", get_args(Readout)), ("frame", get_args(Frame))):
            if getattr(self, name) not in valid:
                raise DataError(one_of(name, getattr(self, name), valid))
        if not self.temperature > 0:
            raise DataError(f"temperature is {self.temperature}", mend="give a number above 0")


@dataclass(frozen=True)
class Keypoints:
    """`values` in the frame that was asked for, NaN where depth is unknown; `uv` pixels; `confidence` the share of
    the probability near the keypoint (`locate.TOLERANCE`)."""

    values: Float[Tensor, "b n _"]
    uv: Float[Tensor, "b n 2"]
    confidence: Float[Tensor, "b n"]


def encode_keypoints(
    references: Float[Tensor, "n d"],
    map: DescriptorMap,
    settings: KeypointSettings,
    *,
    depth: Float[Tensor, "b h w"] | None = None,
    intrinsics: Float[Tensor, "b 3 3"] | None = None,
    world_from_camera: Float[Tensor, "b 4 4"] | None = None,
) -> Keypoints:
    """Where each reference is in each image of the batch.

    `depth` in metres (0 or NaN unknown) of the size that the network saw, which `intrinsics` are for. DataError for
    what the frame needs and is not given.
    """
    _check(settings.frame, map.image_size, depth, intrinsics, world_from_camera)
    queries = references.expand(len(map.values), -1, -1)
    uv = _read_out(queries, map, settings)
    confidence = mass_near(queries, map, uv, settings.temperature)
    if settings.frame == "uv":
        return Keypoints(normalised(uv, map.image_size), uv, confidence)
    assert depth is not None
    metres = depth_at(depth.to(uv), uv, radius=DEPTH_RADIUS)
    if settings.frame == "uvd":
        values = torch.cat((normalised(uv, map.image_size), metres[..., None]), dim=-1)
        return Keypoints(values, uv, confidence)
    assert intrinsics is not None
    xyz = unproject(intrinsics.to(uv), uv, metres)
    if settings.frame == "world":
        assert world_from_camera is not None
        xyz = transform(world_from_camera.to(uv), xyz)
    return Keypoints(xyz, uv, confidence)


def normalised(uv: Float[Tensor, "*b 2"], size: Size) -> Float[Tensor, "*b 2"]:
    """Pixels as [-1, 1] from the first pixel's centre to the last's."""
    last = uv.new_tensor((max(size[1] - 1, 1), max(size[0] - 1, 1)))
    return 2 * uv / last - 1


def _read_out(
    queries: Float[Tensor, "b n d"], map: DescriptorMap, settings: KeypointSettings
) -> Float[Tensor, "b n 2"]:
    if settings.readout == "mode":
        return hard_match(queries, map).uv
    if settings.readout == "window":
        return locate(queries, map, settings.temperature).uv
    return soft_match(queries, map, settings.temperature).mean


def _check(
    frame: Frame,
    size: Size,
    depth: Tensor | None,
    intrinsics: Tensor | None,
    world_from_camera: Tensor | None,
) -> None:
    needed = {"uv": (), "uvd": ("depth",), "camera": ("depth", "intrinsics")}
    needed["world"] = ("depth", "intrinsics", "world_from_camera")
    given = {"depth": depth, "intrinsics": intrinsics, "world_from_camera": world_from_camera}
    missing = [name for name in needed[frame] if given[name] is None]
    if missing:
        raise DataError(
            f"keypoints in frame {frame!r} need {', '.join(missing)}", mend="give it, or another frame"
        )
    if depth is not None and tuple(depth.shape[-2:]) != tuple(size):
        got = tuple(depth.shape[-2:])
        raise DataError(
            f"depth is {got}, the network saw {size}", mend="resize depth and intrinsics with the image"
        )
