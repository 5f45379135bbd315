"""Matches where a ray has a distribution of depths instead of one depth (NeRF-Supervision, Yen-Chen et al. 2022).

Along a ray that grazes an edge or passes a thin rod a radiance field has density at two surfaces. Its mean depth lies
between them, in empty air, and its likeliest depth never shows the other one. A depth drawn from the density is on a
surface every time, and over many draws the matches of a pixel are distributed as the density says.

The distribution comes as m depths at equal probabilities ("quantiles"), metres, 0 or NaN unknown.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.depth import known
from samepoint.correspondence.outcomes import OcclusionTest, PosedCamera, correspond_by_depth
from samepoint.geometry.pixels import nearest_pixel
from samepoint.types import Correspondences, Outcome

TEST = OcclusionTest()


def drawn_depth(
    quantiles: Float[Tensor, "m h w"], uv: Float[Tensor, "n 2"], generator: torch.Generator
) -> Float[Tensor, " n"]:
    """For each pixel one of its m depths, each as likely as the others; NaN where unknown. Never interpolated."""
    row, column = nearest_pixel(uv, (quantiles.shape[1], quantiles.shape[2]))
    layer = torch.randint(len(quantiles), (len(uv),), generator=generator)
    depth = quantiles[layer, row, column].to(uv.dtype)
    return torch.where(known(depth), depth, torch.nan)


def correspond_by_density(
    uv_a: Float[Tensor, "n 2"],
    depth_a: Float[Tensor, " n"],
    a: PosedCamera,
    b: PosedCamera,
    quantiles_b: Float[Tensor, "m h w"],
    test: OcclusionTest = TEST,
) -> Correspondences:
    """`correspond_by_depth` with the density of B's rays: a point is visible if B has some density there.

    That is, if it agrees with the surface of any of the m layers: B takes out only what it does not see at all. The
    authors' code looks at A's density alone. To weigh by B's as well would count the opacity of a surface twice, and
    the matches of a pixel would no longer be distributed as A's density says.
    """
    m, n = len(quantiles_b), len(uv_a)
    uv, depth = uv_a.expand(m, n, 2), depth_a.expand(m, n)
    found = correspond_by_depth(uv, depth, _repeated(a, m), _repeated(b, m), quantiles_b, test)
    seen = found.visible.any(0)
    hidden = (found.outcome == Outcome.OCCLUDED).any(0)
    outcome = torch.where(hidden, int(Outcome.OCCLUDED), found.outcome[0])
    outcome = torch.where(seen, int(Outcome.VISIBLE), outcome)
    return Correspondences(uv_a, found.uv_b[0], outcome, found.depth_b[0])


def _repeated(camera: PosedCamera, m: int) -> PosedCamera:
    return PosedCamera(
        camera.intrinsics.expand(m, 3, 3), camera.world_from_camera.expand(m, 4, 4), camera.size
    )
