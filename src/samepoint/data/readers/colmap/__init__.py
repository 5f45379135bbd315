"""COLMAP reconstructions: a project, or the folder of a sparse model.

    images/a.jpg   sparse/0/cameras.bin   sparse/0/images.bin      (or .txt; sparse/, colmap/sparse/0/, dense/sparse/)

https://colmap.github.io/format.html. Poses are world-to-camera (quaternion w x y z), OpenCV axes. The principal point
is measured from the corner of a pixel: half a pixel is taken off. **Units are arbitrary**, unless the reconstruction
was scaled: give the metres of one as `world_scale` (`Corrections`), by a length you know.
NOT read: points and tracks, rigs (each image is a moment of its own), depth maps of dense/stereo, masks, images that
were not registered (they have no pose), camera models that OpenCV lacks (FOV, THIN_PRISM_FISHEYE and others).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, matrix_from
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.camera_numbers import FROM_CORNER, check_image, lens_from, pinhole
from samepoint.data.readers.colmap.binary import binary_cameras, binary_images
from samepoint.data.readers.colmap.model import ColmapCamera, ColmapImage
from samepoint.data.readers.colmap.text import text_cameras, text_images
from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.data.recording import Dataset, Moment, Recording, View
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens

SPARSE = ("sparse", "colmap/sparse", "dense/sparse", "dense/0/sparse")
"""Where a project keeps its models, in the order in which they are looked for."""
IMAGES = "images"


def is_colmap(root: Path) -> bool:
    """Whether a folder is, or holds, a sparse model."""
    return bool(_models(root))


def read_colmap(source: Path) -> Dataset:
    """Reads each sparse model (sparse/0, sparse/1, ...: separate worlds) as a recording of mode "scan".

    `source` is the project, or the folder of one model. Images are sorted by name; their folder is `images/`, beside
    the model or up to three folders above it. DataError for a missing image, and for one of another size.
    """
    source = Path(source)
    models = _models(source)
    if not models:
        mend = "give a COLMAP project, or the folder with cameras.bin and images.bin (or .txt)"
        raise DataError("holds no sparse model", where=source, mend=mend)
    return Dataset(source, tuple(_recording(model, source) for model in models))


def _models(root: Path) -> list[Path]:
    if _suffix(root):
        return [root]
    for name in SPARSE:
        folder = root / name
        if _suffix(folder):
            return [folder]
        numbered = (
            [f for f in sorted(folder.iterdir(), key=natural_key) if _suffix(f)] if folder.is_dir() else []
        )
        if numbered:
            return numbered
    return []


def _suffix(folder: Path) -> str | None:
    """Of the files of a model; binary goes before text, as in COLMAP."""
    kinds = (".bin", ".txt")
    return next(
        (s for s in kinds if all((folder / f"{n}{s}").is_file() for n in ("cameras", "images"))), None
    )


def _recording(model: Path, source: Path) -> Recording:
    if _suffix(model) == ".bin":
        cameras, found = binary_cameras(model / "cameras.bin"), binary_images(model / "images.bin")
    else:
        cameras, found = text_cameras(model / "cameras.txt"), text_images(model / "images.txt")
    images = sorted(found, key=lambda image: natural_key(image.name))
    if not images:
        raise DataError("holds no registered image", where=model, mend="reconstruct with more overlap")
    names = [f"{model}, image {image.name}" for image in images]
    poses = checked_poses([_pose(i, w) for i, w in zip(images, names, strict=True)], names)
    folder = _image_folder(model, images[0].name)
    moments: list[Moment] = []
    for image, pose, where in zip(images, poses, names, strict=True):
        if image.camera not in cameras:
            raise DataError(
                f"has camera {image.camera}, which is not there", where=where, mend="export it again"
            )
        camera, path = cameras[image.camera], folder / image.name
        check_image(path, camera.width, camera.height, f"{model}, camera {image.camera}")
        k, lens = _optics(camera, f"{model}, camera {image.camera}")
        moments.append(Moment((View(f"cam{image.camera}", path, k, pose, lens=lens),)))
    name = source.name if model == source else f"{source.name}/{model.name}"
    return Recording(name, "scan", tuple(moments))


def _image_folder(model: Path, image: str) -> Path:
    above = [model, *model.absolute().parents[:3]]
    for folder in above:
        for place in (folder / IMAGES, folder):
            if (place / image).is_file():
                return place
    mend = f"put the images into {IMAGES}/ beside sparse/"
    raise DataError(f"its image {image} is not there", where=model, mend=mend)


def _pose(image: ColmapImage, where: str) -> np.ndarray:
    """World from camera, float64."""
    r = rotation_from_quaternion(image.wxyz, where).T
    return matrix_from(r, -r @ np.array(image.translation), 1.0, where)


def _optics(camera: ColmapCamera, where: str) -> tuple[Float[Tensor, "3 3"], Lens | None]:
    """The camera matrix and the lens, if it bends."""
    single = camera.model.startswith(("SIMPLE", "RADIAL"))
    fx, fy, cx, cy, *bent = (camera.parameters[0], *camera.parameters) if single else camera.parameters
    k = pinhole(fx, fy, cx - FROM_CORNER, cy - FROM_CORNER, where)
    padded = [*bent, *[0.0] * (4 - len(bent))]
    return k, lens_from(
        "fisheye" if camera.model.endswith("FISHEYE") else "brown", padded, len(padded), where
    )
