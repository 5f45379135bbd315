"""Posed images of nerfstudio, and of the original NeRF.

    transforms.json   images/frame_00001.png   depths/frame_00001.png   masks/frame_00001.png
    transforms_train.json   transforms_val.json   transforms_test.json                (NeRF: in its place)

    {"camera_model", "fl_x", "fl_y", "cx", "cy", "w", "h", "k1", "k2", "k3", "k4", "p1", "p2",
     "frames": [{"file_path", "transform_matrix", "depth_file_path", "mask_path"}, ...],
     "train_filenames": [...], "val_filenames": [...], "test_filenames": [...]}
    {..., "integer_depth_scale", "frames": [{"depth_path", ...}]}                                       (instant-ngp)

https://docs.nerf.studio/quickstart/data_conventions.html. `transform_matrix`: 4x4 camera-to-world, OpenGL axes (x
right, y up, z backward). The principal point is measured from the corner of a pixel (nerfstudio's ray of the first
pixel goes through (0.5, 0.5)): half a pixel is taken off. Camera numbers stand at the top or in each frame; NeRF
gives `camera_angle_x` (radians) and means the image's middle. Depth is along the optical axis; a unit is
`integer_depth_scale` (instant-ngp), else 0.001 (what nerfstudio assumes, whose file does not say). A mask is 0 where
a pixel is to be ignored: the rest becomes object 1, whatever it shows; where no frame has a mask, transparency that
varies is one. Poses keep the file's world, `applied_transform` included; `applied_scale` is divided out, so that
they fit the depth. Units are metres only if the capture was metric; those of COLMAP are arbitrary (`Corrections`).
`keys` lists what is read; keys that are not known are named. NOT read: point clouds, downscaled copies (images_2),
NeRF's rendered depth, scenes that move (`time`: refused).
"""

from __future__ import annotations

from pathlib import Path

from samepoint.data.leftovers import noted
from samepoint.data.natural_order import natural_key
from samepoint.data.readers.nerfstudio.frames import cut_out, file_named, read_views
from samepoint.data.readers.nerfstudio.keys import key_notes
from samepoint.data.recording import Dataset, Moment, ObjectModel, Recording, Split, View
from samepoint.errors import DataError
from samepoint.files import read_json

TRANSFORMS = "transforms.json"
FILES: dict[str, Split] = {
    "transforms_train.json": "train",
    "transforms_val.json": "validation",
    "transforms_test.json": "test",
}
LISTS: dict[str, Split] = {
    "train_filenames": "train",
    "val_filenames": "validation",
    "test_filenames": "test",
}


def is_nerfstudio(root: Path) -> bool:
    """Whether a folder holds a transforms file."""
    return any((root / name).is_file() for name in (TRANSFORMS, *FILES))


def read_nerfstudio(source: Path) -> Dataset:
    """Reads a folder, or one transforms file, as recordings of mode "scan", sorted by file name.

    Each of the lists train_filenames, val_filenames and test_filenames becomes a recording; so does each of NeRF's
    three files; a folder without either is one recording. Frames that no list names are left out.
    """
    source = Path(source)
    root = source if source.is_dir() else source.parent
    files, notes = _files(source), []
    recordings: list[Recording] = []
    for path, split in files.items():
        found, said = _recordings(path, root, split)
        recordings += found
        notes += said
    if not recordings:
        raise DataError("its lists name no frame", where=source, mend="list the file_path of frames")
    masked = any(view.placements for recording in recordings for view in recording.views())
    dataset = Dataset(root, tuple(recordings), {1: ObjectModel(1)} if masked else {})
    if source.is_dir():
        others = sorted(p.name for p in root.glob("transforms*.json") if p not in files)
        notes += [f"{name} is not read: give it instead of its folder" for name in others]
    return noted(dataset, notes=notes, reasons={root: "no frame that is read names them"})


def _files(source: Path) -> dict[Path, Split | None]:
    if not source.is_dir():
        return {source: FILES.get(source.name)}
    if (source / TRANSFORMS).exists():
        return {source / TRANSFORMS: None}
    found: dict[Path, Split | None] = {source / n: s for n, s in FILES.items() if (source / n).exists()}
    if not found:
        raise DataError(f"has no {TRANSFORMS}", where=source, mend=f"give the folder that holds {TRANSFORMS}")
    return found


def _recordings(path: Path, root: Path, split: Split | None) -> tuple[list[Recording], list[str]]:
    """The lists of a file, and what is to be said of it."""
    content = read_json(path)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise DataError("has no frames", where=path, mend='write {"frames": [{"file_path": ...}, ...]}')
    views, notes = read_views(content, frames, path, root), key_notes(content, frames, path.name)
    if not any(view.placements for view in views.values()):
        cut = {image: cut_out(view) for image, view in views.items()}
        if any(view.placements for view in cut.values()):
            views = cut
            notes.append(f"{path.name}: transparency of the images is the mask of object 1")
    lists = {name: content[name] for name in LISTS if name in content}
    if not lists:
        name = root.absolute().name if split is None else f"{root.absolute().name}/{split}"
        return [Recording(name, "scan", tuple(Moment((view,)) for view in views.values()), split)], notes
    recordings, named = [], set()
    for name, listed in lists.items():
        kept = _listed(name, listed, views, path, root)
        named |= kept
        if kept:
            moments = tuple(Moment((view,)) for image, view in views.items() if image in kept)
            recordings.append(
                Recording(f"{root.absolute().name}/{LISTS[name]}", "scan", moments, LISTS[name])
            )
    if len(named) < len(views):
        notes.append(
            f"{path.name}: {len(views) - len(named)} of {len(views)} frames are in none of its lists"
        )
    return recordings, notes


def _listed(name: str, listed: object, views: dict[Path, View], path: Path, root: Path) -> set[Path]:
    if not isinstance(listed, list):
        raise DataError(f"{name} is not a list", where=path, mend="list the file_path of frames")
    found = {file_named(entry, name, root, path) for entry in listed}
    for image in sorted(found - views.keys(), key=natural_key):
        raise DataError(f"{name} names {image.name}, which no frame has", where=path, mend="list frames only")
    return found
