"""From raw scans to training data, against the renderer's truth.

    python benchmarks/scans.py render DATA
    python benchmarks/scans.py masks DATA          fused masks against the true ones
    python benchmarks/scans.py occlusion DATA      the occlusion test beside the original one-sided one
    python benchmarks/scans.py training DATA OUT [--minutes 4] [--seeds 0 1 2]
    python benchmarks/scans.py long DATA           500 frames of 640x480

`render` makes the same scans twice, with exact depth and poses, and as a sensor sees them (depth noise that grows
with the distance, holes at edges and at grazing angles, poses off by 2 mm and 0.3 degrees), and fuses the second.
Images are the sensor's in all that is trained. Results: benchmarks/results/scans-NAME.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from torch import Tensor

from samepoint.bench.machine import provenance
from samepoint.correspondence.outcomes import PosedCamera, correspond_by_depth, depth_at
from samepoint.data.decode import image_size
from samepoint.data.make_pairs import make_pairs
from samepoint.data.mesh import load_mesh
from samepoint.data.open import open_dataset
from samepoint.data.pairs import read_pairs, write_pairs
from samepoint.data.partners import PairMixture
from samepoint.data.recording import Dataset, Recording
from samepoint.data.store import Frame, FrameStore
from samepoint.evaluation.evaluate import EvaluationSettings
from samepoint.files import write_json
from samepoint.fusion.open3d import open3d
from samepoint.fusion.views import MeshViews
from samepoint.fusion.volume import Surface
from samepoint.geometry.cameras import rays
from samepoint.geometry.motions import transform
from samepoint.geometry.pixels import in_frame
from samepoint.sim.render import render_dataset
from samepoint.sim.settings import RenderSettings
from samepoint.training.settings import TrainingSettings
from samepoint.types import Outcome, Size
from samepoint.workflows.demonstration import SHORT_RUN
from samepoint.workflows.evaluation import evaluate_run
from samepoint.workflows.fusing import Fusing, fuse_dataset
from samepoint.workflows.training import train

RESULTS = Path(__file__).parent / "results"
SCANS = RenderSettings(
    views=30,
    split_scenes=(24, 0, 8),
    instances=(3, 1, 1),
    objects_per_scene=(2, 4),
    distractors=(0, 0),
    same_objects=True,
    max_yaw=60.0,
    sector=90.0,
)
LONG = replace(
    SCANS, views=500, size=(480, 640), split_scenes=(1, 0, 0), objects_per_scene=(4, 4), noise=True
)
APART, TOUCHING = 0.02, 0.002
"""Metres between the surfaces of two objects."""
SEEN = 50
"""Pixels: smaller masks are not scored."""
ONE_SIDED = 0.003
RIGHT = (0.01, 0.005)
"""Metres between the places that two pixels truly show, for them to be a match."""


def render(data: Path) -> None:
    for name, noise in (("clean", False), ("noisy", True)):
        if not (data / name).is_dir():
            render_dataset(data / name, replace(SCANS, noise=noise), lambda _done, _all: None)
    if not (data / "fused").is_dir():
        fuse_dataset(data / "noisy", data / "fused")
    if not (data / "truth").is_dir():
        truth(data)
    test = open_dataset(data / "clean").split("test")
    write_pairs(data / "pairs.json", make_pairs(test, number=60))


def truth(data: Path) -> None:
    """The sensor's images with true depth, poses and masks."""
    shutil.copytree(data / "clean", data / ".truth")
    for images in sorted((data / "noisy").glob("*/*/rgb")):
        shutil.copytree(images, data / ".truth" / images.relative_to(data / "noisy"), dirs_exist_ok=True)
    (data / ".truth").rename(data / "truth")


# ---- what is truly there


@dataclass(frozen=True)
class TrueScene:
    """The meshes of a scan where they truly are, in the world of the true cameras, and the table (z = 0)."""

    scene: Any
    gaps: dict[int, float]
    """Metres from each object to the nearest other one."""

    def at(self, frame: Frame, uv: Tensor) -> Tensor:
        """The point of the world (`n 3`) that each pixel truly shows; `frame` has the true camera."""
        assert frame.intrinsics is not None
        assert frame.view.world_from_camera is not None
        pose = frame.view.world_from_camera
        ways = rays(frame.intrinsics, uv) @ pose[:3, :3].T
        cast = torch.cat((pose[:3, 3].expand_as(ways), ways), dim=-1).numpy().astype(np.float32)
        far = self.scene.cast_rays(open3d().core.Tensor(cast))["t_hit"].numpy()
        return pose[:3, 3] + ways * torch.from_numpy(far)[:, None]


