"""Losses of keypoints that nobody labelled: what two views of one rigid object must agree on.

Seed 000, section 3.3, eqs. 6 and 7, and KeypointNet (Suwajanakorn et al. 2018), whose silhouette, separation and
variance losses it takes over. Keypoints are in camera frames, metres; `b_from_a` is the object's motion from camera
A's frame to camera B's. Every function returns the mean over the batch; all are alike under an exchange of A and B.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from samepoint.geometry.alignment import kabsch
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import compose, invert, log, rigid, transform

SURE = 1e-12
SMALL = 1e-12


def consistency(
    xyz_a: Float[Tensor, "b n 3"],
    xyz_b: Float[Tensor, "b n 3"],
    b_from_a: Float[Tensor, "b 4 4"],
    *,
    delta: float = 0.05,
) -> Float[Tensor, ""]:
    """Huber loss between B's keypoints and A's moved to B, and the other way (eq. 6); quadratic up to `delta` metres.

    Divided by `delta`, so that it is metres where it is linear.
    """
    there = F.huber_loss(transform(b_from_a, xyz_a), xyz_b, delta=delta)
    back = F.huber_loss(transform(invert(b_from_a), xyz_b), xyz_a, delta=delta)
    return (there + back) / (2 * delta)


def reprojection(
    xyz_a: Float[Tensor, "b n 3"],
    xyz_b: Float[Tensor, "b n 3"],
    b_from_a: Float[Tensor, "b 4 4"],
    intrinsics_a: Float[Tensor, "b 3 3"],
    intrinsics_b: Float[Tensor, "b 3 3"],
    *,
    unit: float,
) -> Float[Tensor, ""]:
    """KeypointNet's own: squared distances of the projections, both directions summed.

    `unit`: pixels that count as 1 (KeypointNet: half an image).
    """

    def one_way(source: Tensor, target: Tensor, motion: Tensor, intrinsics: Tensor) -> Tensor:
        found, _ = project(intrinsics, transform(motion, source))
        true, _ = project(intrinsics, target)
        return ((found - true) / unit).square().sum(-1).mean()

    return one_way(xyz_a, xyz_b, b_from_a, intrinsics_b) + one_way(
        xyz_b, xyz_a, invert(b_from_a), intrinsics_a
    )


def relative_pose(
    xyz_a: Float[Tensor, "b n 3"],
    xyz_b: Float[Tensor, "b n 3"],
    b_from_a: Float[Tensor, "b 4 4"],
    *,
    length: float = 0.1,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """||log(truth^-1 estimate)|| of the motion that best takes A's keypoints to B's, and the other way (eq. 7).

    The norm of a twist mixes metres and radians and depends on where the origin is; the paper says neither. Here
    `length` metres count as one radian, and the origin is the keypoints' centre: about an object's radius, where a
    turn of a radian moves points as far. `noise` (metres) is added to both sets of points, as KeypointNet does to
    keep them apart.
    """
    xyz_a, xyz_b = (_disturbed(xyz, noise, generator) for xyz in (xyz_a, xyz_b))
    there = _twist_norm(xyz_a, xyz_b, b_from_a, length)
    return (there + _twist_norm(xyz_b, xyz_a, invert(b_from_a), length)) / 2


def _twist_norm(source: Tensor, target: Tensor, truth: Tensor, length: float) -> Tensor:
    centre = source.detach().mean(1, keepdim=True)
    estimate = kabsch(source - centre, target - transform(truth, centre))
    turned = rigid(
        truth[:, :3, :3], torch.zeros_like(truth[:, :3, 3])
    )  # the truth takes one centre to the other
    twist = log(compose(invert(turned), estimate))
    scale = twist.new_tensor([1 / length] * 3 + [1.0] * 3)
    return ((twist * scale).square().sum(-1) + SMALL).sqrt().mean()


def relative_rotation(
    xyz_a: Float[Tensor, "b n 3"],
    xyz_b: Float[Tensor, "b n 3"],
    b_from_a: Float[Tensor, "b 4 4"],
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """KeypointNet's own pose loss: the angle (radians) between the estimated and the true rotation."""
    xyz_a, xyz_b = (_disturbed(xyz, noise, generator) for xyz in (xyz_a, xyz_b))
    estimate = kabsch(xyz_a, xyz_b)
    chord = torch.linalg.matrix_norm(estimate[:, :3, :3] - b_from_a[:, :3, :3]) / (2 * math.sqrt(2))
    return (2 * torch.asin(chord.clamp(max=1 - 1e-6))).mean()


def separation(points: Float[Tensor, "b n d"], margin: float, *, squared: bool = False) -> Float[Tensor, ""]:
    """Mean over the keypoints of the sum over the others of max(0, margin - distance): pixels (seed 000: 2), metres.

    KeypointNet divides by the number of keypoints, not of pairs: of many keypoints, the few nearest ones count.
    `squared`: of the squared distance, as there (margin in square metres). Zero for a single keypoint.
    """
    n = points.shape[1]
    if n < 2:
        return points.sum() * 0
    first, second = torch.triu_indices(n, n, offset=1, device=points.device)
    square = (points[:, first] - points[:, second]).square().sum(-1)
    distance = square if squared else (square + SMALL).sqrt()
    return (n - 1) * (margin - distance).clamp(min=0).mean()


def silhouette(on_mask: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Mean of -log of the share of a keypoint's probability that lies on the object (KeypointNet's L_obj)."""
    return -(on_mask + SURE).log().mean()


def variance(spread: Float[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Mean variance of the keypoints' distributions, pixels squared (KeypointNet's L_var)."""
    return spread.mean()


def _disturbed(
    xyz: Float[Tensor, "b n 3"], noise: float, generator: torch.Generator | None
) -> Float[Tensor, "b n 3"]:
    """Drawn on the generator's device and moved, so that a CPU and a GPU see the same noise."""
    if noise == 0:
        return xyz
    device = "cpu" if generator is None else generator.device
    drawn = torch.randn(xyz.shape, generator=generator, device=device, dtype=xyz.dtype)
    return xyz + noise * drawn.to(xyz.device)
