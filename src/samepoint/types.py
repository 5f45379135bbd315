"""The types that cross layers. Shapes are in the annotations; units and frames in the docstrings.

Conventions (docs/conventions.md): images are float RGB in [0, 1], `3 h w`; a pixel is uv = (u right, v down)
with integers at pixel centres; a `size` is (height, width); poses are 4x4 `target_from_source`, metres;
camera axes are OpenCV's (x right, y down, z forward); depth is metres, 0 or NaN where unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from jaxtyping import Bool, Float, Int
from torch import Tensor

Metric = Literal["cosine", "euclidean"]
"""How descriptors are compared: cosine of unit vectors, or minus the squared Euclidean distance."""

Size = tuple[int, int]
"""(height, width) in pixels."""

PixelBox = tuple[int, int, int, int]
"""(u0, v0, u1, v1): the pixels of its upper left and lower right corners, both inside."""


@dataclass(frozen=True)
class CellMap:
    """Where the cells of a low-resolution map lie in the image: `uv = stride * cell + offset`, in pixels.

    `stride` and `offset` are per axis, (u, v). Cell (0, 0) is the first column and row of the map.
    """

    stride: tuple[float, float]
    offset: tuple[float, float]


@dataclass(frozen=True)
class DescriptorMap:
    """What a descriptor network returns for a batch of images: one descriptor a cell, low resolution.

    `values` has unit norm along d if `metric` is "cosine". `image_size` is that of the input image.
    """

    values: Float[Tensor, "b d h w"]
    cells: CellMap
    image_size: Size
    metric: Metric = "cosine"


@dataclass(frozen=True)
class SpatialDistribution:
    """A distribution over an image for each query: what every soft or hard matching returns.

    `mean` pixels; `variance` pixels squared per axis (u, v); `mode` pixels (most probable position);
    `log_partition` = log sum over cells of exp(score / temperature); `payload` the expectation of what was
    asked for (a descriptor, depth). What was not computed is None.
    """

    mean: Float[Tensor, "b n 2"]
    variance: Float[Tensor, "b n 2"]
    mode: Float[Tensor, "b n 2"] | None = None
    log_partition: Float[Tensor, "b n"] | None = None
    payload: Float[Tensor, "b n p"] | None = None


@dataclass(frozen=True)
class Heatmaps:
    """What a network with named keypoints returns for a batch of images: a heatmap (logits) for each of n names."""

    logits: Float[Tensor, "b n h w"]
    cells: CellMap
    image_size: Size


class Outcome(IntEnum):
    """What became of a pixel of image A in image B."""

    VISIBLE = 0
    OCCLUDED = 1
    OUT_OF_FRAME = 2
    NO_DEPTH = 3


@dataclass(frozen=True)
class Correspondences:
    """Pixels of A and where they are in B (pixels; meaningful where `outcome` is VISIBLE or OCCLUDED).

    `depth_b` is the depth in metres that the point has in B (NaN where unknown).
    """

    uv_a: Float[Tensor, "*b n 2"]
    uv_b: Float[Tensor, "*b n 2"]
    outcome: Int[Tensor, "*b n"]
    depth_b: Float[Tensor, "*b n"]

    @property
    def visible(self) -> Bool[Tensor, "*b n"]:
        return self.outcome == Outcome.VISIBLE


@dataclass(frozen=True)
class PairBatch:
    """Image pairs with true correspondences, padded to n points; `valid` marks the real ones.

    `unmatched` marks rows of another kind: uv_a and uv_b lie on two different objects, and nothing in B matches
    uv_a. No row is both.
    `labels_*` are instance maps: 0 is background, equal numbers in A and B are the same object.
    `object` is the label of each point's object. A source without masks has labels None.
    `alternatives_*` are right answers beside uv_a and uv_b (visible copies of a point of a symmetric object), NaN
    where there are fewer; None from a data set that declares no symmetry.
    """

    image_a: Float[Tensor, "b 3 h w"]
    image_b: Float[Tensor, "b 3 h2 w2"]
    uv_a: Float[Tensor, "b n 2"]
    uv_b: Float[Tensor, "b n 2"]
    valid: Bool[Tensor, "b n"]
    object: Int[Tensor, "b n"] | None = None
    labels_a: Int[Tensor, "b h w"] | None = None
    labels_b: Int[Tensor, "b h2 w2"] | None = None
    unmatched: Bool[Tensor, "b n"] | None = None
    alternatives_a: Float[Tensor, "b n k 2"] | None = None
    alternatives_b: Float[Tensor, "b n m 2"] | None = None


@dataclass(frozen=True)
class ImageBatch:
    """Images without geometry; `mask` is true where points may be sampled (None: anywhere)."""

    image: Float[Tensor, "b 3 h w"]
    mask: Bool[Tensor, "b h w"] | None = None


@dataclass(frozen=True)
class MotionBatch:
    """Views of rigid objects, one in each, and pairs of them with the object's motion between their cameras' frames.

    `mask` is true on the object. `pairs` (A, B) are indices of views of one object, `b_from_a` its motion from A's
    frame to B's, `residual` (metres, rms) what no rigid motion explains of how it moved (0 where poses are known).
    `axis` are the pixels of two points of the object, to either side of its middle along its x axis (right, then
    left).
    """

    image: Float[Tensor, "b 3 h w"]
    mask: Bool[Tensor, "b h w"]
    intrinsics: Float[Tensor, "b 3 3"]
    axis: Float[Tensor, "b 2 2"]
    pairs: Int[Tensor, "p 2"]
    b_from_a: Float[Tensor, "p 4 4"]
    residual: Float[Tensor, " p"]


@dataclass(frozen=True)
class RigBatch:
    """Moments of a rig: c views each of one size, `present` where there is one.

    `size`: how much of each image is a picture (height, width; the rest, right and below, is black). `xyz` are the
    labelled keypoints, world, metres, NaN where there is no label. `looked_for` says which keypoints a view can show.
    """

    image: Float[Tensor, "m c 3 h w"]
    intrinsics: Float[Tensor, "m c 3 3"]
    world_from_camera: Float[Tensor, "m c 4 4"]
    present: Bool[Tensor, "m c"]
    size: Int[Tensor, "m c 2"]
    xyz: Float[Tensor, "m n 3"]
    looked_for: Bool[Tensor, "m c n"]
