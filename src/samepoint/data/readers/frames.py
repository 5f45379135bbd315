"""Registered RGB-D frames as folders: colour, depth, poses, masks and a camera.

    color/NAME.jpg   depth/NAME.png   pose/NAME.txt   masks/NAME.png   intrinsics.json   train.txt   test.txt

Also rgb/ with cam_K.txt (FoundationPose), and intrinsic/intrinsic_color.txt (ScanNet): see `side_cameras`. Depth
along the optical axis, registered to colour, 0 unknown; pose: 4x4 camera-to-world, metres, OpenCV axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from samepoint.data.file_kinds import DEPTH_SUFFIXES, IMAGE_SUFFIXES
from samepoint.data.leftovers import files_of, noted
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.masks_beside import Masks, masks_beside
from samepoint.data.readers.posed_views import cameras_of, depth_without_camera, posed_views
from samepoint.data.readers.side_cameras import camera_path
from samepoint.data.recording import Dataset, Moment, Recording, Split, View
from samepoint.errors import DataError
from samepoint.reading import entries, folders, walk
from samepoint.text import read_lines, same_name, slashed

COLOUR = ("color", "colour", "colors", "rgb", "image", "images", "img", "imgs")
DEPTH = ("depth", "depths", "depth_image", "depth_images")
POSE = ("pose", "poses", "cam_pose", "camera_poses")
MASKS = ("masks", "mask")
POSE_SUFFIXES = frozenset({".txt", ".npy"})
LISTS: dict[str, Split] = {
    "train.txt": "train",
    "validation.txt": "validation",
    "val.txt": "validation",
    "test.txt": "test",
}


def is_frames(root: Path) -> bool:
    """Whether a folder has colour frames beside depth, poses or a camera, or holds such folders."""
    return _is_one(root) or bool(_below(root))


def read_frames(root: Path) -> Dataset:
    """Reads one recording of mode "scan"; depth, poses and masks may be missing, also for single frames. A folder of
    such folders is a recording each.

    train.txt, validation.txt and test.txt list the image names of a split, one a line: each becomes a
    recording of its own, and images that no list names are left out. Raises DataError for depth without
    intrinsics, wrong poses, names and sizes that do not fit and lists that name images that are not there.
    """
    root = Path(root)
    below = [] if _is_one(root) else _below(root)
    if not below:
        return _read(root)
    parts = [_read(folder) for folder in below]
    objects = {number: model for part in parts for number, model in part.objects.items()}
    notes = [f"{part.root.name}: {note}" for part in parts for note in part.notes]
    told = [path for folder in below for _, files in walk(folder) for path in files]
    dataset = Dataset(root, tuple(r for part in parts for r in part.recordings), objects)
    return noted(dataset, also=told, notes=notes)


def _read(root: Path) -> Dataset:
    colour = _colour(root)
    if colour is None:
        raise DataError("has no colour folder", where=root, mend="put the images into color/")
    images = _files(colour, IMAGE_SUFFIXES)
    if not images:
        raise DataError("holds no images", where=colour, mend="put PNG or JPEG images there")
    depths = _meant(_folder(root, DEPTH), DEPTH_SUFFIXES, "depth")
    masks = _masks(root, images)
    cameras = cameras_of((root, colour), images[0], depths)
    if depths and cameras.colour is None:
        raise depth_without_camera(root)
    poses = _meant(_folder(root, POSE), POSE_SUFFIXES, "pose")
    found = posed_views(images, depths, poses, masks, cameras)
    recordings, lists = _recordings(root, found.views)
    unlisted = len(images) - len({view.image for r in recordings for view in r.views()})
    reasons = dict(found.reasons)
    if unlisted:
        reasons[colour] = f"in no list ({', '.join(path.name for path in lists)})"
    dataset = Dataset(root, recordings, masks.objects)
    # Depth and poses of images that no list names are left out with these.
    unlisted_too = Dataset(root, (Recording("", "scan", tuple(Moment((v,)) for v in found.views.values())),))
    read = [path for path in files_of(unlisted_too) if path.parent != colour]
    return noted(dataset, also=[*found.read, *lists, *read], reasons=reasons, notes=found.notes)


def _recordings(root: Path, views: Mapping[Path, View]) -> tuple[tuple[Recording, ...], list[Path]]:
    """The recordings and the lists that make them."""
    recordings: list[Recording] = []
    lists = [root / name for name in LISTS if (root / name).exists()]
    for path in lists:
        split = LISTS[path.name]
        moments = tuple(Moment((views[image],)) for image in _listed(path, views))
        recordings.append(Recording(f"{root.name}/{split}", "scan", moments, split))
    if not recordings:
        recordings = [Recording(root.name, "scan", tuple(Moment((view,)) for view in views.values()))]
    return tuple(recordings), lists


def _masks(root: Path, images: list[Path]) -> Masks:
    folder = _folder(root, MASKS)
    return Masks() if folder is None else masks_beside(images, folder)


def _listed(path: Path, views: Mapping[Path, View]) -> list[Path]:
    known = {same_name(image.stem): image for image in views}
    listed: list[Path] = []
    for name in filter(None, map(slashed, read_lines(path))):
        written = PurePosixPath(name)
        found = known.get(same_name(written.stem), known.get(same_name(written.name)))  # "12.5" has no suffix
        if found is None:
            what = f"names {written.stem}, which is not there"
            raise DataError(what, where=path, mend="list names of color/")
        listed.append(found)
    return listed


def _is_one(root: Path) -> bool:
    if _colour(root) is None:
        return False
    return any(_folder(root, names) is not None for names in (DEPTH, POSE)) or camera_path(root) is not None


def _colour(root: Path) -> Path | None:
    """The folder of the images: color/, or `root` itself, beside poses or beside depth and a camera."""
    found = _folder(root, COLOUR)
    depth = _folder(root, DEPTH) is not None and camera_path(root) is not None
    if found is None and (depth or _folder(root, POSE) is not None) and _files(root, IMAGE_SUFFIXES):
        return root
    return found


def _meant(folder: Path | None, suffixes: frozenset[str], what: str) -> list[Path]:
    """The files of a folder; DataError if it holds files, and none of a kind that is read."""
    found = _files(folder, suffixes)
    others = [path for path in entries(folder) if path.is_file()] if folder is not None else []
    if others and not found:
        kinds = " ".join(sorted({path.suffix.lower() or path.name for path in others}))
        mend = f"{what} is read from {' '.join(sorted(suffixes))}"
        raise DataError(f"none of its {len(others)} files ({kinds}) is read", where=folder, mend=mend)
    return found


def _below(root: Path) -> list[Path]:
    """The folders in it that are such recordings, sorted."""
    return sorted((path for path in folders(root) if _is_one(path)), key=natural_key)


def _folder(root: Path, names: tuple[str, ...]) -> Path | None:
    """The first folder of these names, capitals or not, that is there."""
    there = {path.name.lower(): path for path in folders(root)}
    return next((there[name] for name in names if name in there), None)


def _files(folder: Path | None, suffixes: frozenset[str]) -> list[Path]:
    found = entries(folder) if folder is not None else []
    return sorted((path for path in found if path.suffix.lower() in suffixes), key=natural_key)
