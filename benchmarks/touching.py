"""How well touching objects are reported: python benchmarks/touching.py benchmarks/results/touching.json

Objects of the rendered families alone, and pairs that are slid together until they touch, on a table, scanned by 30
cameras with the errors in depth and poses of `samepoint data render --noise`, fused (with refined poses), clustered,
and asked about. One half (even numbers) is what the thresholds of `fusion.touching` were chosen on; the other is the
result.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from samepoint.bench.machine import provenance
from samepoint.files import write_json
from samepoint.fusion.frames import PosedFrame, smooth
from samepoint.fusion.objects import find_objects, within_box
from samepoint.fusion.refine import refined_pose
from samepoint.fusion.settings import FusionSettings
from samepoint.fusion.touching import CHEAP, touching
from samepoint.fusion.views import MeshViews
from samepoint.fusion.volume import Surface, Volume, fuse
from samepoint.sim.cameras import orbit
from samepoint.sim.families import FAMILIES
from samepoint.sim.noise import noisy_depth, noisy_pose

PAIRS, ALONE = 72, 12
"""So many pairs, and so many of each family alone."""
FRAMES, SIZE = 30, (240, 320)
K = np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]])
CONTACT = 0.001
TABLE, BOX = 0.5, (-0.3, -0.3, -0.03, 0.3, 0.3, 0.4)
SHARE = 0.05
"""A cluster is two objects if either has this share of its vertices."""
SETTINGS = FusionSettings()


@dataclass(frozen=True)
class Solid:
    """A mesh in the world, metres."""

    vertices: np.ndarray
    faces: np.ndarray

    def views(self) -> MeshViews:
        return MeshViews(_surface(self.vertices, self.faces), np.zeros(len(self.faces), dtype=np.int64))

    def moved(self, by: np.ndarray) -> Solid:
        return Solid(self.vertices + by, self.faces)


@dataclass(frozen=True)
class Scan:
    """A fused scan: the object of each vertex as found (-1: none), and as it is."""

    families: tuple[str, ...]
    surface: Surface
    labels: np.ndarray
    clear: np.ndarray
    truth: np.ndarray


def solid(family: str, generator: np.random.Generator) -> Solid:
    """A random object of the family on the table: upright as often as the family says, else lying on a
    side."""
    model = FAMILIES[family].build(FAMILIES[family].sample_shape(generator))
    turn = _turn(2, generator.uniform(0, 2 * np.pi))
    if generator.uniform() >= FAMILIES[family].upright:
        turn = turn @ _turn(int(generator.integers(2)), generator.choice([-1, 1]) * np.pi / 2)
    vertices = model.vertices @ turn.T
    low, high = vertices.min(0), vertices.max(0)
    middle = (low + high) / 2
    return Solid(vertices - (middle[0], middle[1], low[2]), model.faces)


def slid_together(first: Solid, second: Solid, generator: np.random.Generator) -> tuple[Solid, Solid]:
    """`second` comes over the table from a random side until it touches: each step is as long as what is free."""
    angle = generator.uniform(0, 2 * np.pi)
    towards, away = -np.array([np.cos(angle), np.sin(angle), 0.0]), 0.6
    fixed, points = first.views(), _points(second, generator)
    own, others = second.views(), _points(first, generator)
    while away > 0:
        by = -towards * away
        free = min(float(fixed.distance(points + by).min()), float(own.distance(others - by).min()))
        if free < CONTACT:
            break
        away -= free
    half = towards * away / 2
    return first.moved(half), second.moved(-half)


def scan(solids: Sequence[Solid], families: Sequence[str], generator: np.random.Generator) -> Scan:
    """The solids on a table, seen with noise, fused and clustered as `samepoint data fuse` does."""
    corners = TABLE * np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    table = Solid(corners, np.array([[0, 1, 2], [0, 2, 3]]))
    starts = np.cumsum([0, *(len(part.vertices) for part in (table, *solids))])
    faces = np.concatenate([part.faces + start for part, start in zip((table, *solids), starts)])
    world = Solid(np.concatenate([part.vertices for part in (table, *solids)]), faces).views()
    frames, eyes = [], []
    for k in range(FRAMES):
        azimuth = 2 * np.pi * (k + generator.uniform(-0.3, 0.3)) / FRAMES
        elevation, distance = np.deg2rad(generator.uniform(25, 65)), generator.uniform(0.4, 0.75)
        target = np.append(generator.uniform(-0.05, 0.05, 2), 0.04)
        pose = orbit(target, distance, azimuth, elevation)
        depth = noisy_depth(generator, world.render(K, pose, SIZE)[0], K[0, 0])
        depth = np.where(smooth(depth), depth, np.float32(0))
        pose = noisy_pose(generator, pose)
        frames.append(PosedFrame(np.full((*SIZE, 3), 128, np.uint8), depth, K, pose))
        eyes.append(pose[:3, 3])
    surface = _fused(frames)
    model = MeshViews(surface, np.full(len(surface.triangles), -1))
    surface = _fused([replace(frame, world_from_camera=refined_pose(frame, model)) for frame in frames])
    found = find_objects(surface, np.stack(eyes), SETTINGS)
    distances = [part.views().distance(surface.vertices.astype(np.float64)) for part in solids]
    return Scan(tuple(families), surface, found.labels, found.clear, np.argmin(distances, axis=0))


def scans(number: int) -> tuple[list[str], np.random.Generator]:
    """The families of a scan, pairs first, and its generator."""
    generator, names = np.random.default_rng([7, number]), list(FAMILIES)
    if number < PAIRS:
        return [names[i] for i in generator.integers(0, len(names), 2)], generator
    return [names[(number - PAIRS) // ALONE]], generator


def made(number: int) -> Scan:
    families, generator = scans(number)
    solids = [solid(family, generator) for family in families]
    if len(solids) == 2:
        solids = list(slid_together(solids[0], solids[1], generator))
    return scan(solids, families, generator)


def asked(one: Scan) -> list[tuple[bool, bool]]:
    """For each cluster, whether it is several objects, and whether it is reported."""
    may_be = touching(one.surface, one.labels, one.clear, SETTINGS.gap)
    out = []
    for k, number in enumerate(may_be):
        share = np.bincount(one.truth[one.labels == k], minlength=2) / (one.labels == k).sum()
        out.append((bool((share >= SHARE).sum() > 1), number > 1))
    return out


def result(answers: dict[int, list[tuple[bool, bool]]]) -> dict[str, Any]:
    """Shares reported of clusters that are two objects, and of one object by family."""
    pairs = [reported for found in answers.values() for several, reported in found if several]
    alone: dict[str, list[bool]] = {}
    for number, found in answers.items():
        for several, reported in found:
            if not several and number >= PAIRS:
                alone.setdefault(scans(number)[0][0], []).append(reported)
    every = [reported for found in alone.values() for reported in found]
    return {
        "touching_clusters": len(pairs),
        "touching_reported": round(float(np.mean(pairs)), 3),
        "single_clusters": len(every),
        "single_reported": round(float(np.mean(every)), 3),
        "single_reported_by_family": {name: round(float(np.mean(found)), 3) for name, found in alone.items()},
    }


def _fused(frames: Sequence[PosedFrame]) -> Surface:
    volume = fuse(Volume(SETTINGS.voxel, box=BOX), frames, SETTINGS.far)
    return within_box(volume.surface(SETTINGS.seen - 0.5), BOX)


def _points(part: Solid, generator: np.random.Generator) -> np.ndarray:
    """The vertices, and points spread over the triangles by their areas."""
    a, b, c = part.vertices[part.faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    which = generator.choice(len(area), 5000, p=area / area.sum())
    weights = generator.dirichlet((1.0, 1.0, 1.0), 5000)
    return np.concatenate((part.vertices, (part.vertices[part.faces[which]] * weights[..., None]).sum(1)))


def _surface(vertices: np.ndarray, faces: np.ndarray) -> Surface:
    vertices = vertices.astype(np.float32)
    return Surface(vertices, faces.astype(np.int32), np.zeros_like(vertices))


def _turn(axis: int, angle: float) -> np.ndarray:
    c, s, out = np.cos(angle), np.sin(angle), np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[i, i], out[i, j], out[j, i], out[j, j] = c, -s, s, c
    return out


def main(out: Path) -> None:
    answers, about = {}, provenance("python benchmarks/touching.py OUT.json", out)
    for number in range(PAIRS + ALONE * len(FAMILIES)):
        answers[number] = asked(made(number))
        print(number, scans(number)[0], answers[number], flush=True)
    settings = {"threshold": CHEAP, "pairs": PAIRS, "alone_a_family": ALONE, "frames": FRAMES, "size": SIZE}
    halves = {
        "thresholds": result({n: found for n, found in answers.items() if n % 2 == 0}),
        "held_out": result({n: found for n, found in answers.items() if n % 2 == 1}),
    }
    write_json(out, {**about, "settings": settings, **halves}, indent=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    main(parser.parse_args().out)
