"""The objects in the images of a BOP scene: poses, masks, visible parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from samepoint.data.checks import checked_poses, matrix_from
from samepoint.data.readers.bop.objects import METRES
from samepoint.data.readers.bop.sensors import SensorFiles
from samepoint.data.readers.tally import Tally
from samepoint.data.recording import Placement
from samepoint.files import read_json


def read_placements(
    sensor: SensorFiles, numbers: list[int], tally: Tally
) -> dict[int, tuple[Placement, ...]]:
    """The objects of each image that is there, by its number; `tally` counts what is not used."""
    path, info_path = sensor.table("scene_gt"), sensor.table("scene_gt_info")
    if not path.exists():
        if sensor.mask_folder is not None:
            count = len(sensor.masks)
            tally.add(
                f"masks are not used: no {path.name} says of which objects", sensor.mask_folder, count, count
            )
        return {}
    truth = read_json(path)
    info = read_json(info_path) if info_path.exists() else {}
    masks = sensor.masks
    entries = [(n, k, entry) for n in numbers for k, entry in enumerate(truth.get(str(n), ()))]
    poses = _poses(entries, path)
    placements: dict[int, list[Placement]] = {}
    for n, k, entry in entries:
        visible = info.get(str(n), [])[k].get("visib_fract") if str(n) in info else None
        fraction = None if visible is None else float(visible)
        placement = Placement(int(entry["obj_id"]), poses.get((n, k)), masks.get((n, k)), fraction)
        placements.setdefault(n, []).append(placement)
    _count(sensor, entries, numbers, tally)
    return {n: tuple(found) for n, found in placements.items()}


def _poses(entries: list[tuple[int, int, Any]], path: Path) -> dict[tuple[int, int], Float[Tensor, "4 4"]]:
    """`camera_from_object` of the entries that have one."""
    posed = [(n, k, entry) for n, k, entry in entries if entry.get("cam_R_m2c") is not None]
    names = [f"{path}, image {n}, object {k}" for n, k, _ in posed]
    matrices = [
        matrix_from(entry["cam_R_m2c"], entry["cam_t_m2c"], METRES, name)
        for (_, _, entry), name in zip(posed, names, strict=True)
    ]
    return dict(zip(((n, k) for n, k, _ in posed), checked_poses(matrices, names), strict=True))


def _count(
    sensor: SensorFiles, entries: list[tuple[int, int, Any]], numbers: list[int], tally: Tally
) -> None:
    folder = sensor.mask_folder
    if folder is None:
        return
    masks = sensor.masks
    if not folder.name.startswith("mask_visib"):
        tally.add(
            "masks are whole silhouettes, also where objects are hidden", folder, len(masks), len(masks)
        )
    lacking = sum((n, k) not in masks for n, k, _ in entries)
    tally.add("objects have no mask file", folder, lacking, len(entries))
