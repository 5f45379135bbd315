"""What a robot program imports: point at a place once, find it in every image.

Two floors. This one speaks names, images of any form and pixels of those images. The one below (`matcher`,
`locate`) speaks tensors of one working size, in batches.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from samepoint.errors import DataError, RunError
from samepoint.geometry.pixels import in_frame, resize_pixels
from samepoint.inference.database import Reference, check_name
from samepoint.inference.depth import camera_matrix, depth_tensor, point_at
from samepoint.inference.images import ImageLike, image_digest, image_tensor, resized, working_size
from samepoint.inference.matcher import ForgottenError, LearningMatcher, NameMatcher
from samepoint.types import Size

CACHED_IMAGES = 4

PixelLike = Sequence[float | int] | np.ndarray | Tensor
"""(u right, v down)."""


@dataclass(frozen=True)
class Hit:
    """Where a keypoint is. `uv` in pixels of the image that was handed in (integers at pixel centres),
    always the best place there is; `confidence` in [0, 1]; `visible` is confidence >= the run's
    threshold."""

    uv: tuple[float, float]
    confidence: float
    visible: bool


@dataclass(frozen=True)
class Embedding:
    """An image the network has seen: hand it in instead of the image for as many queries as you like.

    `image_size` is that of the image handed in, `working_size` that the network saw; both (height, width).
    """

    image_size: Size
    working_size: Size
    digest: str
    file: str | None
    values: Any


class Finder:
    """Finds named points in images. Get one from `samepoint.load(run)`.

    `max_size` is the long side at which the network sees images, `threshold` the confidence from which on a
    hit is visible. Images are numpy h x w x 3 or torch 3 x h x w (uint8, or float in [0, 1]), PIL images,
    paths, or what `embed` returned; each of them raises DataError if it is none of these. All pixels are
    those of that image.
    """

    def __init__(self, matcher: NameMatcher, max_size: int | None = None, threshold: float = 0.5) -> None:
        self.matcher, self.max_size, self.threshold = matcher, max_size, threshold
        self._cache: OrderedDict[str, Embedding] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The keypoints it can look for."""
        return self.matcher.names

    def remember(self, name: str, image: ImageLike | Embedding, uv: PixelLike) -> int:
        """Names the point at pixel `uv` of an image, or adds one more view of it to a known name.

        Returns the number of the reference (for `forget`). The change is on disk when the call returns.
        DataError for a pixel outside the image; RunError if the database cannot be written or is of another
        network.
        """
        check_name(name)
        learner = self._learner()
        seen = self.embed(image)
        place = self._pixel(uv, seen.image_size)
        at = resize_pixels(torch.tensor([place], dtype=torch.float64), seen.image_size, seen.working_size)[0]
        descriptor = learner.describe(seen.values, (float(at[0]), float(at[1])))
        reference = Reference(
            descriptor.numpy().astype(np.float32),
            learner.fingerprint,
            place,
            seen.image_size,
            seen.file,
            seen.digest,
        )
        return learner.database.add(name, reference)

    def forget(self, name: str, reference: int | None = None) -> None:
        """Removes a name, or one of its references. DataError if there is no such name or reference."""
        self._learner().database.remove(name, reference)

    def rename(self, old: str, new: str) -> None:
        """Gives a keypoint another name."""
        self._learner().database.rename(old, new)

    def find(self, image: ImageLike | Embedding, names: Sequence[str] | None = None) -> dict[str, Hit]:
        """The best place of each name (default: all) in the image. DataError for an unknown name.

        Each name is looked for alone: two names may be found at one place.
        """
        wanted = self._wanted(names)
        seen = self.embed(image)
        if not wanted:
            return {}
        try:
            places = self.matcher.places(seen.values, wanted)
        except ForgottenError:
            if names is not None:
                raise
            return self.find(seen)  # what is known now
        uv = _clamped(
            resize_pixels(places.uv.cpu().double(), seen.working_size, seen.image_size), seen.image_size
        )
        return {
            name: Hit((float(u), float(v)), float(confidence), float(confidence) >= self.threshold)
            for name, (u, v), confidence in zip(wanted, uv.tolist(), places.confidence.tolist())
        }

    def find_3d(
        self,
        image: ImageLike | Embedding,
        depth: np.ndarray | Tensor,
        K: object,
        names: Sequence[str] | None = None,
    ) -> dict[str, tuple[float, float, float] | None]:
        """The points (x, y, z) in metres in the camera frame (x right, y down, z forward).

        `depth` h x w in metres, registered to the image, 0 or NaN where unknown; `K` the 3x3 camera matrix
        of the image. None for a point that is not visible, or without depth within 3 pixels of it.
        """
        seen = self.embed(image)
        metres, matrix = depth_tensor(depth, seen.image_size), camera_matrix(K)
        return {
            name: point_at(metres, matrix, hit.uv) if hit.visible else None
            for name, hit in self.find(seen, names).items()
        }

    def heatmap(self, image: ImageLike | Embedding, name: str) -> Float32[np.ndarray, "h w"]:
        """How likely each pixel is relative to the best one: in [0, 1], the maximum is the hit's
        confidence."""
        (name,) = self._wanted([name])
        seen = self.embed(image)
        return self.matcher.heat(seen.values, name, seen.image_size).float().cpu().numpy()

    def embed(self, image: ImageLike | Embedding) -> Embedding:
        """Runs the network on an image. The last few images are kept, by content: asking again is cheap.

        By content, because a camera's driver may write every new picture into the same array.
        """
        if isinstance(image, Embedding):
            return image
        pixels = image_tensor(image)
        digest = image_digest(pixels)
        with self._lock:
            if digest in self._cache:
                self._cache.move_to_end(digest)
                return self._cache[digest]
        seen = self._embedded(pixels, digest, _file_of(image))
        with self._lock:
            self._cache[digest] = seen
            while len(self._cache) > CACHED_IMAGES:
                self._cache.popitem(last=False)
        return seen

    def _embedded(self, pixels: Float[Tensor, "3 h w"], digest: str, file: str | None) -> Embedding:
        size = (pixels.shape[1], pixels.shape[2])
        working = working_size(size, self.max_size)
        values = self.matcher.embed(resized(pixels, working)[None])
        return Embedding(size, working, digest, file, values)

    def _wanted(self, names: Sequence[str] | None) -> list[str]:
        known = self.names
        if names is None:
            return list(known)
        if isinstance(names, str):
            raise DataError(f"names is the text {names!r}", mend="give a list of names")
        for name in names:
            if name not in known:
                listed = ", ".join(known) or "none yet"
                raise DataError(f"there is no keypoint {name!r}", mend=f"known are: {listed}")
        return list(dict.fromkeys(names))

    def _learner(self) -> LearningMatcher:
        if not isinstance(self.matcher, LearningMatcher):
            raise RunError(
                "this run has keypoints of its own and takes no new ones", mend="use a descriptor run"
            )
        return self.matcher

    @staticmethod
    def _pixel(uv: PixelLike, size: Size) -> tuple[float, float]:
        try:
            u, v = (float(x) for x in uv)
        except (TypeError, ValueError) as error:
            raise DataError(f"{uv!r} is not a pixel", mend="give (u right, v down)") from error
        if not bool(in_frame(torch.tensor((u, v), dtype=torch.float64), size)):
            raise DataError(
                f"pixel ({u:g}, {v:g}) is outside the image of width {size[1]} and height {size[0]}",
                mend="give (u right, v down) in pixels of that image",
            )
        return u, v


def _clamped(uv: Float[Tensor, "n 2"], size: Size) -> Float[Tensor, "n 2"]:
    """Rounding at the image's edge must not put a hit outside it."""
    limit = uv.new_tensor((size[1] - 1, size[0] - 1))
    return torch.minimum(uv.clamp_min(0), limit)


def _file_of(image: object) -> str | None:
    return str(os.path.abspath(image)) if isinstance(image, str | os.PathLike) else None
