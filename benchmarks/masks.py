"""Masks without object poses, beside the same training without masks: python benchmarks/masks.py {log,toy} DATA OUT

`log`: rendered scans of one object or two on a table with other things, written as logs of
pytorch-dense-correspondence (one mask a log, several objects as "a+b"; no object has a pose), imported, trained with
`samepoint train don`'s defaults, and asked about the masked objects in new scenes, within a scene and across scenes
(by the renderer's poses).
`toy`: a plush fox that is thrown anew in every moment of four synchronised cameras, with depth and a mask.

Each is trained for --steps steps (of two pairs, long side 128) with masks and with `--sampling.no-masks` (points
anywhere), from the same weights and seeds. Runs that are in OUT already are not trained again. Results:
benchmarks/results/masks-PART.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import cv2
import numpy as np
import torch
import yaml

from samepoint.bench.machine import commit, machine
from samepoint.data.augmentation import Augmentation, augment_pairs
from samepoint.data.bop_writer import BopWriter, ObjectMesh
from samepoint.data.decode import decode_view
from samepoint.data.importers import import_dataset
from samepoint.data.make_pairs import make_pairs
from samepoint.data.open import open_dataset
from samepoint.data.pairs import read_pairs, write_pairs
from samepoint.data.recording import Dataset, Recording, View
from samepoint.data.sampling import PairSource
from samepoint.data.scene_writer import WrittenView
from samepoint.data.store import FrameStore
from samepoint.evaluation.evaluate import EvaluationSettings
from samepoint.files import write_json
from samepoint.recipes.don import Don
from samepoint.sim.cell.cameras import cell_cameras, vertical_view
from samepoint.sim.cell.plush import plush
from samepoint.sim.cell.stage import build_stage, clear_table, place_beside
from samepoint.sim.pool import stream
from samepoint.sim.render import render_dataset
from samepoint.sim.renderer import Renderer, exposed, intrinsics
from samepoint.sim.settings import RenderSettings
from samepoint.sim.workers import graphics
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.evaluation import evaluate_run
from samepoint.workflows.training import train

RESULTS = Path(__file__).parent / "results"
LOGS = RenderSettings(
    families=("shoe", "cap", "mug", "drill"),
    views=24,
    size=(144, 192),
    split_scenes=(12, 0, 6),
    instances=(1, 1, 1),
    objects_per_scene=(1, 2),
    distractors=(2, 3),
    same_objects=True,
    close_ups=0.0,
    workers=1,
)
SIZE, CAMERAS, MOMENTS, DISTRACTORS, SEED = (144, 192), 4, {"train": 60, "test": 15}, 3, 11
"""Of the toy."""
BATCH, LONG_SIDE = 2, 128
"""Pairs a step and pixels of the training images: a step takes about a second on a core. Asked about at full size."""
BATCHES = 50
"""Batches of which the points are counted."""
PAIRS = 60
WAYS = {"masks": "with masks", "none": "without masks"}


# ---- logs


def logs(data: Path) -> None:
    """DATA/rendered, the same as logs in DATA/pdc, and these imported into DATA/imported; DATA/*.json are pairs."""
    render_dataset(data / "rendered", LOGS)
    rendered = open_dataset(data / "rendered")
    configuration = write_logs(rendered.split("train"), data / "pdc")
    import_dataset("pdc", configuration, data / "imported")
    for name, crossing in (("within scenes", False), ("across scenes", True)):
        made = make_pairs(rendered.split("test"), number=PAIRS, cross_scene=crossing)
        write_pairs(data / f"{name}.json", made)


def write_logs(dataset: Dataset, root: Path) -> Path:
    """Every recording as a log; a configuration for each set of objects, and one of all of these."""
    listed: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for number, recording in enumerate(dataset.recordings):
        name = f"2018-04-16-14-25-{number:02d}"
        write_log(recording, root / "logs_proto" / name / "processed")
        shown = {p.object_id for view in recording.views() for p in view.placements}
        listed[tuple(sorted(f"{dataset.objects[n].family}_{n}" for n in shown))].append(name)
    files: dict[str, list[str]] = {"single_object": [], "multi_object": []}
    for names, of in listed.items():
        kind = "single_object" if len(names) == 1 else "multi_object"
        objects = {"object_id": names[0]} if len(names) == 1 else {"object_id_list": list(names)}
        files[kind].append(f"{'_'.join(names)}.yaml")
        _write_yaml(root / "config" / kind / files[kind][-1], {**objects, "train": of, "test": []})
    composite = {f"{kind}_scenes_config_files": of for kind, of in files.items()}
    path = root / "config" / "composite" / "all.yaml"
    _write_yaml(path, {"logs_root_path": "logs_proto", **composite})
    return path


def write_log(recording: Recording, folder: Path) -> None:
    for name in ("images", "image_masks", "rendered_images"):
        (folder / name).mkdir(parents=True)
    poses: dict[int, Any] = {}
    for number, view in enumerate(recording.views()):
        arrays, stem = decode_view(view), f"{number:06d}"
        assert arrays.depth is not None
        assert arrays.labels is not None
        assert arrays.metres_per_unit is not None
        depth = np.rint(arrays.depth * arrays.metres_per_unit * 1000).astype(np.uint16)
        cv2.imwrite(str(folder / "images" / f"{stem}_rgb.png"), arrays.image[..., ::-1])
        cv2.imwrite(str(folder / "rendered_images" / f"{stem}_depth.png"), depth)
        cv2.imwrite(str(folder / "image_masks" / f"{stem}_mask.png"), (arrays.labels > 0).astype(np.uint8))
        poses[number] = _pose_entry(view, stem)
        if number == 0:
            assert view.intrinsics is not None
            _write_yaml(folder / "images" / "camera_info.yaml", {
                "camera_matrix": {"cols": 3, "rows": 3, "data": view.intrinsics.flatten().tolist()},
                "image_height": arrays.image.shape[0], "image_width": arrays.image.shape[1],
            })  # fmt: skip
    _write_yaml(folder / "images" / "pose_data.yaml", poses)


def _pose_entry(view: View, stem: str) -> dict[str, Any]:
    assert view.world_from_camera is not None
    pose = view.world_from_camera.double().numpy()
    turn = cv2.Rodrigues(pose[:3, :3])[0][:, 0]
    angle = float(np.linalg.norm(turn))
    axis = np.sin(angle / 2) * turn / max(angle, 1e-9)
    quaternion = {"w": float(np.cos(angle / 2)), **dict(zip("xyz", axis.tolist()))}
    place = dict(zip("xyz", pose[:3, 3].tolist()))
    return {
        "camera_to_world": {"quaternion": quaternion, "translation": place},
        "rgb_image_filename": f"{stem}_rgb.png",
        "timestamp": int(stem) * 33_000_000,
    }


def _write_yaml(path: Path, content: dict[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))


# ---- the toy


def toy(data: Path) -> None:
    """DATA/imported: a recording for training and one for testing, with depth and a mask of the fox, which has no
    pose; DATA/within moments.json: pairs of two cameras."""
    writer = BopWriter(data / "imported")
    nothing = ObjectMesh("fox", torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64))
    number = writer.add_object(nothing)
    for split in ("train", "test"):
        with writer.scene(split, 0, "rig") as scene:
            for moment, views in enumerate(moments(split, number)):
                scene.add_moment(views, time=float(moment), sync_group=str(moment))
    writer.close()
    test = open_dataset(data / "imported").split("test")
    write_pairs(data / "within moments.json", make_pairs(test, number=PAIRS))


def moments(split: str, number: int) -> Iterator[list[WrittenView]]:
    """What the cameras see of each moment."""
    mujoco, context = graphics()
    actor, which = plush(SEED), 0 if split == "train" else 2
    world = build_stage(
        mujoco, "plush", actor, stream(SEED, 0, "room"), stream(SEED, which, "distractors", 0), DISTRACTORS,
        (SIZE[0] * 2, SIZE[1] * 2),
    )  # fmt: skip
    fovy = vertical_view(SIZE)
    renderer = Renderer(mujoco, world.model, context, SIZE, 2)
    height = int(world.model.joint("chest").qposadr[0]) + 2
    for moment in range(MOMENTS[split]):
        clear_table(world)
        actor.act(world, stream(SEED, which, "moment", 0, moment))
        place_beside(world, stream(SEED, which, "places", 0, moment), world.things)
        poses = cell_cameras(stream(SEED, 0, "cameras"), CAMERAS)
        shots = [renderer.shoot(world.data, pose, fovy) for pose in poses]
        world.data.qpos[height] += 50.0  # away: what is farther without it is the fox
        mujoco.mj_forward(world.model, world.data)
        behind = [renderer.measure(world.data, pose, fovy)[1] for pose in poses]
        yield [
            WrittenView(
                f"cam{k}", exposed(shot.image, 0.47), intrinsics(fovy, SIZE), pose, shot.depth,
                (np.abs(far - shot.depth) > 1e-4).astype(np.uint8), [(number, None)],
            )
            for k, (shot, far, pose) in enumerate(zip(shots, behind, poses))
        ]  # fmt: skip
    renderer.close()


# ---- training


def recipe(way: str) -> Don:
    don = Don()
    return replace(don, sampling=replace(don.sampling, pairs=BATCH, masks=way == "masks"))


def counted(data: Path, way: str) -> dict[str, float]:
    """Of points that are trained on: the share on masks in A and in B; of images: the share whose background is
    replaced (no other change being made)."""
    dataset = open_dataset(data / "imported").split("train")
    source = PairSource(FrameStore(dataset, max_size=None), recipe(way).sampling)
    generator = torch.Generator().manual_seed(0)
    still = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, background=Augmentation().background)
    on_a, on_b, replaced = [], [], []
    for _ in range(BATCHES * source.sampling.pairs):
        a, b, matches = source.draw(generator)
        rows = matches.found.visible
        for frame, uv, into in ((a, matches.found.uv_a, on_a), (b, matches.found.uv_b, on_b)):
            at = (uv[rows] + 0.5).long()
            assert frame.labels is not None
            into.append((frame.labels[at[:, 1], at[:, 0]] > 0).float())
    for _ in range(BATCHES):
        batch = source.sample(generator)
        changed = augment_pairs(batch, still, generator)
        for before, after in ((batch.image_a, changed.image_a), (batch.image_b, changed.image_b)):
            replaced += ((after - before).abs().mean((1, 2, 3)) > 0.01).tolist()
    return {
        "points": float(sum(map(len, on_a))),
        "on_masks_a": float(torch.cat(on_a).mean()),
        "on_masks_b": float(torch.cat(on_b).mean()),
        "backgrounds_replaced": float(np.mean(replaced)),
    }


def cell(data: Path, run: Path, way: str, seed: int, steps: int) -> dict[str, Any]:
    if not (run / "metrics.json").is_file():
        shutil.rmtree(run, ignore_errors=True)
        settings = TrainingSettings(steps=steps, seed=seed, device="cpu", workers=0)
        train(recipe(way), data / "imported", run, settings, size=LONG_SIDE)
    scored = {}
    for file in sorted(data.glob("*.json")):
        settings = EvaluationSettings(closer=False)
        row = evaluate_run(run, read_pairs(file), baselines=False, settings=settings).to_json()
        scored[file.stem] = {"pck": row["pck"], "intervals": row["intervals"]["pck"]}
    return scored


def studied(part: str, data: Path, out: Path, steps: int, seeds: Sequence[int]) -> dict[str, Any]:
    if not any(data.glob("*.json")):
        {"log": logs, "toy": toy}[part](data)
    counts = {title: counted(data, way) for way, title in WAYS.items()}
    print(json.dumps(counts, indent=1), flush=True)
    rows: dict[str, dict[str, Any]] = defaultdict(dict)
    for seed in seeds:
        for way, title in WAYS.items():
            for asked, found in cell(data, out / f"{part} {way} {seed}", way, seed, steps).items():
                rows[asked].setdefault(title, {})[f"seed {seed}"] = found
                print(asked, title, seed, found["pck"], flush=True)
    return {"points": counts, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("log", "toy"))
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    about = {"machine": machine(), "commit": commit()}
    found = studied(options.part, options.data, options.out, options.steps, options.seeds)
    seeds = " ".join(map(str, options.seeds))
    command = f"python benchmarks/masks.py {options.part} DATA OUT --steps {options.steps} --seeds {seeds}"
    content = {"command": command, **about, **found}
    write_json(RESULTS / f"masks-{options.part}.json", json.loads(json.dumps(content)), indent=1)


if __name__ == "__main__":
    main()
