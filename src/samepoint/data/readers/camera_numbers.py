"""A camera's numbers in a side file: pinhole matrix, lens and image size, checked, in our pixel convention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import intrinsics_from, numbers
from samepoint.data.image_files import image_size, is_turned
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens, LensModel

FROM_CORNER = 0.5
"""Take this from a principal point that is measured from the corner of the upper left pixel, not from its centre."""


def pinhole(fx: object, fy: object, cx: object, cy: object, where: object) -> Float[Tensor, "3 3"]:
    """The camera matrix of focal lengths and a principal point in pixels, measured from a pixel's centre."""
    fx, fy, cx, cy = numbers([fx, fy, cx, cy], 4, where)
    return intrinsics_from((fx, 0, cx, 0, fy, cy, 0, 0, 1), where)


def lens_from(model: LensModel, coefficients: object, count: int, where: object) -> Lens | None:
    """The lens of `count` numbers in OpenCV's order; None if it bends nothing."""
    values = numbers(coefficients, count, where)
    if not np.isfinite(values).all():
        what = f"the lens coefficients {values.tolist()} are not finite"
        raise DataError(what, where=where, mend="write the calibration again")
    lens = Lens(model, tuple(values.tolist()))
    return None if lens.straight else lens


def check_image(image: Path, width: object, height: object, where: object) -> None:
    """DataError unless the image has the size that its intrinsics are for (None: not known), and lies as stored.

    An EXIF orientation is refused: calibration programs do not apply it, but every viewer and we do.
    """
    if is_turned(image):
        mend = (
            "save the image turned, or remove the tag (exiftool -Orientation= FILE): calibration ignores it"
        )
        raise DataError(
            "has an EXIF orientation, which its camera matrix does not know", where=image, mend=mend
        )
    size = image_size(image)
    for name, wanted, is_ in (("wide", width, size[1]), ("high", height, size[0])):
        if wanted is not None and numbers([wanted], 1, where)[0] != is_:
            what = f"is for images {wanted} pixels {name}, but {image.name} is {size[1]}x{size[0]}"
            raise DataError(what, where=where, mend="give the intrinsics of the images as they are")