def true_scene(dataset: Dataset, recording: Recording) -> TrueScene:
    first = next(recording.views())
    assert first.world_from_camera is not None
    vertices, triangles, alone = [], [], {}
    for placement in first.placements:
        assert placement.camera_from_object is not None
        mesh = load_mesh(dataset.objects[placement.object_id])
        world = transform(first.world_from_camera @ placement.camera_from_object, mesh.vertices).numpy()
        triangles.append(mesh.faces.numpy() + sum(map(len, vertices)))
        vertices.append(world)
        alone[placement.object_id] = (
            world,
            MeshViews(surface(world, mesh.faces.numpy()), np.zeros(len(mesh.faces), dtype=np.int64)),
        )
    gaps = {
        number: min(
            (float(other.distance(mine).min()) for k, (_, other) in alone.items() if k != number), default=9.0
        )
        for number, (mine, _) in alone.items()
    }
    triangles.append(np.array([[0, 1, 2], [0, 2, 3]]) + sum(map(len, vertices)))
    vertices.append(np.array([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]], dtype=np.float32))
    whole = surface(np.concatenate(vertices), np.concatenate(triangles))
    scene, tensor = open3d().t.geometry.RaycastingScene(), open3d().core.Tensor
    scene.add_triangles(tensor(whole.vertices), tensor(whole.triangles.astype(np.uint32)))
    return TrueScene(scene, gaps)


def surface(vertices: np.ndarray, triangles: np.ndarray) -> Surface:
    return Surface(
        vertices.astype(np.float32), triangles.astype(np.int32), np.zeros_like(vertices, dtype=np.float32)
    )


# ---- masks


def masks(data: Path) -> dict[str, Any]:
    """IoU of every mask with the fused object that overlaps its object most over the whole scan."""
    noisy, fused, clean = (open_dataset(data / name) for name in ("noisy", "fused", "clean"))
    stores = [FrameStore(dataset, max_size=None, budget_bytes=0) for dataset in (noisy, fused)]
    rows: list[dict[str, Any]] = []
    for r, recording in enumerate(noisy.recordings):
        gaps = true_scene(clean, clean.recordings[r]).gaps
        at = [i for i, (of, _, _) in enumerate(stores[0].index) if of == r]
        labels = [(stores[0][i].labels, stores[1][i].labels) for i in at]
        for k, placement in enumerate(next(recording.views()).placements):
            pairs = [(a == k + 1, b) for a, b in labels if a is not None and b is not None]
            shown = [(mask, found) for mask, found in pairs if int(mask.sum()) >= SEEN]
            number = len(next(fused.recordings[r].views()).placements)
            hits = [sum(int((found[mask] == j + 1).sum()) for mask, found in shown) for j in range(number)]
            best = int(np.argmax(hits)) + 1 if hits else -1
            ious = [
                float((mask & (found == best)).sum() / (mask | (found == best)).sum())
                for mask, found in shown
            ]
            model = clean.objects[placement.object_id]
            rows.append({"scan": r, "family": model.family, "gap_m": gaps[placement.object_id], "iou": ious})
    kinds = {
        "apart (2 cm or more)": [row for row in rows if row["gap_m"] >= APART],
        "near": [row for row in rows if TOUCHING <= row["gap_m"] < APART],
        "touching (under 2 mm)": [row for row in rows if row["gap_m"] < TOUCHING],
    }
    table = {}
    for kind, of in kinds.items():
        ious = np.concatenate([row["iou"] for row in of])
        per_object = [np.median(row["iou"]) for row in of]
        table[kind] = {
            "objects": len(of),
            "masks": len(ious),
            "median": float(np.median(ious)),
            "tenth": float(np.quantile(ious, 0.1)),
            "objects_over_half": float(np.mean(np.array(per_object) > 0.5)),
        }
        print(
            f"| {kind} | "
            + " | ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in table[kind].values())
            + " |"
        )
    of_family = {
        f: [i for row in kinds["apart (2 cm or more)"] if row["family"] == f for i in row["iou"]]
        for f in SCANS.families
    }
    return {"table": table, "apart_by_family": {f: float(np.median(v)) for f, v in of_family.items() if v}}


