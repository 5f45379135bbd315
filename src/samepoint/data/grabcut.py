"""A mask from a box around the object: GrabCut (Rother, Kolmogorov, Blake 2004), as OpenCV has it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from samepoint.data.decode import fitted_size, resize_nearest
from samepoint.data.masking import FEWEST, check_mask, in_one_piece
from samepoint.errors import DataError
from samepoint.types import PixelBox, Size

WORKING_SIZE = 1024
"""Long side in pixels at which larger images are cut: time grows with the pixels."""


def grabcut_mask(
    image: UInt8[np.ndarray, "h w 3"], box: PixelBox, iterations: int = 5, where: object = None
) -> Bool[np.ndarray, "h w"]:
    """The object in a box `(u0, v0, u1, v1)`, pixels, both corners inside: one piece without holes.

    `image` is RGB. What lies outside of the box is background; inside, colours decide. The same image and box give
    the same mask. Images with a long side above 1024 pixels are cut at that size. DataError, with `where`, for a box
    that is empty, leaves the image, holds too little or all of it, and if no object stands out.
    """
    size = (image.shape[0], image.shape[1])
    check_box(box, size, where)
    u0, v0, u1, v1 = box
    labels = np.full(size, cv2.GC_BGD, np.uint8)
    labels[v0 : v1 + 1, u0 : u1 + 1] = cv2.GC_PR_FGD
    small = fitted_size(size, WORKING_SIZE)
    labels = resize_nearest(labels, small).copy()
    _check_sides(labels == cv2.GC_PR_FGD, box, where)
    picture = (
        image if small == size else cv2.resize(image, (small[1], small[0]), interpolation=cv2.INTER_AREA)
    )
    cv2.setRNGSeed(0)
    models = np.zeros((2, 1, 65))
    bgr = np.ascontiguousarray(picture[..., ::-1])
    cv2.grabCut(bgr, labels, None, models[0], models[1], iterations, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    mask = _enlarged(in_one_piece((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)), size)
    if not mask.any():
        mend = "draw the box closer to the object, or give a mask"
        raise DataError(f"no object stands out in the box {_words(box)}", where=where, mend=mend)
    check_mask(mask, where)
    return mask


def check_box(box: PixelBox, size: Size, where: object = None) -> None:
    """DataError for a box without pixels or one that leaves its image."""
    u0, v0, u1, v1 = box
    height, width = size
    if u1 < u0 or v1 < v0:
        mend = "give U0 V0 U1 V1: the upper left and the lower right corner"
        raise DataError(f"the box {_words(box)} is empty", where=where, mend=mend)
    if u0 < 0 or v0 < 0 or u1 >= width or v1 >= height:
        what = f"the box {_words(box)} leaves the image, which is {width}x{height}"
        mend = f"u is 0 to {width - 1}, v is 0 to {height - 1}"
        raise DataError(what, where=where, mend=mend)


def _check_sides(inside: Bool[np.ndarray, "h w"], box: PixelBox, where: object) -> None:
    count = int(inside.sum())
    if count < FEWEST:
        mend = f"draw it around the whole object, or give a larger photo; {FEWEST} pixels are needed"
        raise DataError(f"the box {_words(box)} holds too little", where=where, mend=mend)
    if inside.size - count < FEWEST:
        mend = "leave some background outside of it on every side, or give a mask"
        raise DataError(f"the box {_words(box)} is the whole image", where=where, mend=mend)


def _enlarged(mask: Bool[np.ndarray, "h w"], size: Size) -> Bool[np.ndarray, "h2 w2"]:
    """At the image's size, with the smooth outline of linear interpolation."""
    if mask.shape == size:
        return mask
    grown = cv2.resize(mask.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return grown >= 0.5


def _words(box: PixelBox) -> str:
    return " ".join(map(str, box))
