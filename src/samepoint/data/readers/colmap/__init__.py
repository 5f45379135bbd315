"""COLMAP reconstructions: a project, or the folder of a sparse model.

    images/a.jpg   sparse/0/cameras.bin   sparse/0/images.bin      (or .txt; sparse/, colmap/sparse/0/, dense/sparse/)

https://colmap.github.io/format.html. Poses are world-to-camera (quaternion w x y z), OpenCV axes. The principal point
is measured from the corner of a pixel: half a pixel is taken off. **Units are arbitrary**, unless the reconstruction
was scaled: give the metres of one as `world_scale` (`Corrections`), by a length you know.
Masks in masks/ beside the images (NAME.jpg.png or NAME.png, 0 where a pixel is to be ignored) become object 1.
NOT read: points and tracks, rigs (each image is a moment of its own), depth maps of dense/stereo, images that were
not registered (they have no pose; counted in the notes), camera models that OpenCV lacks (FOV, THIN_PRISM_FISHEYE and
others).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, matrix_from
from samepoint.data.leftovers import noted
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.camera_numbers import FROM_CORNER, check_image, lens_from, pinhole
from samepoint.data.readers.colmap.binary import binary_cameras, binary_images
from samepoint.data.readers.colmap.model import ColmapCamera, ColmapImage
from samepoint.data.readers.colmap.places import image_files, masks_beside, placements_of
from samepoint.data.readers.colmap.text import text_cameras, text_images
from samepoint.data.readers.quaternions import rotation_from_quaternion
from samepoint.data.recording import Dataset, Moment, ObjectModel, Recording, View
from samepoint.errors import DataError
from samepoint.geometry.lenses import Lens
from samepoint.reading import folders

SPARSE = ("sparse", "colmap/sparse", "dense/sparse", "dense/0/sparse")
"""Where a project keeps its models, in the order in which they are looked for."""
NAMED = 5
"""Missing images that are named."""


def is_colmap(root: Path) -> bool:
    """Whether a folder is, or holds, a sparse model."""
    return bool(_models(root))


def read_colmap(source: Path) -> Dataset:
    """Reads each sparse model (sparse/0, sparse/1, ...: separate worlds) as a recording of mode "scan".

    `source` is the project, or the folder of one model. Images are sorted by name (`places` finds them); those that
    are not there are left out and named in the notes. DataError if none is there, and for one of another size.
    """
    source = Path(source)
    models = _models(source)
    if not models:
        mend = "give a COLMAP project, or the folder with cameras.bin and images.bin (or .txt)"
        raise DataError("holds no sparse model", where=source, mend=mend)
    read = [_recording(model, source) for model in models]
    recordings = tuple(recording for recording, _, _ in read)
    masked = any(view.placements for recording in recordings for view in recording.views())
    notes = [note for _, _, said in read for note in said] + _dense(source)
    reasons = {place: "not in the model: COLMAP has no pose for them" for _, place, _ in read}
    dataset = Dataset(source, recordings, {1: ObjectModel(1)} if masked else {})
    return noted(dataset, notes=notes, reasons=reasons)


def _dense(source: Path) -> list[str]:
    """Depth maps of COLMAP's stereo, which are not read."""
    folders = (source / name / "stereo/depth_maps" for name in ("dense/0", "dense", "."))
    counts = {folder: len(list(folder.glob("*.bin"))) for folder in folders if folder.is_dir()}
    return [
        f"{folder.relative_to(source).as_posix()}: {count} depth maps are not read"
        for folder, count in counts.items()
        if count
    ]


def _models(root: Path) -> list[Path]:
    if _suffix(root):
        return [root]
    for name in SPARSE:
        folder = root / name
        if _suffix(folder):
            return [folder]
        numbered = [f for f in sorted(folders(folder), key=natural_key) if _suffix(f)]
        if numbered:
            return numbered
    return []


def _suffix(folder: Path) -> str | None:
    """Of the files of a model; binary goes before text, as in COLMAP."""
    kinds = (".bin", ".txt")
    return next(
        (s for s in kinds if all((folder / f"{n}{s}").is_file() for n in ("cameras", "images"))), None
    )


def _recording(model: Path, source: Path) -> tuple[Recording, Path, list[str]]:
    """The recording, the folder of its images, and what is to be said of it."""
    if _suffix(model) == ".bin":
        cameras, found = binary_cameras(model / "cameras.bin"), binary_images(model / "images.bin")
    else:
        cameras, found = text_cameras(model / "cameras.txt"), text_images(model / "images.txt")
    images = sorted(found, key=lambda image: natural_key(image.name))
    if not images:
        raise DataError("holds no registered image", where=model, mend="reconstruct with more overlap")
    names = [f"{model}, image {image.name}" for image in images]
    poses = checked_poses([_pose(i, w) for i, w in zip(images, names, strict=True)], names)
    folder, files = image_files(model, [image.name for image in images])
    masks = masks_beside(folder)
    moments: list[Moment] = []
    for image, pose, where in zip(images, poses, names, strict=True):
        if image.camera not in cameras:
            raise DataError(
                f"has camera {image.camera}, which is not there", where=where, mend="export it again"
            )
        if image.name not in files:
            continue
        camera, path = cameras[image.camera], files[image.name]
        check_image(path, camera.width, camera.height, f"{model}, camera {image.camera}")
        k, lens = _optics(camera, f"{model}, camera {image.camera}")
        placements = placements_of(path, folder, masks)
        moments.append(Moment((View(f"cam{image.camera}", path, k, pose, None, placements, lens),)))
    name = source.absolute().name
    name = name if model == source else f"{name}/{model.name}"
    missing = [image.name for image in images if image.name not in files]
    return Recording(name, "scan", tuple(moments)), folder, _missing(missing, len(images), model)


def _missing(names: list[str], of: int, model: Path) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")
    return [f"{model.name}: {len(names)} of {of} images of the model are not there and left out: {shown}"]


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
