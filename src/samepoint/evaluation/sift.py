"""SIFT at its best: the classical baseline.

Every pixel of B on a grid is a candidate, described upright at a ladder of scales an octave apart. A query is
described at several orientations and relative sizes, on the same ladder; for each of these *views* the
similarities of all rungs are added (a descriptor of one scale confuses similar corners; the ladder sees the
surroundings too), and the best view and candidate win. The winner is then refined to one pixel with small
descriptors. No geometric check across queries: each query is answered alone, as a network answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from samepoint.evaluation.caches import LastUsed
from samepoint.evaluation.predictors import Prediction
from samepoint.evaluation.sift_features import describe, detect
from samepoint.inference.images import image_digest

CACHED_IMAGES = 4


@dataclass(frozen=True)
class SiftSettings:
    """How SIFT is used. Exponents are in thirds of an octave (`sift_features`).

    `ladder`: scales added up for each candidate. `ratios`: sizes at which a query is tried, relative to B's.
    `orientations`: how many, evenly round the circle; 1 is upright. `step` of the grid of candidates in
    pixels; `detections`: SIFT's own keypoints of B are candidates as well. `fine`: scales of the refinement,
    `radius` its reach in pixels. `root`: RootSIFT.
    """

    ladder: tuple[int, ...] = (3, 6, 9, 12)
    ratios: tuple[int, ...] = (-4, -2, 0, 2, 4)
    orientations: int = 16
    step: int = 4
    detections: bool = False
    fine: tuple[int, ...] = (1, 3, 5)
    radius: int = 4
    root: bool = True


ROTATED = SiftSettings()
WIDE = replace(ROTATED, ladder=(3, 6, 9, 12, 15))
UPRIGHT = replace(ROTATED, orientations=1)


@dataclass(frozen=True)
class Candidates:
    """Image B prepared: k candidate pixels and their descriptors, one row each."""

    grey: UInt8[np.ndarray, "h w"]
    uv: Float[np.ndarray, "k 2"]
    features: Float[Tensor, "k f"]


@dataclass(frozen=True)
class Views:
    """A query at every orientation and relative size: `angles` (degrees) and `ratios` of the v views."""

    features: Float[Tensor, "n v f"]
    angles: Float[np.ndarray, " v"]
    ratios: Int[np.ndarray, " v"]


class SiftPredictor:
    """Nearest neighbour by SIFT. Confidence is the mean similarity over the ladder."""

    def __init__(
        self, settings: SiftSettings = ROTATED, name: str = "sift", cached: int = CACHED_IMAGES
    ) -> None:
        self.settings, self.name = settings, name
        self.config: Mapping[str, Any] = {"kind": "sift", "opencv": cv2.__version__, **asdict(settings)}
        self._candidates: LastUsed[Candidates] = LastUsed(cached)

    def predict(
        self, image_a: Float[Tensor, "3 h w"], uv_a: Float[Tensor, "n 2"], image_b: Float[Tensor, "3 h2 w2"]
    ) -> Prediction:
        grey_a, uv = grey_image(image_a), uv_a.detach().cpu().numpy().astype(np.float32)
        b = self._candidates.get(
            image_digest(image_b), lambda: candidates(grey_image(image_b), self.settings)
        )
        if not len(uv):
            return Prediction(uv_a, uv_a[:, 0])
        views = query_views(grey_a, uv, self.settings)
        similarity, place, view = best_candidate(views.features, b.features)
        found = refine(grey_a, uv, b, (place, view), views, self.settings)
        return Prediction(torch.from_numpy(found).to(uv_a), similarity.to(uv_a) / len(self.settings.ladder))


def sift_variants() -> tuple[SiftPredictor, ...]:
    """The variants of which the best counts as SIFT: a wider window helps in clutter and hurts on a slant."""
    return SiftPredictor(ROTATED, "sift"), SiftPredictor(WIDE, "sift wide")


def candidates(grey: UInt8[np.ndarray, "h w"], settings: SiftSettings) -> Candidates:
    """The grid (and detections) of B, described upright on the ladder.

    The grid starts at pixel 0, so that no candidate is rounded by the coarse octaves.
    """
    height, width = grey.shape
    grid = np.stack(np.meshgrid(np.arange(0, width, settings.step), np.arange(0, height, settings.step)), -1)
    uv = grid.reshape(-1, 2).astype(np.float32)
    if settings.detections:
        uv = np.concatenate((uv, detect(grey)[0]))
    exponents, upright = np.tile(settings.ladder, (len(uv), 1)), np.zeros(len(uv), dtype=np.float32)
    features = describe(grey, uv, exponents, upright, root=settings.root).reshape(len(uv), -1)
    return Candidates(grey, uv, torch.from_numpy(features))


def query_views(
    grey: UInt8[np.ndarray, "h w"], uv: Float[np.ndarray, "n 2"], settings: SiftSettings
) -> Views:
    """The queries at all orientations and relative sizes."""
    turns = np.arange(settings.orientations, dtype=np.float32) * (360.0 / settings.orientations)
    angles = np.tile(turns, len(settings.ratios)).astype(np.float32)
    ratios = np.repeat(np.array(settings.ratios), len(turns))
    exponents = np.tile(ratios[:, None] + np.array(settings.ladder), (len(uv), 1))
    repeated = np.repeat(uv, len(angles), axis=0)
    features = describe(grey, repeated, exponents, np.tile(angles, len(uv)), root=settings.root)
    return Views(
        torch.from_numpy(features.reshape(len(uv), len(angles), 128 * len(settings.ladder))), angles, ratios
    )


def best_candidate(
    views: Float[Tensor, "n v f"], features: Float[Tensor, "k f"]
) -> tuple[Float[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Similarity, candidate and view of the most similar (candidate, view) of each query."""
    best = views.new_full((len(views),), -torch.inf)
    place, view = (torch.zeros(len(views), dtype=torch.long) for _ in range(2))
    for v in range(views.shape[1]):
        similarity, index = (views[:, v] @ features.T).max(1)
        better = similarity > best
        best, place = torch.where(better, similarity, best), torch.where(better, index, place)
        view = torch.where(better, v, view)
    return best, place, view


