"""How often the doctor calls an exact recording wrong, and how often it finds a planted fault.

    python -m benchmarks.doctor [--scenes 0 270] [--planted 9] [--name after] [--out FILE.json]

*Exact*: recordings of `exact_scenes`, of 18 textures and six forms; a verdict "fault" is a false alarm. *Planted*:
each fault of the tests, at their strengths, in scans that show enough to find it (14 views, boxes, 120 to 240 lines),
one a texture, and in the scene of the tests. A fault counts as found if the check it belongs to says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import cv2
import numpy as np
import torch
from benchmarks.exact_scenes import Scene, scene, write
from tests.data.doctor import scene as plant

from samepoint.bench.machine import provenance
from samepoint.errors import DataError
from samepoint.files import write_json
from samepoint.workflows.doctoring import examine

RESULT = Path(__file__).parent / "results" / "doctor.json"
Fault = tuple[str, Callable[[Path], None]]


def _shift(share: float) -> Callable[[Path], None]:
    """Colour moved by this share of the width."""

    def change(root: Path) -> None:
        width = cv2.imread(str(next((root / "color").iterdir()))).shape[1]
        plant.shifted(root, round(share * width))

    return change


def _half_depth(root: Path) -> None:
    plant.depths(root, lambda depth: depth[::2, ::2])


def _hardly(root: Path) -> None:
    plant.depths(root, lambda depth: np.where(np.arange(depth.size).reshape(depth.shape) % 100, 0, depth))


FAULTS: dict[str, Fault] = {
    "inverted poses": ("poses", plant.inverted),
    "OpenGL axes": ("poses", plant.opengl),
    "inverted OpenGL poses": ("poses", plant.inverted_opengl),
    "mirrored rotations": ("rotations", plant.mirrored),
    "poses in millimetres": ("depth unit", plant.millimetres),
    "depth unit x 1000": ("depth unit", lambda root: plant.unit(root, 1000)),
    "depth unit x 5": ("depth unit", lambda root: plant.unit(root, 5)),
    "depth unit x 0.2": ("depth unit", lambda root: plant.unit(root, 0.2)),
    "poses one frame late": ("sync", plant.late),
    "poses two frames early": ("sync", lambda root: plant.late(root, -2)),
    "length of the ray": ("depth along", plant.ray_length),
    "intrinsics of half the size": ("intrinsics", lambda root: plant.resized_camera(root, 0.5)),
    "intrinsics of twice the size": ("intrinsics", lambda root: plant.resized_camera(root, 2.0)),
    "65535 for unknown": ("depth values", plant.saturated),
    "10000 for unknown": ("depth values", lambda root: plant.saturated(root, 10000)),
    "depth of half the size": ("depth values", _half_depth),
    "depth hardly known": ("depth values", _hardly),
    "colour 1/20 to the right": ("registration", _shift(0.05)),
    "colour 1/20 to the left": ("registration", _shift(-0.05)),
    "colour 1/40 to the right": ("registration", _shift(0.025)),
}


def verdicts(root: Path) -> dict[str, Any]:
    """What the doctor says: the verdict of each check and the sentences of the faults."""
    try:
        done = examine(root)
    except DataError as error:
        return {"verdicts": {"refused": "fault"}, "faults": {"refused": str(error)}}
    order = ("not applicable", "right", "undecided", "fault")
    said: dict[str, str] = {}
    for finding in done.findings:
        said[finding.check] = max(said.get(finding.check, order[0]), finding.verdict, key=order.index)
    return {"verdicts": said, "faults": {f.check: f"{f.sentence} [{f.fix}]" for f in done.faults}}


def exact(numbers: range, folder: Path) -> dict[str, Any]:
    """False alarms by kind, and all verdicts, over scenes of these numbers."""
    alarms, said, cases, forms = Counter(), {}, [], Counter()
    for k in numbers:
        made = scene(k)
        root = write(made, folder / "exact")
        found = verdicts(root)
        shutil.rmtree(root)
        forms[made.form] += 1
        for check, verdict in found["verdicts"].items():
            said.setdefault(check, Counter())[verdict] += 1
        alarms.update(found["faults"].keys())
        if found["faults"]:
            height, width = made.size
            cases.append(
                {"scene": k, "form": made.form, "texture": made.texture, "size": f"{width}x{height}"}
                | {"views": made.views, "path": made.path, "boxes": len(made.boxes)}
                | {"faults": found["faults"]}
            )
            print(cases[-1], flush=True)
    return {
        "recordings": len(numbers),
        "forms": dict(forms),
        "with a false alarm": len(cases),
        "false alarms": dict(sorted(alarms.items())),
        "verdicts": {check: dict(counts) for check, counts in said.items()},
        "cases": cases,
    }


def telling(k: int) -> Scene:
    """A scan that shows enough to find any fault: it has relief, and the camera moves."""
    draw = np.random.default_rng(5000 + k)
    boxes = (
        ((-0.15, -0.11, 0.0), (-0.03, 0.04, float(draw.uniform(0.1, 0.2)))),
        ((0.03, -0.05, 0.0), (0.14, 0.10, float(draw.uniform(0.06, 0.25)))),
        ((-0.07, 0.08, 0.0), (0.02, 0.15, float(draw.uniform(0.04, 0.1)))),
    )
    return replace(
        scene(k),
        form="frames",
        alike=False,
        size=((120, 160), (180, 240), (240, 320))[k % 3],
        views=14,
        path=("round", "wave")[k % 2],
        span=float(draw.uniform(1.2, 2.2)),
        boxes=boxes,
        scale=1.0,
        holes=0.05,
        field=0.94,
    )


def planted(number: int, folder: Path) -> dict[str, Any]:
    """How many of each fault are found, of how many; and faults that other checks speak of besides."""
    bases = {"tests": plant.write_scene(folder / "tests")}
    for k in range(number):
        made = telling(k)
        bases[made.texture if made.texture not in bases else f"{made.texture} {k}"] = write(
            made, folder / f"base{k}"
        )
    found: dict[str, list[str]] = {name: [] for name in FAULTS}
    others: dict[str, Counter[str]] = {name: Counter() for name in FAULTS}
    for base, root in bases.items():
        for name, (check, change) in FAULTS.items():
            copy = shutil.copytree(root, folder / "planted")
            change(copy)
            faults = verdicts(copy)["faults"]
            shutil.rmtree(copy)
            if check in faults:
                found[name].append(base)
            others[name].update(set(faults) - {check})
        print(base, {name: base in which for name, which in found.items() if base not in which}, flush=True)
    rows = {
        name: {
            "found": len(which),
            "of": len(bases),
            "missed": sorted(set(bases) - set(which)),
            "others": dict(others[name]),
        }
        for name, which in found.items()
    }
    return {
        "bases": len(bases),
        "found": sum(map(len, found.values())),
        "of": len(bases) * len(FAULTS),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, nargs=2, default=(0, 270), metavar=("FIRST", "END"))
    parser.add_argument("--planted", type=int, default=9)
    parser.add_argument("--name", default="after", help="under which the result stands in the file")
    parser.add_argument("--out", type=Path, default=RESULT)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    content = provenance(" ".join(["python -m benchmarks.doctor", *sys.argv[1:]]), settings.out)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        if settings.scenes[1] > settings.scenes[0]:
            content["exact"] = exact(range(*settings.scenes), Path(scratch))
        if settings.planted:
            content["planted"] = planted(settings.planted, Path(scratch))
    content["seconds"] = round(time.monotonic() - started)
    every = json.loads(settings.out.read_text()) if settings.out.is_file() else {}
    write_json(settings.out, every | {settings.name: content}, indent=1)
    for part in ("exact", "planted"):
        shown = {k: v for k, v in content.get(part, {}).items() if k not in ("cases", "rows")}
        print(part, shown)
    for name, row in content.get("planted", {}).get("rows", {}).items():
        print(f"| {name} | {row['found']} of {row['of']} |", row["missed"], row["others"])


if __name__ == "__main__":
    main()
