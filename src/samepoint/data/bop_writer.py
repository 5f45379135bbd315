"""Writes posed images in the native form on disk: BOP with a samepoint.json beside it (docs/data.md).

Scenes are independent: a `SceneWriter` needs only the root, so that processes may share the work. Every scene
appears whole or not at all; a data set without samepoint.json was not closed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from samepoint.data.decode import quantise_depth
from samepoint.data.files import clear_disk_errors, write_json
from samepoint.data.mesh import Mesh, write_ply
from samepoint.data.recording import DepthFile, Mode, Split, Symmetry
from samepoint.errors import DataError

Array = np.ndarray | Tensor
MILLIMETRES = 1000.0


@dataclass(frozen=True)
class ObjectMesh:
    """An object to write. Vertices in metres, object frame; `coordinates` canonical, shared by the family."""

    family: str | None
    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    coordinates: Float[Tensor, "v 3"] | None = None
    keypoints: Mapping[str, Float[Tensor, " 3"]] = field(default_factory=dict)
    symmetry: Symmetry | None = None


@dataclass(frozen=True)
class WrittenView:
    """A view to write: numpy or torch arrays (`image` and `depth` may also be files, copied as they are).

    `image` uint8 `h w 3` RGB; `depth` metres `h w` (0 or NaN unknown); `labels` uint8 `h w`, 0 background,
    k the visible part of `placements[k - 1]`; a placement is (object_id, camera_from_object 4x4 or None).
    `visible_fractions` (one per placement) is the visible part of each silhouette in [0, 1], if known.
    """

    camera: str
    image: Array | Path
    intrinsics: Array | None = None
    world_from_camera: Array | None = None
    depth: Array | DepthFile | None = None
    labels: Array | None = None
    placements: Sequence[tuple[int, Array | None]] = ()
    visible_fractions: Sequence[float | None] | None = None


class BopWriter:
    """Starts a data set in a new or empty folder; `close` writes what makes it one."""

    def __init__(self, root: Path, generator: Mapping[str, object] | None = None) -> None:
        self.root = Path(root)
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise DataError("this folder is not empty", where=self.root, mend="choose a new folder")
        with clear_disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        self.generator = dict(generator or {})
        self._objects: dict[str, dict[str, object]] = {}
        self._models: dict[str, dict[str, object]] = {}

    def add_object(self, model: ObjectMesh, object_id: int | None = None) -> int:
        """Writes the mesh (millimetres, with cx cy cz) and returns its object id, from 1 upwards.

        A mesh without vertices is an object of unknown shape: no file is written for it.
        """
        number = object_id if object_id is not None else max(map(int, self._objects), default=0) + 1
        if str(number) in self._objects:
            raise DataError(f"object id {number} is taken", where=self.root)
        if len(model.vertices):
            mesh = Mesh(model.vertices, model.faces, model.coordinates)
            write_ply(self.root / "models" / f"obj_{number:06d}.ply", mesh, scale=MILLIMETRES)
        self._models[str(number)] = {**_extent(model.vertices), **_symmetries(model.symmetry)}
        keypoints = {name: _numbers(xyz) for name, xyz in model.keypoints.items()}
        self._objects[str(number)] = {"family": model.family, "keypoints": keypoints}
        return number

    def scene(self, split: Split, name_index: int, mode: Mode = "scan") -> SceneWriter:
        return SceneWriter(self.root, split, name_index, mode)

    def close(self) -> None:
        """Writes models_info.json and, last, samepoint.json."""
        if self._models:
            write_json(self.root / "models" / "models_info.json", self._models, indent=1)
        content = {
            "format": "samepoint-bop",
            "version": 1,
            "objects": self._objects,
            "generator": self.generator,
        }
        write_json(self.root / "samepoint.json", content, indent=1)


class SceneWriter:
    """Writes one recording into `root/split/NNNNNN`, which appears when `close` is called.

    As a context manager it closes on success and leaves nothing behind on an error. It may live in another
    process than the BopWriter. It refuses a scene that is already there.
    """

    def __init__(self, root: Path, split: Split, index: int, mode: Mode = "scan") -> None:
        self.folder = Path(root) / split / f"{index:06d}"
        if self.folder.exists():
            raise DataError("this scene is already there", where=self.folder, mend="choose another number")
        self.mode: Mode = mode
        with clear_disk_errors(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._draft = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=f".{index:06d}."))
            self._draft.chmod(0o755)
        self._moments: list[dict[str, object]] = []
        self._cameras: dict[str, dict[str, object]] = {}
        self._truth: dict[str, list[dict[str, object]]] = {}
        self._truth_info: dict[str, list[dict[str, object]]] = {}

    def add_moment(
        self, views: Sequence[WrittenView], time: float | None = None, sync_group: str | None = None
    ) -> None:
        """Adds views taken at the same time (seconds)."""
        names = [view.camera for view in views]
        if not names or len(set(names)) < len(names):
            raise DataError(f"a moment needs views of different cameras, got {names}", where=self.folder)
        with clear_disk_errors(self.folder):
            numbers = {view.camera: self._add_view(view) for view in views}
        self._moments.append({"time": time, "sync_group": sync_group, "views": numbers})

    def close(self) -> None:
        """Writes the scene's JSON files and gives the folder its name."""
        native = {"mode": self.mode, "moments": self._moments}
        write_json(self._draft / "scene_camera.json", self._cameras)
        write_json(self._draft / "scene_gt.json", self._truth)
        write_json(self._draft / "scene_gt_info.json", self._truth_info)
        write_json(self._draft / "scene_samepoint.json", native)
        with clear_disk_errors(self.folder):
            os.rename(self._draft, self.folder)

    def abandon(self) -> None:
        """Removes what was written so far."""
        shutil.rmtree(self._draft, ignore_errors=True)

    def __enter__(self) -> SceneWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _add_view(self, view: WrittenView) -> int:
        number = len(self._cameras)
        size = self._write_image(number, view.image)
        camera: dict[str, object] = {}
        if view.intrinsics is not None:
            camera["cam_K"] = _numbers(view.intrinsics)
        if view.depth is not None:
            camera["depth_scale"] = self._write_depth(number, view.depth, size)
        if view.world_from_camera is not None:
            camera.update(_pose("cam_R_w2c", "cam_t_w2c", np.linalg.inv(_float64(view.world_from_camera))))
        self._cameras[str(number)] = camera
        self._add_truth(number, view, size)
        return number

    def _write_image(self, number: int, image: Array | Path) -> tuple[int, int] | None:
        if isinstance(image, Path):
            _copy(image, self._draft / "rgb" / f"{number:06d}{image.suffix.lower()}")
            return None
        pixels = _numpy(image)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise DataError(f"an image is uint8 h w 3, got {pixels.dtype} {pixels.shape}", where=self.folder)
        _write_png(self._draft / "rgb" / f"{number:06d}.png", pixels[..., ::-1])
        return pixels.shape[0], pixels.shape[1]

    def _write_depth(self, number: int, depth: Array | DepthFile, size: tuple[int, int] | None) -> float:
        path = self._draft / "depth" / f"{number:06d}.png"
        if isinstance(depth, DepthFile):
            _copy(depth.path, path)
            return depth.metres_per_unit * MILLIMETRES
        metres = _float64(depth)
        if size is not None and metres.shape != size:
            raise DataError(f"depth is {metres.shape}, its image {size}", where=self.folder)
        units, metres_per_unit = quantise_depth(metres)
        _write_png(path, units)
        return metres_per_unit * MILLIMETRES

    def _add_truth(self, number: int, view: WrittenView, size: tuple[int, int] | None) -> None:
        labels = None if view.labels is None else _numpy(view.labels)
        if labels is not None and size is not None and labels.shape != size:
            raise DataError(f"labels are {labels.shape}, their image {size}", where=self.folder)
        if labels is not None and labels.max(initial=0) > len(view.placements):
            raise DataError(f"label {labels.max()} has no placement", where=self.folder)
        truth: list[dict[str, object]] = []
        info: list[dict[str, object]] = []
        for k, (object_id, camera_from_object) in enumerate(view.placements):
            truth.append({"obj_id": int(object_id)})
            if camera_from_object is not None:
                truth[-1].update(_pose("cam_R_m2c", "cam_t_m2c", _float64(camera_from_object)))
            info.append({})
            fraction = None if view.visible_fractions is None else view.visible_fractions[k]
            if fraction is not None:
                info[-1]["visib_fract"] = float(fraction)
            if labels is not None:
                mask = labels == k + 1
                info[-1].update(_visible(mask))
                _write_png(
                    self._draft / "mask_visib" / f"{number:06d}_{k:06d}.png", mask.astype(np.uint8) * 255
                )
        self._truth[str(number)], self._truth_info[str(number)] = truth, info


