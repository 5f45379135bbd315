"""Coloured dots that calibrated cameras see: recordings to train S3K on in a moment, drawn by the tests.

Each moment has two dots, a red and a blue one, somewhere near the origin; four cameras look at it.
"""

import csv

import numpy as np
import torch
from PIL import Image

from samepoint.data.augmentation import Augmentation
from samepoint.data.rig.anipose import write_calibration
from samepoint.data.rig.camera import Camera
from samepoint.geometry.cameras import project
from samepoint.geometry.motions import invert, transform
from samepoint.models.unet import UNetConfig
from samepoint.recipes.s3k import S3k
from samepoint.training.settings import TrainingSettings
from samepoint.workflows.training import train

SIZE, COLOURS = (32, 32), {"red": (255, 60, 60), "blue": (60, 60, 255)}
STILL = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SMALL = S3k(network=UNetConfig((8, 16), 1), labelled=2, unlabelled=2, augmentation=STILL)
FIELDS = {
    "labels": ("moment", "camera", "keypoint", "u", "v"),
    "points": ("moment", "keypoint", "x", "y", "z"),
}


def cameras():
    out = {}
    for c in range(4):
        a = 0.3 + c * np.pi / 2
        eye = 0.8 * np.array([np.cos(a), np.sin(a), 0.6])
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = np.stack([right, np.cross(forward, right), forward], 1), eye
        k = torch.tensor([[40.0, 0, 15.5], [0, 40, 15.5], [0, 0, 1]])
        out[f"cam{c}"] = Camera(f"cam{c}", SIZE, k, torch.from_numpy(pose).float())
    return out


def write_dots(folder, moments, labelled, seed, *, views=4, dots=None):
    """A recording. `labelled`: how many moments have clicks, in the first `views` cameras. `dots`: places to show."""
    generator, rig = np.random.default_rng(seed), cameras()
    for name in rig:
        (folder / name).mkdir(parents=True)
    write_calibration(folder / "calibration.toml", rig)
    rows = {"labels": [], "points": []}
    for m in range(moments):
        places = {name: generator.uniform(-0.16, 0.16, 3) for name in COLOURS}
        for c, (name, camera) in enumerate(rig.items()):
            image = np.full((*SIZE, 3), 90, np.uint8)
            image += generator.integers(0, 30, image.shape, dtype=np.uint8)
            for dot, colour in COLOURS.items():
                xyz = torch.from_numpy(places[dot]).float()[None]
                (u, v), _ = (
                    x[0] for x in project(camera.intrinsics, transform(invert(camera.world_from_camera), xyz))
                )
                rows_, columns = np.mgrid[: SIZE[0], : SIZE[1]]
                image[(rows_ - float(v)) ** 2 + (columns - float(u)) ** 2 < 5] = colour
                if m < labelled and c < views:
                    rows["labels"].append((f"{m:03d}", name, dot, float(u), float(v)))
            Image.fromarray(image).save(folder / name / f"{m:03d}.png")
        rows["points"] += [(f"{m:03d}", dot, *places[dot]) for dot in COLOURS]
    for table, content in rows.items():
        with (folder / f"{table}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([FIELDS[table], *content])
    return folder


def tiny_run(root):
    """ROOT/data with a train and a test recording, and ROOT/run: six steps, which find nothing."""
    write_dots(root / "data" / "train", 8, 4, seed=0)
    write_dots(root / "data" / "test", 5, 5, seed=1)
    settings = TrainingSettings(steps=6, seed=0, device="cpu", workers=0, precision="32-true", log_every=1)
    train(SMALL, root / "data", root / "run", settings, init="random")
    return root / "run"