# ---- occlusion


def occlusion(data: Path, points: int = 200) -> dict[str, Any]:
    """Which matches of points on objects are declared, and which are right: B's pixel truly shows what A's pixel does
    (rays at the true meshes), to a centimetre or to 5 mm."""
    clean = open_dataset(data / "clean")
    scenes = [true_scene(clean, recording) for recording in clean.recordings]
    exact = FrameStore(clean, max_size=None, budget_bytes=0)
    table: dict[str, Any] = {}
    for name, title in (("clean", "exact depth"), ("noisy", "sensor"), ("fused", "sensor, fused depth")):
        store = FrameStore(open_dataset(data / name), max_size=None, budget_bytes=0)
        generator = torch.Generator().manual_seed(0)
        said: dict[str, list[Tensor]] = {"ours, two-sided": [], "one-sided 3 mm": []}
        errors: list[Tensor] = []
        for r, scene in enumerate(scenes):
            at = [i for i, (of, _, _) in enumerate(store.index) if of == r]
            order = torch.randperm(len(at), generator=generator).tolist()
            for i, j in pairwise([at[k] for k in order]):
                drawn = _points(exact[i], store[i], points, generator)
                uv_b, declared = _declared(store[i], store[j], drawn)
                inside = in_frame(uv_b, _size(exact[j]))
                errors.append((scene.at(exact[i], drawn) - scene.at(exact[j], uv_b)).norm(dim=-1)[inside])
                for test, judged in declared.items():
                    said[test].append(judged[inside])
        error = torch.cat(errors).nan_to_num(torch.inf)
        for test, parts in said.items():
            chosen = torch.cat(parts)
            row: dict[str, float] = {"points": len(error)}
            for limit in RIGHT:
                hit = float((chosen & (error <= limit)).sum())
                row[f"precision, {1000 * limit:g} mm"] = hit / float(chosen.sum())
                row[f"recall, {1000 * limit:g} mm"] = hit / float((error <= limit).sum())
            table.setdefault(title, {})[test] = row
            print(f"| {title} | {test} | " + " | ".join(f"{v:.4g}" for v in row.values()) + " |", flush=True)
    return {"table": table}


