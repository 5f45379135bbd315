"""The soft fox: it bends, its keypoints stay inside, and what is drawn is what is computed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from samepoint.sim.cell.actors import Points
from samepoint.sim.cell.cameras import cell_cameras
from samepoint.sim.cell.plush import Plush, plush
from samepoint.sim.cell.plush.actor import bone_poses
from samepoint.sim.cell.plush.bones import BONES, HOLDS, KEYPOINTS, deform, pulls
from samepoint.sim.cell.plush.shape import FOX, parts, skin_at_rest
from samepoint.sim.cell.stage import build_stage, clear_table
from samepoint.sim.families.surface import assemble
from samepoint.sim.pool import stream
from samepoint.sim.renderer import Renderer
from samepoint.sim.workers import graphics
from samepoint.sim.world import World

MOMENTS = 6


@pytest.fixture(scope="module")
def stage() -> tuple[Plush, World]:
    actor = plush(2)
    world = build_stage(
        graphics()[0], "plush", actor, stream(0, 0, "room"), stream(0, 0, "distractors"), 0, (64, 64)
    )
    return actor, world


def state(stage: tuple[Plush, World], moment: int) -> Points:
    clear_table(stage[1])
    return stage[0].act(stage[1], stream(0, 0, "moment", 0, moment))


def winding(point: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> float:
    """1 inside a closed surface, 0 outside: its solid angle over that of the sphere."""
    a, b, c = (vertices[faces[:, k]] - point for k in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=1) for x in (a, b, c))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c))
    dot = [np.einsum("ij,ij->i", *pair) for pair in ((a, b), (b, c), (c, a))]
    return float(
        np.arctan2(volume, la * lb * lc + dot[0] * lc + dot[1] * la + dot[2] * lb).sum() / (2 * np.pi)
    )


def test_it_bends_from_moment_to_moment(stage: tuple[Plush, World]) -> None:
    states = [state(stage, moment) for moment in range(MOMENTS)]
    pairs = list(combinations(KEYPOINTS, 2))
    far = np.array([[np.linalg.norm(points[a] - points[b]) for a, b in pairs] for points in states])
    assert np.median(np.ptp(far, axis=0)) > 0.02
    assert all(np.linalg.norm(points["body"][:2]) < 0.0701 for points in states)
    assert all(0.01 < point[2] < 0.15 for points in states for point in points.values())


def test_a_moment_does_not_depend_on_those_before(stage: tuple[Plush, World]) -> None:
    alone = state(stage, 3)
    state(stage, 1)
    again = state(stage, 3)
    assert all((alone[name] == again[name]).all() for name in KEYPOINTS)


def test_keypoints_are_inside(stage: tuple[Plush, World]) -> None:
    for moment in range(MOMENTS):
        points = state(stage, moment)
        rotations, places = bone_poses(stage[1])
        for part in parts({}):
            for name in (name for name, holder in HOLDS.items() if holder == part.name):
                vertices = part.grid.reshape(-1, 3)
                moved = deform(vertices, pulls(part.name, vertices), rotations, places)
                assert winding(points[name], moved, assemble([part], [part]).faces) == pytest.approx(
                    1, abs=0.01
                )


def test_what_is_drawn_is_what_is_computed(stage: tuple[Plush, World]) -> None:
    mujoco, context = graphics()
    world = stage[1]
    renderer = Renderer(mujoco, world.model, context, (64, 64), 1)
    try:
        for moment in range(2):
            state(stage, moment)
            renderer.draw(world.data, cell_cameras(np.random.default_rng(0), 1)[0], 0.8)
            drawn = np.array(renderer._scene.skinvert).reshape(-1, 3)
            computed = deform(*skin_at_rest(), *bone_poses(world))
            assert np.abs(drawn - computed).max() < 0.002
    finally:
        renderer.close()


def test_bones_pull_by_shares_and_leave_the_fox_as_it_is_at_rest() -> None:
    vertices, weights = skin_at_rest()
    assert np.allclose(weights.sum(1), 1)
    assert len(vertices) == len(FOX.build({}).vertices)
    starts = np.array([bone.start for bone in BONES], float)
    turned = np.broadcast_to(np.eye(3), (len(BONES), 3, 3))
    assert np.allclose(deform(vertices, weights, turned, starts), vertices)
    aside = np.array([0.1, 0.0, 0.0])
    assert np.allclose(deform(vertices, weights, turned, starts + aside), vertices + aside)
