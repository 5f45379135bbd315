"""Pixels of image B that are not the match: uniformly chosen, and certainly not the match itself."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from samepoint.errors import one_of
from samepoint.geometry.pixels import nearest_pixel

Kind = Literal["mask", "background", "blind", "cross-object"]
"""Where non-matches may lie: on the match's own object, on no object, anywhere, on the other objects."""

KINDS: tuple[Kind, ...] = ("mask", "background", "blind", "cross-object")
_DRAWS = 4  # rejected positions are drawn again so often; then all allowed pixels are looked at
_ENTRIES = 1 << 24  # of the matches x pixels table, at a time


def sample_non_matches(
    generator: torch.Generator,
    uv_b: Float[Tensor, "n 2"],
    labels: Integer[Tensor, "h w"],
    kind: Kind,
    number: int,
    *,
    radius: float,
    object: Integer[Tensor, " n"] | None = None,
) -> tuple[Float[Tensor, "n k 2"], Bool[Tensor, "n k"]]:
    """`number` non-matches for each match uv_b in image B, and which of them are valid.

    `labels` is B's instance map (0 is background; all zeros will do for "blind"), `object` each match's
    label, by default the one under uv_b. Each valid position is drawn, independently and uniformly, from the
    pixels of that kind that lie more than `radius` pixels from its own uv_b. Where there is no such pixel the
    positions are (0, 0) and not valid. Matches with label 0 or unknown position have no "mask" or
    "cross-object" non-matches. Draws on the generator's device. Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(one_of("kind of non-matches", kind, KINDS))
    own = _own_labels(uv_b, labels) if object is None else object.to(labels.device).long()
    uv = uv_b.detach().new_zeros(len(uv_b), number, 2)
    valid = torch.zeros(len(uv_b), number, dtype=torch.bool, device=uv.device)
    if kind in ("background", "blind"):
        groups = [(torch.arange(len(uv_b), device=uv.device), labels == 0 if kind == "background" else None)]
    else:
        groups = [
            ((own == k).nonzero()[:, 0], labels == k if kind == "mask" else (labels != k) & (labels > 0))
            for k in own.unique().tolist()
            if k > 0
        ]
    for rows, allowed in groups:
        pixels = _pixels(torch.ones_like(labels, dtype=torch.bool) if allowed is None else allowed).to(uv)
        uv[rows], valid[rows] = _draw(generator, uv_b.detach()[rows], pixels, number, radius)
    return uv, valid


def _own_labels(uv: Float[Tensor, "n 2"], labels: Integer[Tensor, "h w"]) -> Int[Tensor, " n"]:
    row, column = nearest_pixel(uv, (labels.shape[0], labels.shape[1]))
    return labels[row, column].long()


def _pixels(allowed: Bool[Tensor, "h w"]) -> Int[Tensor, "m 2"]:
    return allowed.nonzero().flip(-1)


def _draw(
    generator: torch.Generator, uv_b: Tensor, pixels: Tensor, number: int, radius: float
) -> tuple[Tensor, Tensor]:
    """Uniform over the pixels farther than radius from each uv_b: rejection, then exhaustively."""
    uv, valid = uv_b.new_zeros(len(uv_b), number, 2), uv_b.new_zeros(len(uv_b), number, dtype=torch.bool)
    if len(pixels) == 0 or uv.numel() == 0:
        return uv, valid
    for _ in range(_DRAWS):
        index = torch.randint(len(pixels), valid.shape, generator=generator, device=generator.device)
        drawn = pixels[index.to(pixels.device)]
        good = _far(drawn, uv_b[:, None], radius) & ~valid
        uv, valid = torch.where(good[..., None], drawn, uv), valid | good
    left = (~valid).any(1).nonzero()[:, 0]
    for rows in left.split(max(1, _ENTRIES // len(pixels))):
        far = _far(pixels[None], uv_b[rows, None], radius)
        some = far.any(1)
        rows, far = rows[some], far[some]
        drawn = pixels[_choose(generator, far, number)]
        uv[rows] = torch.where(valid[rows, :, None], uv[rows], drawn)
        valid[rows] = True
    return uv, valid


def _choose(generator: torch.Generator, allowed: Bool[Tensor, "n m"], number: int) -> Int[Tensor, "n k"]:
    """Indices of allowed entries of each row, uniform, with replacement; every row has one."""
    counted = allowed.cumsum(1)
    draw = torch.rand(len(allowed), number, generator=generator, device=generator.device).to(allowed.device)
    rank = (draw * counted[:, -1:]).long().minimum(counted[:, -1:] - 1)
    return torch.searchsorted(counted, rank + 1)


def _far(pixels: Tensor, uv: Tensor, radius: float) -> Tensor:
    return (pixels - uv).square().sum(-1) > radius**2
