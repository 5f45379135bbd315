"""Data sets from single photos of masked objects, in the native form.

Seed 000 (section 3.1) learns descriptors from one RGB image, a mask and optional depth of each object.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.data.bop_writer import BopWriter, ObjectMesh
from samepoint.data.decode import DecodedView, decode_view, depth_values, image_size
from samepoint.data.importers import with_arrays
from samepoint.data.masking import check_mask
from samepoint.data.plausible import check_depth
from samepoint.data.readers.bop import read_bop
from samepoint.data.recording import Dataset, DepthFile, Placement, View
from samepoint.data.scene_writer import WrittenView
from samepoint.data.straight import straightened
from samepoint.errors import DataError
from samepoint.files import folder_written_whole
from samepoint.geometry.cameras import unproject
from samepoint.geometry.lenses import Lens


@dataclass(frozen=True)
class Photo:
    """A photo of an object; `mask` of the image turned as its EXIF orientation says. What is unknown is None;
    depth needs intrinsics. `mask_from` names where the mask comes from, in errors and in the data set."""

    image: Path
    mask: Bool[np.ndarray, "h w"]
    object_id: int = 1
    intrinsics: Float[Tensor, "3 3"] | None = None
    lens: Lens | None = None
    depth: DepthFile | None = None
    mask_from: str = "array"


def write_photos(photos: Iterable[Photo], out: Path) -> Dataset:
    """Writes each photo as a scene of its own, of mode "photos" and split train, and returns what was written.

    `out`, a new or empty folder, appears whole or not at all. The frame of an object is that of the camera of its
    first photo with depth, moved to the mean of the points lifted from mask and depth; its other poses are unknown.
    Raises DataError for masks that are too small or of another size, depth of another size, without intrinsics or
    of an impossible unit, and damaged files.
    """
    with folder_written_whole(out) as draft:
        sources: dict[str, dict[str, str]] = {}
        writer = BopWriter(draft, {"photos": sources})
        known: set[int] = set()
        framed: set[int] = set()
        for k, photo in enumerate(photos):
            if photo.object_id not in known:
                known.add(writer.add_object(_unknown_shape(), photo.object_id))
            with writer.scene("train", k, "photos") as scene:
                scene.add_moment([_written(photo, framed)])
            sources[f"train/{k:06d}"] = {"image": photo.image.name, "mask": photo.mask_from}
        if not known:
            raise DataError("no photo is given", where=out, mend="name at least one image")
        writer.close()
    return read_bop(out)


def default_depth_unit(path: Path) -> float:
    """Metres of a unit where nobody says: whole numbers are millimetres, fractions metres."""
    return 0.001 if depth_values(path).dtype.kind in "iu" else 1.0


def _written(photo: Photo, framed: set[int]) -> WrittenView:
    """The photo with the pose of its object, if the object (not in `framed`) has its frame from here."""
    _check(photo)
    view = View("cam0", photo.image, photo.intrinsics, depth=photo.depth, lens=photo.lens)
    labels = photo.mask.astype(np.uint8)
    arrays = straightened(view, replace(decode_view(view), labels=labels))
    pose = None
    if photo.depth is not None:
        centre = _centre(photo, arrays)
        if photo.object_id not in framed:
            framed.add(photo.object_id)
            pose = torch.eye(4, dtype=torch.float64)
            pose[:3, 3] = centre
    return with_arrays(replace(view, placements=(Placement(photo.object_id, pose),)), arrays)


def _check(photo: Photo) -> None:
    size = image_size(photo.image)
    if photo.mask.shape != size:
        got, want = (f"{s[1]}x{s[0]}" for s in (photo.mask.shape, size))
        mend = "make the mask as large as its image"
        raise DataError(f"the mask is {got} but its image is {want}", where=photo.image, mend=mend)
    check_mask(photo.mask, photo.image)
    if photo.depth is None:
        return
    if photo.intrinsics is None:
        mend = "give --intrinsics FILE or --field-of-view DEGREES"
        raise DataError("depth without intrinsics", where=photo.depth.path, mend=mend)
    values = depth_values(photo.depth.path)
    if values.shape == size:  # another size is refused when it is decoded
        unit = photo.depth.metres_per_unit
        check_depth(values[photo.mask].astype(np.float64) * unit, photo.depth.path, unit)


def _centre(photo: Photo, arrays: DecodedView) -> Float[Tensor, " 3"]:
    """The mean of the points under the mask whose depth is known, camera frame, metres."""
    assert arrays.depth is not None
    assert arrays.metres_per_unit is not None
    assert arrays.labels is not None
    assert photo.intrinsics is not None
    v, u = np.nonzero((arrays.labels > 0) & (arrays.depth > 0))
    uv = torch.from_numpy(np.stack((u, v), axis=1)).double()
    z = torch.from_numpy(arrays.depth[v, u] * arrays.metres_per_unit)
    return unproject(photo.intrinsics.double(), uv, z).mean(0)


def _unknown_shape() -> ObjectMesh:
    return ObjectMesh(None, torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
