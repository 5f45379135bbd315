"""The bodies of the cable: a chain from the gripper to the plug, and the socket it belongs into. Metres."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from samepoint.sim import patterns as pat
from samepoint.sim.cell.springs import set_spring
from samepoint.sim.patterns import Colour, Picture
from samepoint.sim.props import add_gripper
from samepoint.sim.room import add_material

LINKS, LINK, THICK = 8, 0.012, 0.003
"""Links of the cable below the gripper, the length and the radius of each."""
HELD = np.array([0.0, 0.0, 0.05])
"""Where the gripper holds the cable, in its own frame; the fingers and the straight cable point to its +z."""
BASE, TIP = 0.038, 0.068
"""The plug's pin lies between these distances from the end of the cable, along the plug's +z."""
PIN, SHELL = 0.0032, 0.0065
BLOCK = (0.022, 0.02, 0.017)
"""Half the size of the socket's housing."""
COLLAR, HOLE, OPENING = 0.0095, 0.0042, 0.038
"""Radii of the collar on the housing and of the hole in it, and the height of its opening, which looks up."""
STIFF, DAMPING = 0.012, 0.0006
"""Newton metres a radian, and a radian a second, of each joint: the plug's weight bends the cable visibly."""
PLUG = "plug"
BRASS, STEEL, BLACK = [0.8, 0.76, 0.6, 1.0], [0.75, 0.75, 0.72, 1.0], [0.04, 0.04, 0.04, 1.0]


def add_cable(mujoco: ModuleType, spec: Any, generator: np.random.Generator) -> None:
    """Gripper, chain and plug, with a target that can hold the plug (off at first)."""
    shade = float(generator.uniform(0.05, 0.3))
    rubber = [shade, shade, 1.1 * shade, 1.0]
    add_gripper(mujoco, spec, generator, (0.004, 0.004), (0.0, 0.0, -0.6))
    parent, place = spec.body("gripper"), HELD
    _bar(mujoco, parent, HELD, HELD - (0.0, 0.0, 0.04), THICK, rubber, contype=0, conaffinity=0)
    for k in range(LINKS):
        parent = _jointed(mujoco, parent, f"cable_{k}", place)
        place = np.array([0.0, 0.0, LINK])
        _bar(mujoco, parent, np.zeros(3), place, THICK, rubber)
    body = _jointed(mujoco, parent, PLUG, place)
    shell = [*(np.array(pat.random_colour(generator)) / 255), 1.0]
    for start, end, radius, rgba in (
        (0.0, 0.01, 0.0045, rubber), (0.008, BASE, SHELL, shell), (0.02, 0.023, 1.06 * SHELL, rubber),
        (BASE, TIP - 0.002, PIN, BRASS), (BASE + 0.013, BASE + 0.0145, 1.04 * PIN, BLACK),
        (TIP - 0.009, TIP - 0.0075, 1.04 * PIN, BLACK),
    ):  # fmt: skip
        _cylinder(mujoco, body, start, end, radius, rgba)
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, size=[PIN, PIN, 0.004], pos=[0, 0, TIP - 0.004],
                  rgba=BRASS, density=1500, contype=2, conaffinity=1)  # fmt: skip
    _add_hold(mujoco, spec)


def add_socket(mujoco: ModuleType, spec: Any, generator: np.random.Generator) -> None:
    """A housing on the table whose opening looks up; the plug may enter it."""
    body = spec.worldbody.add_body(name="socket", mocap=True)
    material = add_material(mujoco, spec, "socket", _print(generator), 0.3)
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=BLOCK, pos=[0, 0, BLOCK[2]], material=material)
    _cylinder(mujoco, body, 2 * BLOCK[2], OPENING, COLLAR, STEEL)
    _cylinder(mujoco, body, OPENING - 0.001, OPENING + 0.0002, HOLE, BLACK)
    spec.add_exclude(bodyname1="socket", bodyname2=PLUG)


def _add_hold(mujoco: ModuleType, spec: Any) -> None:
    spec.worldbody.add_body(name="hold", mocap=True)
    hold = spec.add_equality(name="hold", type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY)
    hold.name1, hold.name2, hold.active = PLUG, "hold", False
    hold.solref, hold.solimp = [0.01, 1.0], [0.999, 0.9999, 0.001, 0.5, 2.0]  # firm: what it holds is light
    # Anchor, position and quaternion of the plug in the hold, weight of the rotation; newer MuJoCo has one more.
    data = np.zeros(np.shape(hold.data))
    data[6] = data[10] = 1
    hold.data = data


def _jointed(mujoco: ModuleType, parent: Any, name: str, place: Float[np.ndarray, " 3"]) -> Any:
    body = parent.add_body(name=name, pos=place)
    set_spring(body.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_BALL), STIFF, DAMPING)
    return body


def _bar(
    mujoco: ModuleType,
    body: Any,
    start: Float[np.ndarray, " 3"],
    end: Float[np.ndarray, " 3"],
    radius: float,
    rgba: list[float],
    contype: int = 2,
    conaffinity: int = 1,
) -> None:
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=np.concatenate([start, end]), size=[radius, 0, 0],
                  rgba=rgba, density=1200, contype=contype, conaffinity=conaffinity)  # fmt: skip


def _cylinder(
    mujoco: ModuleType, body: Any, start: float, end: float, radius: float, rgba: list[float]
) -> None:
    """Along z."""
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, fromto=[0, 0, start, 0, 0, end], size=[radius, 0, 0],
                  rgba=rgba, density=1500, contype=2, conaffinity=1)  # fmt: skip


def _print(generator: np.random.Generator) -> Picture:
    ground = pat.random_colour(generator)
    ink: Colour = pat.contrast_colour(generator, ground)
    picture = pat.plain((128, 128), ground)
    pat.emblem(generator, picture, (90, 90), 22, ink)
    pat.write(picture, pat.word(generator), (64.0, 26.0), 90.0, ink, pat.FONTS[0])
    pat.speckle(generator, picture, 4)
    return picture
