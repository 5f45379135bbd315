"""Flat discs on a table (z = 0), drawn exactly: scans and moments of several cameras, with masks or poses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch

from samepoint.data.recording import (
    Dataset,
    DepthFile,
    Moment,
    ObjectModel,
    Placement,
    Recording,
    View,
)

SIZE = (36, 48)
K = torch.tensor([[48.0, 0.0, 23.5], [0.0, 48.0, 17.5], [0.0, 0.0, 1.0]])
RADIUS = 0.06
COLOURS = ((90, 90, 90), (200, 60, 60), (60, 200, 60), (60, 60, 200))


def camera(x=0.0, y=0.0, height=0.5):
    """World from a camera that looks straight down."""
    pose = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    pose[:3, 3] = torch.tensor([x, y, height])
    return pose


CAMERAS = (camera(), camera(0.04, 0.02), camera(-0.03, 0.03, 0.55), camera(0.02, -0.04, 0.45))


def world_at(view, uv):
    """Where on the table the pixels lie, metres (`n 2`)."""
    pose = view.world_from_camera
    ray = torch.cat(((uv - K[:2, 2]) / K[0, 0], torch.ones(len(uv), 1)), 1) @ pose[:3, :3].T
    return (pose[:3, 3] - ray * (pose[2, 3] / ray[:, 2:]))[:, :2]


@dataclass
class Discs:
    """Draws views into `folder`. `masks`, `poses`: whether objects (or which) have them."""

    folder: object
    count: int = 0
    objects: dict = field(default_factory=dict)

    def view(self, places, pose=CAMERAS[0], *, masks=True, poses=False, name="cam0", depth=True, shrink=0.0):
        """`places`: object number to the middle of its disc. `shrink`: metres that masks lack at the left."""
        self.count += 1
        stem = self.folder / f"{self.count:04d}"
        at = world_at(View("", stem, world_from_camera=pose), pixels()).numpy()
        image, placements = np.full((*SIZE, 3), COLOURS[0], np.uint8), []
        for number, middle in places.items():
            inside = (np.linalg.norm(at - middle, axis=1) < RADIUS).reshape(SIZE)
            image[inside] = COLOURS[number % 4]
            mask = None
            if masks is True or (masks and number in masks):
                mask = stem.with_name(f"{stem.name}_mask_{number}.png")
                kept = inside & (at[:, 0] > middle[0] - RADIUS + shrink).reshape(SIZE)
                cv2.imwrite(str(mask), kept.astype(np.uint8) * 255)
            known = poses is True or (poses and number in poses)
            disc = torch.eye(4)
            disc[:2, 3] = torch.tensor(middle)
            placements.append(Placement(number, torch.linalg.inv(pose) @ disc if known else None, mask))
            self.objects.setdefault(number, ObjectModel(number))
        cv2.imwrite(str(stem.with_suffix(".png")), image)
        file = stem.with_name(f"{stem.name}_depth.png")
        cv2.imwrite(str(file), np.full(SIZE, round(float(pose[2, 3]) * 1e4), np.uint16))
        kept = tuple(p for p in placements if p.mask is not None or p.camera_from_object is not None)
        depth_file = DepthFile(file, 1e-4) if depth else None
        return View(name, stem.with_suffix(".png"), K, pose, depth_file, kept)

    def scan(self, name, places, number=4, **how):
        """A still scene seen from `number` places."""
        views = [self.view(places, CAMERAS[k % 4], **how) for k in range(number)]
        return scan(name, views)

    def rig(self, name, *moments, cameras=3, **how):
        """Each moment has objects in places of its own."""
        made = tuple(
            Moment(
                tuple(self.view(places, CAMERAS[k], name=f"cam{k}", **how) for k in range(cameras)), float(m)
            )
            for m, places in enumerate(moments)
        )
        return Recording(name, "rig", made)

    def dataset(self, *recordings, families=None):
        objects = {
            number: replace(model, family=(families or {}).get(number))
            for number, model in self.objects.items()
        }
        return Dataset(self.folder, recordings, objects)


def scan(name, views):
    return Recording(name, "scan", tuple(Moment((view,)) for view in views))


def pixels():
    v, u = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    return torch.stack((u, v), -1).reshape(-1, 2).float()
