"""The modes of recording: what moves between moments, where the cameras are, and what a view holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from samepoint.data.bop_writer import WrittenView
from samepoint.sim.arrange import arrange
from samepoint.sim.cameras import Ball, close_up, from_above, look_at, orbit, overview, ring
from samepoint.sim.noise import noisy_depth, noisy_image, noisy_pose
from samepoint.sim.renderer import Draws, Shot, exposed, intrinsics
from samepoint.sim.settings import RenderMode, RenderSettings
from samepoint.sim.world import Thing, World

HANDS = 0.2
"""Share of the moments of a shuffle with a hand."""
FRONT = -np.pi / 2
"""The azimuth from which objects are seen from the front."""


@dataclass(frozen=True)
class WrittenMoment:
    """What is passed to the writer for one moment."""

    views: tuple[WrittenView, ...]
    time: float
    sync_group: str | None = None


@dataclass(frozen=True)
class Studio:
    """Everything a recording is made with. `sensor` draws the sensor's errors, so that the scene is the same without
    them. `present` are the things on the table just now."""

    world: World
    renderer: Draws
    settings: RenderSettings
    generator: np.random.Generator
    sensor: np.random.Generator
    fovy: float
    exposure: float
    present: tuple[Thing, ...] = ()

    @property
    def max_roll(self) -> float:
        return float(np.deg2rad(self.settings.max_roll))

    def rearranged(self, things: Sequence[Thing] | None = None) -> Studio:
        """The same studio with (these) things put down anew."""
        things = self.world.things if things is None else things
        things = [things[i] for i in self.generator.permutation(len(things))]
        present = arrange(
            self.world,
            self.generator,
            things,
            spread(len(things)) * self.world.room,
            float(np.deg2rad(self.settings.max_yaw)),
        )
        kept = tuple(thing for thing in self.world.things if thing in present)
        return replace(self, present=kept)

    def some(self) -> list[Thing]:
        """A random choice of the objects, never none, with all distractors."""
        objects = [thing for thing in self.world.things if thing.instance is not None]
        number = int(self.generator.integers(max(1, len(objects) - 2), len(objects) + 1))
        chosen = {int(i) for i in self.generator.permutation(len(objects))[:number]}
        rest = [thing for thing in self.world.things if thing.instance is None]
        return [thing for i, thing in enumerate(objects) if i in chosen] + rest

    def balls(self) -> list[Ball]:
        """Spheres around the objects that are present (the middle of the table if there is none)."""
        out: list[Ball] = []
        for thing in self.present:
            if thing.instance is not None:
                middle = (thing.points.min(0) + thing.points.max(0)) / 2
                radius = float(np.linalg.norm(thing.points - middle, axis=1).max())
                pose = self.world.pose(thing)
                out.append((pose[:3, :3] @ middle + pose[:3, 3], radius))
        return out or [(np.array([0.0, 0.0, 0.05]), 0.12)]

    def view(self, camera: str, world_from_camera: Float[np.ndarray, "4 4"]) -> WrittenView:
        """A view of the table as it is."""
        shot = self.renderer.shoot(self.world.data, world_from_camera, self.fovy)
        camera_from_world = np.linalg.inv(world_from_camera)
        objects = [t for t in self.present if t.instance is not None]
        label_of_geom = np.zeros(self.world.model.ngeom + 1, np.uint8)
        for k, thing in enumerate(objects):
            label_of_geom[thing.geom] = k + 1
        placements = [
            (t.instance.slot.object_id, camera_from_world @ self.world.pose(t)) for t in objects if t.instance
        ]
        k_matrix = intrinsics(self.fovy, self.settings.size)
        shot = replace(shot, image=exposed(shot.image, self.exposure))
        if self.settings.noise:
            shot = self._disturbed(shot, float(k_matrix[0, 0]))
            world_from_camera = noisy_pose(self.sensor, world_from_camera)
        labels = label_of_geom[shot.geoms]
        return WrittenView(camera, shot.image, k_matrix, world_from_camera, shot.depth, labels, placements)

    def _disturbed(self, shot: Shot, focal: float) -> Shot:
        return replace(
            shot,
            image=noisy_image(self.sensor, shot.image),
            depth=noisy_depth(self.sensor, shot.depth, focal),
        )


def spread(number: int) -> float:
    """Radius in metres over which so many things are put down."""
    return float(0.03 + 0.05 * np.sqrt(number))


def _reach(world: World) -> float:
    """Radius in metres that fixed cameras have in view."""
    return (spread(len(world.things)) + 0.08) * world.room


def scan(studio: Studio) -> Iterator[WrittenMoment]:
    """A camera that moves around things that stay where they are."""
    g, settings = studio.generator, studio.settings
    studio = studio.rearranged()
    balls = studio.balls()
    start, turns = g.uniform(0, 2 * np.pi), g.choice([-2, -1, 1, 2])
    sector = float(np.deg2rad(settings.sector))
    for k in range(settings.views):
        along = (k + g.uniform(-0.4, 0.4)) / settings.views
        azimuth = start + turns * 2 * np.pi * along
        if sector < np.pi:
            azimuth = FRONT + sector * (2 * along - 1)
        near = g.uniform() < settings.close_ups
        pose = (close_up if near else overview)(g, balls, studio.fovy, float(azimuth), studio.max_roll)
        if settings.gripper:
            far = min(np.linalg.norm(pose[:3, 3] - centre) - radius for centre, radius in balls)
            _show(studio.world, "gripper", pose @ _held() if far > 0.12 else None)
        yield WrittenMoment((studio.view("cam0", pose),), k / 10)


def shuffle(studio: Studio) -> Iterator[WrittenMoment]:
    """A fixed camera above; things are rearranged between moments, sometimes a hand is in the way."""
    g = studio.generator
    pose = from_above(g, _reach(studio.world), studio.fovy, studio.max_roll)
    for k in range(studio.settings.views):
        now = studio.rearranged(studio.some())
        hand = None
        if g.uniform() < HANDS:
            centre, radius = now.balls()[int(g.integers(len(now.balls())))]
            hand = _hand_over(g, centre + np.array([0.0, 0.0, radius]))
        _show(studio.world, "hand", hand)
        yield WrittenMoment((now.view("cam0", pose),), float(k))


def rig(studio: Studio) -> Iterator[WrittenMoment]:
    """Several fixed cameras that look at the same moment; things are rearranged between moments."""
    settings = studio.settings
    poses = ring(studio.generator, settings.cameras, _reach(studio.world), studio.fovy, studio.max_roll)
    for k in range(max(1, settings.views // settings.cameras)):
        now = studio.rearranged(studio.some())
        views = tuple(now.view(f"cam{c}", pose) for c, pose in enumerate(poses))
        yield WrittenMoment(views, float(k), str(k))


def robot_only(studio: Studio) -> Iterator[WrittenMoment]:
    """The robot's gripper over the empty table."""
    g = studio.generator
    studio = studio.rearranged(())
    for k in range(studio.settings.views):
        grip = _gripper_over(g)
        _show(studio.world, "gripper", grip)
        turn, roll = g.uniform(0, 2 * np.pi), g.uniform(-studio.max_roll, studio.max_roll)
        pose = orbit(grip[:3, 3], g.uniform(0.35, 0.9), turn, np.deg2rad(g.uniform(10, 45)), roll)
        yield WrittenMoment((studio.view("cam0", pose),), k / 10)


