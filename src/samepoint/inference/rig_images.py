"""Images of calibrated cameras as a network sees them: straightened and shrunk, the camera matrix with them."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from samepoint.data.rig.camera import Camera
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens, Straightener, bend_points
from samepoint.geometry.pixels import cell_centres, in_frame, resize_intrinsics, resize_pixels
from samepoint.inference.images import ImageLike, image_array, working_size
from samepoint.types import Heatmaps, Size

CACHED_LENSES = 32


@dataclass(frozen=True)
class Shot:
    """A camera's image at the working size, without the bend of its lens, and the camera matrix of it."""

    camera: Camera
    image: UInt8[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w 3"]
    intrinsics: Float[Tensor, "3 3"]

    @property
    def size(self) -> Size:
        return self.image.shape[0], self.image.shape[1]

    def recorded(self, uv: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """Pixels of `image` in the image as recorded, which its lens bends. NaN where the lens's model bends back
        (far outside the image), so that nothing is seen there."""
        straight, lens = resize_pixels(uv.double(), self.size, self.camera.size), _lens(self.camera)
        if lens is None:
            return straight
        return bend_points(straight, self.camera.intrinsics.double(), lens)


class Shooter:
    """Makes shots with a long side of at most `max_size` pixels. What it works out for a lens it keeps for the next
    image; several threads may use it at once."""

    def __init__(self, max_size: int | None) -> None:
        self.max_size = max_size
        self._straighteners: OrderedDict[object, Straightener] = OrderedDict()
        self._lock = threading.Lock()

    def shot(self, camera: Camera, image: ImageLike) -> Shot:
        """DataError for what is no image, or one of another size than is calibrated."""
        pixels, lens = _pixels(camera, image), _lens(camera)
        size = (pixels.shape[0], pixels.shape[1])
        if size != camera.size:
            (h, w), (ch, cw) = size, camera.size
            line = f"this image is {w}x{h}, camera {camera.name} is calibrated for {cw}x{ch}"
            where = image if isinstance(image, str | os.PathLike) else None
            raise DataError(line, where=where, mend="give the image as it was recorded for the calibration")
        if lens is not None:
            pixels = self._straightener(camera, lens)(pixels)
        working = working_size(size, self.max_size)
        if working != size:  # by area, as in training (`FrameStore`)
            pixels = cv2.resize(pixels, (working[1], working[0]), interpolation=cv2.INTER_AREA)
        return Shot(camera, pixels, resize_intrinsics(camera.intrinsics, size, working))

    def _straightener(self, camera: Camera, lens: Lens) -> Straightener:
        key = camera.size, lens, tuple(camera.intrinsics.flatten().tolist())
        with self._lock:
            if key in self._straighteners:
                self._straighteners.move_to_end(key)
                return self._straighteners[key]
        made = Straightener.of(camera.size, camera.intrinsics, lens)
        with self._lock:
            self._straighteners[key] = made
            while len(self._straighteners) > CACHED_LENSES:
                self._straighteners.popitem(last=False)
        return made


def batch_of(shots: Sequence[Shot]) -> Float[Tensor, "c 3 h w"]:
    """The images in one batch, RGB in [0, 1]; smaller ones are black at the right or below, as in training."""
    height, width = (max(sides) for sides in zip(*(shot.size for shot in shots)))
    batch = np.zeros((len(shots), height, width, 3), np.float32)
    for row, shot in zip(batch, shots):
        within = row[: shot.size[0], : shot.size[1]]
        np.multiply(shot.image, 1 / 255 if shot.image.dtype == np.uint8 else 1, out=within, casting="unsafe")
    return torch.from_numpy(batch).permute(0, 3, 1, 2)


def within(heatmaps: Heatmaps, sizes: Sequence[Size]) -> Heatmaps:
    """The heatmaps of a batch without what lies outside each image's own size."""
    if all(size == heatmaps.image_size for size in sizes):
        return heatmaps
    logits = heatmaps.logits
    centres = cell_centres(heatmaps.cells, (logits.shape[2], logits.shape[3]), logits.device, logits.dtype)
    inside = torch.stack([in_frame(centres, size) for size in sizes])
    return replace(heatmaps, logits=logits.masked_fill(~inside[:, None], -torch.inf))


def _lens(camera: Camera) -> Lens | None:
    """None where it bends nothing."""
    return None if camera.lens is None or camera.lens.straight else camera.lens


def _pixels(camera: Camera, image: ImageLike) -> UInt8[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w 3"]:
    try:
        return np.ascontiguousarray(image_array(image))
    except DataError as error:
        raise DataError(error.what, where=error.where or f"camera {camera.name}", mend=error.mend) from error
