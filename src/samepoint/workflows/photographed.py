"""`samepoint data photo`: single photos, with a mask by one of three ways, become a data set."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.data.decode import decode_image, image_size
from samepoint.data.grabcut import check_box, grabcut_mask
from samepoint.data.masking import check_mask, read_mask
from samepoint.data.photo import Photo, default_depth_unit, write_photos
from samepoint.data.readers.camera_file import CameraFile, read_camera_file
from samepoint.data.readers.camera_numbers import check_image, pinhole
from samepoint.data.recording import Dataset, DepthFile
from samepoint.errors import DataError
from samepoint.models.segmenter import Segmenter, load_segmenter
from samepoint.types import PixelBox, Size


@dataclass(frozen=True)
class PhotoOptions:
    """What is known of photos, one entry a photo in their order.

    The mask, one way of three: `mask` files (above 0 is the object), `box` (U0 V0 U1 V1, pixels, both corners inside)
    around the object for GrabCut, or `segmenter`, weights of torchvision's Mask R-CNN; a box beside it says which
    instance is meant. Depth if known: `depth` files, whole numbers in millimetres or fractions in metres unless
    `depth_unit` gives the metres of a unit. The camera if known: `intrinsics`, an intrinsics.json, or
    `field_of_view`, degrees along the long side. `different_objects`: each photo shows another object.
    """

    mask: tuple[Path, ...] = ()
    box: tuple[PixelBox, ...] = ()
    segmenter: Path | None = None
    segmenter_score: float = 0.5
    depth: tuple[Path, ...] = ()
    depth_unit: float | None = None
    intrinsics: Path | None = None
    field_of_view: float | None = None
    different_objects: bool = False


def make_photo_dataset(images: Sequence[Path], out: Path, options: PhotoOptions) -> Dataset:
    """Writes `out`, a new or empty folder, whole or not at all: a scene a photo, in the native form.

    See `write_photos` for the object's frame. Raises DataError or ModelError.
    """
    images = [Path(image) for image in images]
    check_options(images, options)
    return write_photos(_photos(images, options), out)


def check_options(images: Sequence[Path], options: PhotoOptions) -> None:
    """DataError for options that do not go together, as many files as there are photos apart."""
    if not images:
        raise DataError("no photo is given", where="data photo", mend="name at least one image")
    for name, given in (("--mask", options.mask), ("--box", options.box), ("--depth", options.depth)):
        if given and len(given) != len(images):
            what = f"{len(given)} given for {len(images)} photo{'s' * (len(images) > 1)}"
            raise DataError(what, where=name, mend="give one a photo, in the same order")
    if options.mask and (options.box or options.segmenter is not None):
        raise DataError("a mask file needs no box and no segmenter", where="--mask", mend="give one of them")
    if not options.mask and not options.box and options.segmenter is None:
        mend = "give --mask FILE, --box U0 V0 U1 V1 or --segmenter WEIGHTS"
        raise DataError("nothing says where the object is", where="data photo", mend=mend)
    if not 0 <= options.segmenter_score <= 1:
        what = f"{options.segmenter_score:g} is no score"
        raise DataError(what, where="--segmenter-score", mend="give 0 to 1")
    _check_depth_options(options)


def _check_depth_options(options: PhotoOptions) -> None:
    unit, angle = options.depth_unit, options.field_of_view
    if unit is not None and not 0 < unit < math.inf:
        mend = "give the metres of one unit, such as 0.001"
        raise DataError(f"{unit:g} is no unit", where="--depth-unit", mend=mend)
    if unit is not None and not options.depth:
        raise DataError("there is no depth", where="--depth-unit", mend="give --depth FILE, or leave it out")
    if angle is not None and options.intrinsics is not None:
        raise DataError("--intrinsics says it already", where="--field-of-view", mend="give one of them")
    if angle is not None and not 1 <= angle <= 175:
        mend = "give the degrees along the long side, 1 to 175"
        raise DataError(f"{angle:g} degrees is no field of view", where="--field-of-view", mend=mend)
    if options.depth and angle is None and options.intrinsics is None:
        mend = "give --intrinsics FILE or --field-of-view DEGREES"
        raise DataError("depth without intrinsics", where="--depth", mend=mend)


def matrix_of_field(degrees: float, size: Size) -> Float[Tensor, "3 3"]:
    """The camera matrix of an image (height, width) that spans an angle along its long side, centred."""
    focal = max(size) / 2 / math.tan(math.radians(degrees) / 2)
    return pinhole(focal, focal, (size[1] - 1) / 2, (size[0] - 1) / 2, "--field-of-view")


def _photos(images: Sequence[Path], options: PhotoOptions) -> Iterator[Photo]:
    camera = None if options.intrinsics is None else read_camera_file(options.intrinsics)
    segmenter = None
    if options.segmenter is not None:
        segmenter = load_segmenter(options.segmenter, options.segmenter_score)
    for k, image in enumerate(images):
        matrix, lens = None, None
        if camera is not None:
            assert options.intrinsics is not None
            check_image(image, camera.width, camera.height, options.intrinsics)
            matrix, lens = camera.intrinsics, camera.lens
        elif options.field_of_view is not None:
            matrix = matrix_of_field(options.field_of_view, image_size(image))
        mask, mask_from = _mask(image, k, options, segmenter)
        object_id = k + 1 if options.different_objects else 1
        yield Photo(image, mask, object_id, matrix, lens, _depth(k, options, camera), mask_from)


def _mask(
    image: Path, k: int, options: PhotoOptions, segmenter: Segmenter | None
) -> tuple[Bool[np.ndarray, "h w"], str]:
    """The mask of the k-th photo and what it comes from."""
    if options.mask:
        return read_mask(options.mask[k], image), options.mask[k].name
    pixels = decode_image(image)
    box = options.box[k] if options.box else None
    if segmenter is None:
        assert box is not None
        return grabcut_mask(pixels, box, where=image), f"GrabCut in the box {' '.join(map(str, box))}"
    if box is not None:
        check_box(box, (pixels.shape[0], pixels.shape[1]), image)
    mask = segmenter.mask(pixels, box, image)
    check_mask(mask, image)
    return mask, f"segmenter {Path(str(segmenter.weights)).name}"


def _depth(k: int, options: PhotoOptions, camera: CameraFile | None) -> DepthFile | None:
    if not options.depth:
        return None
    unit = options.depth_unit
    if unit is None and camera is not None:
        unit = camera.metres_per_unit
    path = options.depth[k]
    return DepthFile(path, default_depth_unit(path) if unit is None else unit)