MODES: dict[RenderMode, Callable[[Studio], Iterator[WrittenMoment]]] = {
    "scan": scan,
    "shuffle": shuffle,
    "rig": rig,
    "robot-only": robot_only,
}


def _show(world: World, prop: Literal["hand", "gripper"], pose: Float[np.ndarray, "4 4"] | None) -> None:
    world.place_prop(prop, pose)
    world.mujoco.mj_forward(world.model, world.data)


def _hand_over(generator: np.random.Generator, top: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "4 4"]:
    """The palm a little above `top` and beside it, the forearm coming from a random side."""
    yaw = generator.uniform(0, 2 * np.pi)
    c, s = np.cos(yaw), np.sin(yaw)
    pose = np.eye(4)
    pose[:2, :2] = [[c, -s], [s, c]]
    pose[:3, 3] = top + np.append(generator.uniform(-0.05, 0.05, 2), generator.uniform(0.02, 0.06))
    pose[:2, 3] -= 0.05 * np.array([c, s])
    return pose


def _held() -> Float[np.ndarray, "4 4"]:
    """Camera from gripper of a wrist camera: the fingers come in from below, one left and one right."""
    tilt = np.deg2rad(35)
    c, s = np.cos(tilt), np.sin(tilt)
    pose = np.eye(4)
    pose[:3, :3] = np.array([[0, -c, -s], [1, 0, 0], [0, -s, c]]).T
    pose[:3, 3] = 0.0, 0.08, 0.08
    return pose


def _gripper_over(generator: np.random.Generator) -> Float[np.ndarray, "4 4"]:
    """Fingers down, tilted a little, 8 to 25 cm above the table."""
    place = np.append(generator.uniform(-0.15, 0.15, 2), generator.uniform(0.08, 0.25))
    aim = place + np.append(generator.uniform(-0.4, 0.4, 2), -1.0)
    return look_at(place, aim, float(generator.uniform(0, 2 * np.pi)))