def _numpy(array: Array) -> np.ndarray:
    return array.detach().cpu().numpy() if isinstance(array, Tensor) else array


def _float64(array: Array) -> np.ndarray:
    return _numpy(array).astype(np.float64)


def _numbers(array: Array) -> list[float]:
    return _float64(array).ravel().tolist()


def _pose(rotation: str, translation: str, motion: np.ndarray) -> dict[str, object]:
    return {rotation: motion[:3, :3].ravel().tolist(), translation: (motion[:3, 3] * MILLIMETRES).tolist()}


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    _, content = cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    path.write_bytes(content.tobytes())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)


def _visible(mask: np.ndarray) -> dict[str, object]:
    """BOP's px_count_visib and bbox_visib (x, y, width, height; -1 where nothing is visible)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return {"px_count_visib": 0, "bbox_visib": [-1, -1, -1, -1]}
    x, y = int(columns[0]), int(rows[0])
    box = [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1]
    return {"px_count_visib": int(mask.sum()), "bbox_visib": box}


def _extent(vertices: Tensor) -> dict[str, object]:
    """BOP's diameter, min_* and size_* in millimetres. The diameter is between vertices."""
    points = vertices.detach().cpu().double() * MILLIMETRES
    if not len(points):
        return {}
    lowest, highest = points.min(0).values, points.max(0).values
    extent = {f"min_{axis}": float(lowest[i]) for i, axis in enumerate("xyz")}
    extent |= {f"size_{axis}": float(highest[i] - lowest[i]) for i, axis in enumerate("xyz")}
    return {"diameter": _diameter(points), **extent}


def _diameter(points: Float[Tensor, "v 3"]) -> float:
    chunks = points.split(1024)
    return max(float(torch.cdist(chunk, points).max()) for chunk in chunks)


def _symmetries(symmetry: Symmetry | None) -> dict[str, object]:
    if symmetry is None:
        return {}
    out: dict[str, object] = {}
    if symmetry.discrete:
        scaled = [_float64(motion).copy() for motion in symmetry.discrete]
        for motion in scaled:
            motion[:3, 3] *= MILLIMETRES
        out["symmetries_discrete"] = [motion.ravel().tolist() for motion in scaled]
    if symmetry.continuous:
        out["symmetries_continuous"] = [
            {"axis": _numbers(axis), "offset": [x * MILLIMETRES for x in _numbers(offset)]}
            for axis, offset in symmetry.continuous
        ]
    return out
