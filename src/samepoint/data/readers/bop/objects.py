"""The objects of a BOP data set: meshes, diameters, symmetries, and what samepoint.json adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from samepoint.data.checks import checked_poses, numbers
from samepoint.data.recording import ObjectModel, Symmetry
from samepoint.errors import DataError
from samepoint.files import read_json
from samepoint.reading import matching

METRES = 0.001
"""BOP's meshes, translations and offsets are in millimetres."""


def read_native_header(root: Path) -> dict[str, Any]:
    """The content of samepoint.json; empty in a foreign data set."""
    path = root / "samepoint.json"
    if not path.exists():
        return {}
    header = read_json(path)
    if not isinstance(header, dict) or header.get("format") != "samepoint-bop":
        raise DataError('is not a data set header ("format" is not "samepoint-bop")', where=path)
    if header.get("version") != 1:
        mend = "update samepoint, or write the data set again"
        raise DataError(f"has version {header.get('version')}; this program reads 1", where=path, mend=mend)
    return header


def read_objects(root: Path, header: dict[str, Any]) -> dict[int, ObjectModel]:
    """All objects that have a mesh, an entry in models_info.json or in samepoint.json, by id."""
    folder = _models_folder(root)
    info_path = folder / "models_info.json"
    info = read_json(info_path) if info_path.exists() else {}
    native = header.get("objects", {})
    meshes = {int(path.stem[4:]): path for path in matching(folder, "obj_*.ply") if path.stem[4:].isdigit()}
    objects: dict[int, ObjectModel] = {}
    for object_id in sorted({*meshes, *map(int, info), *map(int, native)}):
        model, extra = info.get(str(object_id), {}), native.get(str(object_id), {})
        keypoints = {
            name: torch.from_numpy(numbers(xyz, 3, root / "samepoint.json")).float()
            for name, xyz in extra.get("keypoints", {}).items()
        }
        objects[object_id] = ObjectModel(
            object_id,
            family=extra.get("family"),
            mesh=meshes.get(object_id),
            metres_per_unit=METRES,
            keypoints=keypoints,
            symmetry=_symmetry(model, f"{info_path}, object {object_id}"),
            diameter=model["diameter"] * METRES if "diameter" in model else None,
        )
    return objects


def _models_folder(root: Path) -> Path:
    """`models`, or where it is missing the first of models_cad, models_eval ..."""
    others = sorted(p for p in matching(root, "models_*") if p.is_dir())
    return root / "models" if (root / "models").is_dir() or not others else others[0]


def _symmetry(model: dict[str, Any], where: str) -> Symmetry | None:
    discrete = [numbers(m, 16, where).reshape(4, 4).copy() for m in model.get("symmetries_discrete", ())]
    for matrix in discrete:
        matrix[:3, 3] *= METRES
    continuous = tuple(
        (
            torch.from_numpy(numbers(s.get("axis"), 3, where)).float(),
            torch.from_numpy(numbers(s.get("offset", (0, 0, 0)), 3, where) * METRES).float(),
        )
        for s in model.get("symmetries_continuous", ())
    )
    if not discrete and not continuous:
        return None
    return Symmetry(tuple(checked_poses(discrete, [where] * len(discrete))), continuous)
