"""What NeRF-Supervision renders: views of a NeRF with the density along each ray.

    logs/OBJECT/args.txt
    logs/OBJECT/renderonly_train_049999/        or renderonly_test_N, renderonly_path_N, testset_N
        rgb/000000.png    depth/000000.png (uint16, thousandths)    pose/000000.txt (4x4)    intrinsics.txt (3x3)
        z/000000.npy, weight/000000.npy         h w n floating point: samples of the ray of each pixel

Poses are camera-to-world in OpenGL axes (x right, y up, z backward). The ray of column i has x = (i - cx) / f, so
pixels are integers at their centres and intrinsics.txt is taken as it is. Rays are not of unit length: z and depth
are along the optical axis. **Units are not metres**: the scene was recentred and scaled; import with `world_scale`
and `depth_scale` to make them so (both the metres of a unit).

With z and weight, the depth of a view is the likeliest of its ray, and its `depth_quantiles` are QUANTILES depths of
the ray's distribution; both are unknown where the ray is less than half opaque, and both lie in `scratch` (float32
.npy). Without them the depth is depth/, the expected one (there `depth_scale` is the metres of a thousandth), and
there are no quantiles. Not read: rgb.mp4, disp.mp4, checkpoints.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, intrinsics_from
from samepoint.data.corrections import OPENGL
from samepoint.data.decode import image_size
from samepoint.data.file_kinds import is_image
from samepoint.data.leftovers import noted
from samepoint.data.natural_order import natural_key
from samepoint.data.quantile_files import QUANTILES
from samepoint.data.readers.nerf_supervision.quantiles import likeliest_depth, ray_quantiles, row_blocks
from samepoint.data.readers.scratch_files import write_array, write_depth
from samepoint.data.recording import Dataset, DepthFile, DepthQuantiles, Moment, Recording, Split, View
from samepoint.errors import DataError
from samepoint.reading import entries, explain_unreadable, matching
from samepoint.text import read_lines, read_numbers
from samepoint.types import Size

SPLITS: dict[str, Split] = {"renderonly_train": "train", "renderonly_test": "test", "testset": "test"}
KINDS = frozenset({*SPLITS, "renderonly_path"})
AGAIN = "render with --render_only --render_train once more"


def read_nerf_supervision(source: Path, scratch: Path) -> Dataset:
    """Reads a rendered folder, or the newest of each kind in a log folder, as recordings of mode "scan".

    DataError for missing, damaged or misfitting files, and for a NeRF in normalised device coordinates, whose z is no
    depth.
    """
    source = Path(source)
    found = []
    if (source / "rgb").is_dir():
        folders = [source]
    else:
        found = sorted(p.parent for p in matching(source, "*/intrinsics.txt") if (p.parent / "rgb").is_dir())
        folders = list({_kind(folder): folder for folder in sorted(found, key=_iteration)}.values())
    if not folders:
        raise DataError("holds no rgb/ with intrinsics.txt", where=source, mend="give a renderonly_* folder")
    older = [folder for folder in found if folder not in folders]
    dataset = Dataset(source, tuple(_recording(folder, Path(scratch) / folder.name) for folder in folders))
    known = [path for folder in folders for path in _known(folder)]
    reasons = dict.fromkeys(older, "of an older iteration")
    return noted(dataset, also=known, reasons=reasons)


def is_nerf_supervision(root: Path) -> bool:
    """Whether a folder is a rendering with poses of a NeRF, or holds some."""
    for folder in (root, *(path.parent for path in matching(root, "*/intrinsics.txt"))):
        rendered = _kind(folder) in KINDS or all((folder / name).is_dir() for name in ("z", "weight"))
        if rendered and (folder / "rgb").is_dir() and (folder / "intrinsics.txt").is_file():
            return True
    return False


def _known(folder: Path) -> list[Path]:
    """Files that are read and that no view names, and videos of the same views."""
    arrays = ("z/*", "weight/*", "depth/*", "*.mp4", "pose/*.txt")
    return [path for pattern in arrays for path in matching(folder, pattern)]


def _kind(folder: Path) -> str:
    return re.sub(r"_\d+$", "", folder.resolve().name)


def _iteration(folder: Path) -> int:
    digits = re.search(r"\d+$", folder.name)
    return int(digits.group()) if digits else 0


def _recording(folder: Path, scratch: Path) -> Recording:
    _check_coordinates(folder.resolve().parent / "args.txt")
    images = sorted((path for path in entries(folder / "rgb") if is_image(path)), key=natural_key)
    if not images:
        raise DataError("holds no images", where=folder / "rgb", mend=AGAIN)
    size = image_size(images[0])
    intrinsics = _intrinsics(folder / "intrinsics.txt", size)
    names = [folder / "pose" / f"{image.stem}.txt" for image in images]
    poses = checked_poses([_numbers(p, 4) @ OPENGL.double().numpy() for p in names], names)
    moments = []
    for image, pose in zip(images, poses, strict=True):
        depth, quantiles = _depth(folder, image, scratch)
        view = View("cam0", image, intrinsics, pose, depth, depth_quantiles=quantiles)
        moments.append(Moment((view,)))
    return Recording(folder.resolve().name, "scan", tuple(moments), SPLITS.get(_kind(folder)))


def _check_coordinates(arguments: Path) -> None:
    """NeRFs of forward-facing photos are trained in normalised device coordinates unless told not to."""
    if not arguments.is_file():
        return
    lines = {line.replace(" ", "") for line in read_lines(arguments)}
    if {"dataset_type=llff", "no_ndc=False"} <= lines:
        what = "this NeRF is in normalised device coordinates: its z is no depth"
        raise DataError(what, where=arguments, mend="train it with no_ndc = True and render again")


def _intrinsics(path: Path, size: Size) -> Float[Tensor, "3 3"]:
    intrinsics = intrinsics_from(_numbers(path, 3), path)
    height, width = size
    if abs(2 * float(intrinsics[0, 2]) - width) > 1 or abs(2 * float(intrinsics[1, 2]) - height) > 1:
        centre = ", ".join(f"{float(value):g}" for value in intrinsics[:2, 2])
        what = f"has its centre at {centre}, but the images are {width}x{height}"
        raise DataError(what, where=path, mend="take the intrinsics.txt of this rendering")
    return intrinsics


def _numbers(path: Path, rows: int) -> np.ndarray:
    return read_numbers(path, rows * rows, mend=AGAIN).reshape(rows, rows)


def _depth(folder: Path, image: Path, scratch: Path) -> tuple[DepthFile | None, DepthQuantiles | None]:
    present = [name for name in ("z", "weight") if (folder / name).is_dir()]
    if len(present) == 1:
        raise DataError(f"has {present[0]}/ only, of z/ and weight/", where=folder, mend=AGAIN)
    if present:
        return _from_rays(folder, image, scratch)
    if not (folder / "depth").is_dir():
        return None, None
    path = folder / "depth" / f"{image.stem}.png"
    if image_size(path) != image_size(image):
        raise DataError("has another size than its image", where=path, mend=AGAIN)
    return DepthFile(path, 0.001), None


def _from_rays(folder: Path, image: Path, scratch: Path) -> tuple[DepthFile, DepthQuantiles]:
    """The likeliest depth and the quantiles, written to `scratch`."""
    paths = [folder / name / f"{image.stem}.npy" for name in ("z", "weight")]
    z, weight = (_array(path, image_size(image)) for path in paths)
    if z.shape != weight.shape:
        raise DataError(
            f"has {weight.shape[2]} samples a ray, z has {z.shape[2]}", where=paths[1], mend=AGAIN
        )
    if any((np.diff(z[rows], axis=2) < 0).any() for rows in row_blocks(z.shape)):
        raise DataError("the depths fall along a ray", where=paths[0], mend=AGAIN)
    depth = likeliest_depth(z, weight)
    quantiles = np.where(depth > 0, ray_quantiles(z, weight, QUANTILES), np.float32(np.nan))
    file = scratch / f"{image.stem}_quantiles.npy"
    write_array(file, quantiles)
    return write_depth(scratch / f"{image.stem}.npy", depth), DepthQuantiles(file)


def _array(path: Path, size: Size) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError("this file does not exist", where=path, mend=AGAIN) from error
    except (OSError, ValueError, EOFError) as error:
        what = f"is not a readable array ({error})"
        raise explain_unreadable(path) or DataError(what, where=path, mend=AGAIN) from error
    if array.ndim != 3 or array.shape[:2] != size or array.shape[2] < 1 or array.dtype.kind != "f":
        what = f"is {array.dtype} {array.shape}, not floating point {size[0]} {size[1]} n"
        raise DataError(what, where=path, mend=AGAIN)
    return array