def _points(exact: Frame, frame: Frame, number: int, generator: torch.Generator) -> Tensor:
    """Pixels truly on objects whose depth is known to the sensor as well."""
    assert exact.labels is not None
    assert frame.depth is not None
    inside = ((exact.labels > 0) & (frame.depth > 0)).flatten().nonzero()[:, 0]
    if not len(inside):
        return torch.zeros(0, 2)
    chosen = inside[torch.randint(len(inside), (number,), generator=generator)]
    width = exact.labels.shape[1]
    return torch.stack((chosen % width, chosen // width), dim=-1).float()


def _size(frame: Frame) -> Size:
    return frame.image.shape[1], frame.image.shape[2]


def _declared(a: Frame, b: Frame, uv: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Where the points are in B, and which of them each test calls visible there."""
    cameras = []
    for frame in (a, b):
        assert frame.intrinsics is not None
        assert frame.view.world_from_camera is not None
        cameras.append(PosedCamera(frame.intrinsics, frame.view.world_from_camera, _size(frame)))
    assert a.depth is not None
    assert b.depth is not None
    found = correspond_by_depth(uv, depth_at(a.depth, uv), cameras[0], cameras[1], b.depth)
    inside = found.outcome != Outcome.OUT_OF_FRAME
    at = torch.where(
        inside[:, None] & found.uv_b.isfinite(), found.uv_b, torch.zeros(1)
    ).long()  # cut off, as there
    there = b.depth[at[:, 1].clamp(0, b.depth.shape[0] - 1), at[:, 0].clamp(0, b.depth.shape[1] - 1)]
    one_sided = inside & (there > 0) & (there >= found.depth_b - ONE_SIDED)
    return found.uv_b, {"ours, two-sided": found.visible, "one-sided 3 mm": one_sided}


# ---- training


@dataclass(frozen=True)
class Cell:
    data: Path
    run: Path
    seed: int
    minutes: float
    pairs: Path


WAYS = {"fused": "fused masks and depth", "truth": "true masks, depth and poses"}


def training(data: Path, out: Path, minutes: float, seeds: Sequence[int], parallel: int) -> dict[str, Any]:
    cells = [
        Cell(data / way, out / f"{way} {seed}", seed, minutes, data / "pairs.json")
        for seed in seeds
        for way in WAYS
    ]
    with ProcessPoolExecutor(parallel, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        rows = list(pool.map(train_cell, cells))
    table: dict[str, Any] = {}
    for way, title in WAYS.items():
        of = [row for cell, row in zip(cells, rows) if cell.data.name == way]
        table[title] = {k: [row["pck"][k] for row in of] for k in of[0]["pck"]}
        means = " | ".join(f"{np.mean(v):.3f} ({min(v):.3f} to {max(v):.3f})" for v in table[title].values())
        print(f"| {title} | {means} |")
    intervals = {f"{cell.data.name} {cell.seed}": row["intervals"]["pck"] for cell, row in zip(cells, rows)}
    return {"table": table, "intervals_of_pairs": intervals}


def train_cell(cell: Cell) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if not (cell.run / "metrics.json").is_file():
        sampling = replace(SHORT_RUN.sampling, pairs=4, mixture=PairMixture(within=1.0, across=0.0))
        settings = TrainingSettings(
            minutes=cell.minutes, seed=cell.seed, device="cpu", workers=0, lr=3e-3, precision="auto"
        )
        train(
            replace(SHORT_RUN, sampling=sampling),
            cell.data,
            cell.run,
            settings,
            init="auto",
            resume=cell.run.is_dir(),
        )
    settings = EvaluationSettings(closer=False)
    return evaluate_run(cell.run, read_pairs(cell.pairs), baselines=False, settings=settings).to_json()


# ---- 500 frames


def long(data: Path) -> dict[str, Any]:
    """Time and memory of fusing 125 and 500 of the frames, each in a process of its own."""
    if not (data / "long").is_dir():
        render_dataset(data / "long", LONG)
    rows = []
    for frames in (125, 500):
        script = (
            "import resource, sys; from pathlib import Path\n"
            "from samepoint.data.open import open_dataset\n"
            "from samepoint.fusion.frames import usable_views; from samepoint.fusion.scene import fuse_scene\n"
            "from samepoint.fusion.settings import FusionSettings\n"
            "views = usable_views(open_dataset(Path(sys.argv[1])).recordings[0])\n"
            "scene = fuse_scene(views[:: len(views) // int(sys.argv[2])], FusionSettings())\n"
            "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "print(scene.number, len(scene.surface.vertices), peak / 1024)"
        )
        began = time.perf_counter()
        command = [sys.executable, "-c", script, os.fspath(data / "long"), str(frames)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        row = {
            "frames": frames,
            "seconds": time.perf_counter() - began,
            "objects": int(printed[-3]),
            "vertices": int(printed[-2]),
            "peak_mib_of_the_process": float(printed[-1]),
        }
        rows.append(row)
        print(row, flush=True)
    began = time.perf_counter()
    target = data / "long-fused"
    shutil.rmtree(target, ignore_errors=True)
    fuse_dataset(data / "long", target, Fusing(), lambda _line: None)
    whole = time.perf_counter() - began
    print(f"samepoint data fuse, 500 frames, written: {whole:.0f} s")
    return {
        "rows": rows,
        "fuse_and_write_seconds": whole,
        "image_size": image_size(next(iter((data / "long").glob("train/*/rgb/*")))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("render", "masks", "occlusion", "training", "long"))
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--parallel", type=int, default=2)
    options = parser.parse_args()
    if options.what == "render":
        render(options.data)
        return
    if options.what == "training":
        if options.out is None:
            parser.error("training needs OUT, a folder for its runs")
        found = training(options.data, options.out, options.minutes, options.seeds, options.parallel)
        command = f"training DATA OUT --minutes {options.minutes:g} --seeds " + " ".join(
            map(str, options.seeds)
        )
    else:
        found = {"masks": masks, "occlusion": occlusion, "long": long}[options.what](options.data)
        command = f"{options.what} DATA"
    result = RESULTS / f"scans-{options.what}.json"
    runs = [] if options.out is None else [options.out]
    content = {**provenance(f"python benchmarks/scans.py {command}", result, runs=runs), **found}
    write_json(result, json.loads(json.dumps(content)), indent=1)


if __name__ == "__main__":
    main()
