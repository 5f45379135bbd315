"""What a robot program may hand in as an image, turned into one form: RGB, float in [0, 1], `3 h w`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from samepoint.data.decode import decode_image
from samepoint.errors import DataError
from samepoint.types import Size

ImageLike = np.ndarray | Tensor | Image.Image | str | os.PathLike[str]
"""numpy h x w x 3 (uint8, or float in [0, 1]); torch 3 x h x w (likewise); a PIL image; the path of a
file."""

ACCEPTED = "give RGB as numpy h x w x 3 or torch 3 x h x w (uint8, or float in [0, 1]), a PIL image or a path"


def image_tensor(image: ImageLike) -> Float[Tensor, "3 h w"]:
    """RGB in [0, 1] on the CPU. Takes and refuses what `image_array` does."""
    pixels = torch.from_numpy(_owned(image_array(image))).permute(2, 0, 1)
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels


def image_array(image: ImageLike) -> UInt8[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w 3"]:
    """RGB, uint8 or float in [0, 1]; the caller's own array where that is what was given. The EXIF orientation of
    files and PIL images is applied.

    Files are decoded as in training (`data.decode`): grey and palette files become RGB, transparency is dropped, 10
    or 12 bits in a file of 16 become 8. Arrays are never guessed at: DataError for grey, four-channel or
    channel-swapped arrays, for other types, and for floats outside [0, 1]. It cannot tell BGR (what `cv2.imread`
    returns) from RGB.
    """
    if isinstance(image, str | os.PathLike):
        return _checked(decode_image(Path(image)))
    if isinstance(image, Image.Image):
        return _checked(_from_pil(image, where=getattr(image, "filename", None) or None))
    if isinstance(image, np.ndarray):
        return _checked(image)
    if isinstance(image, Tensor):
        shape = tuple(image.shape)
        if image.ndim != 3 or shape[0] != 3:
            raise DataError(f"a torch image of shape {shape} is not 3 x h x w", mend=ACCEPTED)
        known = image if image.dtype == torch.uint8 or not image.is_floating_point() else image.float()
        return _checked(known.detach().cpu().permute(1, 2, 0).numpy())
    raise DataError(f"{type(image).__name__} is not an image", mend=ACCEPTED)


def rgb_array(image: ImageLike) -> UInt8[np.ndarray, "h w 3"]:
    """The same image as 8-bit numpy, to draw on."""
    return (image_tensor(image).permute(1, 2, 0) * 255).round().to(torch.uint8).contiguous().numpy()


def image_digest(image: Float[Tensor, "3 h w"]) -> str:
    """A name for the image's content: equal for equal pixels, whatever object or file they came from."""
    rows = image.permute(1, 2, 0)  # as most images lie in memory
    data = (rows * 255).round_().to(torch.uint8).contiguous().numpy()
    return hashlib.blake2b(data.data, digest_size=16, key=str(tuple(image.shape)).encode()).hexdigest()


def working_size(size: Size, long_side: int | None) -> Size:
    """The size at which a network sees an image: long side at most `long_side`, aspect kept, never
    enlarged."""
    if long_side is None or max(size) <= long_side:
        return size
    scale = long_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resized(image: Float[Tensor, "*b 3 h w"], size: Size) -> Float[Tensor, "*b 3 h2 w2"]:
    """The image at another size, with anti-aliasing; its edges stay in place (`geometry.pixels`)."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    flat = image.reshape(-1, *image.shape[-3:])
    small = F.interpolate(flat, size=size, mode="bilinear", antialias=True, align_corners=False)
    return small.reshape(*image.shape[:-2], *size).clamp(0, 1)


def _from_pil(image: Image.Image, where: object) -> np.ndarray:
    if image.mode.startswith(("I", "F")):
        raise DataError(
            f"has mode {image.mode}, which is depth or a label image rather than colour",
            where=where,
            mend=ACCEPTED,
        )
    upright = ImageOps.exif_transpose(image)
    return np.array(upright.convert("RGB"))


def _checked(image: np.ndarray) -> np.ndarray:
    shape = image.shape
    if image.ndim == 2:
        raise DataError(
            f"an array of shape {shape} is grey or depth, not RGB",
            mend="repeat it to three channels, or give colour",
        )
    if image.ndim != 3 or shape[2] != 3:
        hint = "move the channels last, or make it a torch tensor" if shape[:1] == (3,) else ACCEPTED
        raise DataError(f"an array of shape {shape} is not h x w x 3", mend=hint)
    if 0 in shape:
        raise DataError(f"an image of shape {shape} has no pixels", mend=ACCEPTED)
    if image.dtype == np.uint8:
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise DataError(f"an image of type {image.dtype} is neither uint8 nor float", mend=ACCEPTED)
    low, high = float(image.min()), float(image.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # NaN fails too
        raise DataError(
            f"a float image has values from {low:g} to {high:g}, outside [0, 1]",
            mend="divide by 255 if it holds 8-bit values",
        )
    return image.astype(np.float32).clip(0, 1)


def _owned(image: np.ndarray) -> np.ndarray:
    """The array in rows that torch can take without a warning."""
    rows = np.ascontiguousarray(image)
    return rows if rows.flags.writeable else rows.copy()