def refine(
    grey_a: UInt8[np.ndarray, "h w"],
    uv_a: Float[np.ndarray, "n 2"],
    b: Candidates,
    best: tuple[Int[Tensor, " n"], Int[Tensor, " n"]],
    views: Views,
    settings: SiftSettings,
) -> Float[np.ndarray, "n 2"]:
    """A better pixel near the winner, by small descriptors at its size and turn: by 2 pixels, then by 1."""
    place, view = best[0].numpy(), best[1].numpy()
    exponents = views.ratios[view][:, None] + np.array(settings.fine)
    query = describe(grey_a, uv_a, exponents, views.angles[view], octave="fine", root=settings.root)
    found = np.rint(b.uv[place]).astype(np.float32)
    for reach, step in ((settings.radius, 2), (1, 1)):
        side = np.arange(-reach, reach + 1, step)
        found = _best_nearby(query.reshape(len(uv_a), -1), b.grey, found, side, settings)
    return found


def _best_nearby(
    query: Float[np.ndarray, "n f"],
    grey: UInt8[np.ndarray, "h w"],
    uv: Float[np.ndarray, "n 2"],
    side: Int[np.ndarray, " s"],
    settings: SiftSettings,
) -> Float[np.ndarray, "n 2"]:
    offsets = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    around = np.clip(uv[:, None] + offsets, 0, [grey.shape[1] - 1, grey.shape[0] - 1]).astype(np.float32)
    flat = around.reshape(-1, 2)
    exponents, upright = np.tile(settings.fine, (len(flat), 1)), np.zeros(len(flat), dtype=np.float32)
    near = describe(grey, flat, exponents, upright, octave="fine", root=settings.root)
    similarity = np.einsum("nf,nkf->nk", query, near.reshape(len(uv), len(offsets), -1))
    return around[np.arange(len(uv)), similarity.argmax(1)]


def grey_image(image: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w"]:
    """8-bit luma, as OpenCV makes it from RGB."""
    array = (image.detach().cpu() * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return np.asarray(cv2.cvtColor(array, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
