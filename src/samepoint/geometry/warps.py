"""Image warps: a warp is a homography `b_from_a`, 3x3, on pixels of the convention (centres at integers).

Points and images go through the same matrix. Every matrix made here has w > 0 (third homogeneous
coordinate) all over its input image, so no point of the image passes through infinity.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Shaped
from kornia.geometry.transform import warp_perspective
from torch import Tensor

from samepoint.geometry.pixels import in_frame
from samepoint.types import Size


def warp_points(b_from_a: Float[Tensor, "*#b 3 3"], uv: Float[Tensor, "*#b n 2"]) -> Float[Tensor, "*b n 2"]:
    """Where pixels of A lie in B. NaN where they do not (w <= 0, beyond the horizon of the warp)."""
    w, xy = _homogeneous(b_from_a, uv)
    front = w > 0
    return torch.where(front, xy / torch.where(front, w, torch.ones_like(w)), torch.nan).to(uv.dtype)


def stays_in_frame(
    b_from_a: Float[Tensor, "*#b 3 3"], uv: Float[Tensor, "*#b n 2"], size: Size
) -> Bool[Tensor, "*b n"]:
    """Which pixels of A lie inside image B of `size`."""
    return in_frame(warp_points(b_from_a, uv), size)


def warp_images(
    images: Shaped[Tensor, "b c h w"],
    b_from_a: Float[Tensor, "b 3 3"],
    size: Size,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    padding: Literal["zeros", "border", "reflection"] = "zeros",
) -> Shaped[Tensor, "b c h2 w2"]:
    """Images A as seen in B, of `size`, in their dtype. Labels and masks (integers) need mode "nearest".

    Differentiable in both. Does not anti-alias: shrink images before warps that shrink by more than two.
    """
    if not images.is_floating_point() and mode != "nearest":
        raise ValueError('images of integers are warped with mode="nearest"')
    if images.shape[0] == 0:
        return images.new_zeros(0, images.shape[1], *size)
    working = (
        torch.promote_types(images.dtype, torch.float32) if images.is_floating_point() else torch.float32
    )
    return warp_perspective(
        images.to(working), b_from_a.to(working), size, mode=mode, padding_mode=padding, align_corners=True
    ).to(images.dtype)


def invert_warp(b_from_a: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """`a_from_b`, with w > 0 where b_from_a had it."""
    inverse = torch.linalg.inv(b_from_a.to(torch.promote_types(b_from_a.dtype, torch.float32)))
    return inverse.to(b_from_a.dtype)


def warp_intrinsics(
    b_from_a: Float[Tensor, "*#b 3 3"], intrinsics: Float[Tensor, "*#b 3 3"]
) -> Float[Tensor, "*b 3 3"]:
    """The camera matrix of image B. Only affine warps (last row 0 0 1) have one; others raise ValueError."""
    last = b_from_a[..., 2, :] / b_from_a[..., 2, 2:]
    if not bool((last[..., :2].abs() <= 1e-6).all()):
        raise ValueError("a warp with perspective has no camera matrix that keeps depth; use an affine warp")
    return (b_from_a / b_from_a[..., 2:, 2:]) @ intrinsics


def random_warp(
    generator: torch.Generator,
    batch: int,
    size: Size,
    out_size: Size,
    *,
    rotation: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    translation: float = 0.0,
    perspective: float = 0.0,
) -> Float[Tensor, "b 3 3"]:
    """Random warps from images of `size` to views of `out_size`, on the generator's device.

    With no randomness the view is the largest centred crop of the image with the view's shape. Then: turned
    by up to `rotation` radians about the centre, magnified by a factor log-uniform in `scale`, shifted by up
    to the fraction `translation` of the view's size, and tilted so that the scale changes from the centre to
    the worst corner of the image by at most the fraction `perspective` (below 1), in uniform directions.
    """
    if not (0 <= perspective < 1 and 0 < scale[0] <= scale[1]):
        raise ValueError(f"perspective {perspective} must be in [0, 1) and scale {scale} (low, high) above 0")

    def uniform() -> Tensor:
        return 2 * torch.rand(batch, generator=generator, device=generator.device) - 1

    tilt_u, tilt_v = uniform() * perspective / 2, uniform() * perspective / 2
    low, high = math.log(scale[0]), math.log(scale[1])
    zoom = torch.exp(low + (high - low) * (uniform() + 1) / 2)
    zoom = zoom * max(out_size[0] / size[0], out_size[1] / size[1])
    angle = uniform() * rotation
    shift_u, shift_v = uniform() * translation * out_size[1], uniform() * translation * out_size[0]
    zero, one = torch.zeros_like(zoom), torch.ones_like(zoom)
    tilt = _matrix(one, zero, zero, zero, one, zero, tilt_u * 2 / size[1], tilt_v * 2 / size[0], one)
    c, s = zoom * torch.cos(angle), zoom * torch.sin(angle)
    turn = _matrix(c, -s, shift_u, s, c, shift_v, zero, zero, one)
    return _shift(out_size, 1.0).to(zoom) @ turn @ tilt @ _shift(size, -1.0).to(zoom)


def _homogeneous(matrix: Tensor, uv: Tensor) -> tuple[Tensor, Tensor]:
    """w "*b n 1" and the numerators "*b n 2", in at least single precision."""
    working = torch.promote_types(matrix.dtype, torch.float32)
    m, points = matrix.to(working), uv.to(working)
    xyw = points @ m[..., :2].transpose(-1, -2) + m[..., None, :, 2]
    return xyw[..., 2:], xyw[..., :2]


def _matrix(*entries: Tensor) -> Float[Tensor, "b 3 3"]:
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def _shift(size: Size, sign: float) -> Float[Tensor, "3 3"]:
    """Moves the origin to the centre of an image (sign 1), or back (-1)."""
    return torch.tensor(
        [[1.0, 0.0, sign * (size[1] - 1) / 2], [0.0, 1.0, sign * (size[0] - 1) / 2], [0.0, 0.0, 1.0]]
    )
