"""The cable: bent anew in every moment, and its tip labelled at the opening once it is in the socket."""

from __future__ import annotations

import numpy as np
import pytest

from samepoint.sim.cell.actors import Points
from samepoint.sim.cell.cable import Cable, cable
from samepoint.sim.cell.cable.actor import UP, plug_points
from samepoint.sim.cell.cable.insertion import labelled_tip
from samepoint.sim.cell.cable.parts import BASE, HELD, HOLE, LINK, LINKS, OPENING, PLUG, TIP
from samepoint.sim.cell.stage import build_stage, clear_table
from samepoint.sim.pool import stream
from samepoint.sim.workers import graphics
from samepoint.sim.world import World

MOMENTS = 16


@pytest.fixture(scope="module")
def stage() -> tuple[Cable, World]:
    actor = cable(2)
    world = build_stage(
        graphics()[0], "cable", actor, stream(0, 0, "room"), stream(0, 0, "distractors"), 0, (64, 64)
    )
    return actor, world


def state(stage: tuple[Cable, World], moment: int) -> Points:
    clear_table(stage[1])
    return stage[0].act(stage[1], stream(0, 0, "moment", 0, moment))


def test_the_tip_passes_to_the_opening_as_it_goes_in() -> None:
    opening, pin = np.array([0.1, 0.2, 0.05]), 0.03 * UP
    outside = opening + np.array([0.002, 0, 0.001])
    inside = opening + np.array([0.002, 0, -0.001])
    beside = opening + np.array([0.02, 0, -0.001])
    assert (labelled_tip(outside, outside + pin, opening, UP, HOLE) == outside).all()
    assert (labelled_tip(inside, inside + pin, opening, UP, HOLE) == opening).all()
    assert (labelled_tip(beside, beside + pin, opening, UP, HOLE) == beside).all()
    whole = opening - pin
    assert (labelled_tip(whole, opening, opening, UP, HOLE) == opening).all()
    below = opening - 2 * pin  # all of the pin is behind the plane: under the table, not in the socket
    assert (labelled_tip(below, below + pin, opening, UP, HOLE) == below).all()


def test_a_leaning_pin_is_in_where_it_passes_the_opening() -> None:
    opening, lean = np.zeros(3), np.array([0.6, 0, 0.8])
    tip = -0.01 * lean
    assert (labelled_tip(tip, tip + 0.03 * lean, opening, UP, 0.003) == opening).all()
    aside = tip + np.array([0.004, 0, 0])
    assert (labelled_tip(aside, aside + 0.03 * lean, opening, UP, 0.003) == aside).all()


def test_moments_approach_touch_and_are_inside(stage: tuple[Cable, World]) -> None:
    inside, touching, above, bends = 0, 0, 0, []
    for moment in range(MOMENTS):
        points = state(stage, moment)
        tip, base = plug_points(stage[1])
        assert np.linalg.norm(tip - base) == pytest.approx(TIP - BASE, abs=1e-9)
        assert (points["plug_base"] == base).all()
        assert points["socket"][2] == pytest.approx(OPENING)
        if (points["plug_tip"] == points["socket"]).all():
            inside += 1
            assert tip[2] < OPENING
            assert np.linalg.norm((tip - points["socket"])[:2]) < 0.002
            assert -0.001 < base[2] - OPENING < 0.026
        else:
            touching += tip[2] < OPENING + 0.0005
            above += tip[2] > OPENING + 0.005
            assert (points["plug_tip"] == tip).all()
        bends.append(reach(stage[1]))
    assert inside >= 2
    assert touching >= 1
    assert above >= 4
    assert max(bends) < LINKS * LINK + 1e-6
    assert np.ptp(bends) > 0.005


def reach(world: World) -> float:
    """From where the gripper holds the cable to the plug, in a straight line."""
    body = world.model.body("gripper").id
    grip = world.data.xpos[body] + world.data.xmat[body].reshape(3, 3) @ HELD
    return float(np.linalg.norm(world.data.xpos[world.model.body(PLUG).id] - grip))


def test_a_moment_does_not_depend_on_those_before(stage: tuple[Cable, World]) -> None:
    alone = [state(stage, moment) for moment in range(4)][2]
    again = state(stage, 2)
    assert all((alone[name] == again[name]).all() for name in alone)
