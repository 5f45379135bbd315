"""`samepoint data photo`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from samepoint.data.decode import decode_mask
from samepoint.workflows.photographed import PhotoOptions, make_photo_dataset


@dataclass(frozen=True)
class Photo:
    """Make a data set of single photos of an object and a mask of it in each; depth and the camera if known.

    `images` come first. Each becomes a recording of its own; all show the same object unless `different-objects`.
    The mask, one way of three, an entry a photo: `mask` files (above 0 is the object); `box` U0 V0 U1 V1 round the
    object, pixels, both corners inside, for GrabCut; `segmenter`, the weights of a Mask R-CNN of torchvision, where a
    box says which instance is meant. `depth`: whole numbers in millimetres or fractions in metres, unless
    `depth-unit` gives the metres of a unit. The camera, needed for depth: `intrinsics`, an intrinsics.json, or
    `field-of-view`, degrees along the long side. Look at the masks, in `out`/train/*/mask_visib.
    """

    images: tyro.conf.Positional[tuple[Path, ...]]
    out: Path
    options: Annotated[PhotoOptions, tyro.conf.arg(name="")] = field(default_factory=PhotoOptions)

    def run(self) -> None:
        dataset = make_photo_dataset(self.images, self.out, self.options)
        for image, view in zip(self.images, dataset.views(), strict=True):
            (placement,) = view.placements
            assert placement.mask is not None
            share = decode_mask(placement.mask).mean()
            print(f"{image}: object {placement.object_id} covers {share:.1%}, see {placement.mask}")
        photos, objects = len(self.images), len(dataset.objects)
        plural = "s" * (photos > 1), "s" * (objects > 1)
        print(f"wrote {photos} photo{plural[0]} of {objects} object{plural[1]} to {self.out}")
