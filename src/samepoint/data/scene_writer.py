"""Writes one recording into a BOP scene folder, which appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from torch import Tensor

from samepoint.data.decode import quantise_depth
from samepoint.data.quantile_files import half_metres
from samepoint.data.recording import DepthFile, Mode, Split
from samepoint.errors import DataError
from samepoint.files import clear_disk_errors, write_json

Array = np.ndarray | Tensor
MILLIMETRES = 1000.0


@dataclass(frozen=True)
class WrittenView:
    """A view to write: numpy or torch arrays (`image` and `depth` may also be files, copied as they are).

    `image` uint8 `h w 3` RGB; `depth` metres `h w` (0 or NaN unknown); `labels` uint8 `h w`, 0 background,
    k the visible part of `placements[k - 1]`; a placement is (object_id, camera_from_object 4x4 or None).
    `visible_fractions` (one per placement) is the visible part of each silhouette in [0, 1], if known.
    `depth_quantiles` metres `m h w` (0 or NaN unknown), beside a depth only.
    """

    camera: str
    image: Array | Path
    intrinsics: Array | None = None
    world_from_camera: Array | None = None
    depth: Array | DepthFile | None = None
    labels: Array | None = None
    placements: Sequence[tuple[int, Array | None]] = ()
    visible_fractions: Sequence[float | None] | None = None
    depth_quantiles: Array | None = None


class SceneWriter:
    """Writes one recording into `root/split/NNNNNN`, which appears when `close` is called.

    As a context manager it closes on success and leaves nothing behind on an error. It may live in another
    process than the BopWriter. It refuses a scene that is already there. `take`: see `Recording`.
    """

    def __init__(
        self, root: Path, split: Split, index: int, mode: Mode = "scan", take: str | None = None
    ) -> None:
        self.folder = Path(root) / split / f"{index:06d}"
        if self.folder.exists():
            raise DataError("this scene is already there", where=self.folder, mend="choose another number")
        self.mode: Mode = mode
        self.take = take
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
        native: dict[str, object] = {"mode": self.mode, "moments": self._moments}
        if self.take is not None:
            native["take"] = self.take
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
            camera["cam_K"] = number_list(view.intrinsics)
        if view.depth is not None:
            camera["depth_scale"] = self._write_depth(number, view.depth, size)
        if view.depth_quantiles is not None:
            self._write_quantiles(number, view, size)
        if view.world_from_camera is not None:
            camera.update(
                _pose("cam_R_w2c", "cam_t_w2c", np.linalg.inv(float64_array(view.world_from_camera)))
            )
        self._cameras[str(number)] = camera
        self._add_truth(number, view, size)
        return number

    def _write_image(self, number: int, image: Array | Path) -> tuple[int, int] | None:
        if isinstance(image, Path):
            _copy(image, self._draft / "rgb" / f"{number:06d}{image.suffix.lower()}")
            return None
        pixels = numpy_array(image)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise DataError(f"an image is uint8 h w 3, got {pixels.dtype} {pixels.shape}", where=self.folder)
        _write_png(self._draft / "rgb" / f"{number:06d}.png", pixels[..., ::-1])
        return pixels.shape[0], pixels.shape[1]

    def _write_depth(self, number: int, depth: Array | DepthFile, size: tuple[int, int] | None) -> float:
        path = self._draft / "depth" / f"{number:06d}.png"
        if isinstance(depth, DepthFile):
            _copy(depth.path, path)
            return depth.metres_per_unit * MILLIMETRES
        metres = float64_array(depth)
        if size is not None and metres.shape != size:
            raise DataError(f"depth is {metres.shape}, its image {size}", where=self.folder)
        units, metres_per_unit = quantise_depth(metres)
        _write_png(path, units)
        return metres_per_unit * MILLIMETRES

    def _write_quantiles(self, number: int, view: WrittenView, size: tuple[int, int] | None) -> None:
        assert view.depth_quantiles is not None
        quantiles = numpy_array(view.depth_quantiles)
        if view.depth is None:
            raise DataError("depth quantiles without depth", where=self.folder)
        if quantiles.ndim != 3 or len(quantiles) == 0 or (size is not None and quantiles.shape[1:] != size):
            raise DataError(f"depth quantiles are {quantiles.shape}, their image {size}", where=self.folder)
        path = self._draft / "depth_quantiles" / f"{number:06d}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, half_metres(quantiles))

    def _add_truth(self, number: int, view: WrittenView, size: tuple[int, int] | None) -> None:
        labels = None if view.labels is None else numpy_array(view.labels)
        if labels is not None and size is not None and labels.shape != size:
            raise DataError(f"labels are {labels.shape}, their image {size}", where=self.folder)
        if labels is not None and labels.max(initial=0) > len(view.placements):
            raise DataError(f"label {labels.max()} has no placement", where=self.folder)
        truth: list[dict[str, object]] = []
        info: list[dict[str, object]] = []
        for k, (object_id, camera_from_object) in enumerate(view.placements):
            truth.append({"obj_id": int(object_id)})
            if camera_from_object is not None:
                truth[-1].update(_pose("cam_R_m2c", "cam_t_m2c", float64_array(camera_from_object)))
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


def numpy_array(array: Array) -> np.ndarray:
    return array.detach().cpu().numpy() if isinstance(array, Tensor) else array


def float64_array(array: Array) -> np.ndarray:
    return numpy_array(array).astype(np.float64)


def number_list(array: Array) -> list[float]:
    return float64_array(array).ravel().tolist()


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
