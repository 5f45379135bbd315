"""Renders a whole data set: pool, scenes in worker processes, BOP files. Finished or not there at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from multiprocessing import parent_process
from pathlib import Path

import numpy as np

from samepoint.data.bop_writer import BopWriter, SceneWriter
from samepoint.errors import DataError
from samepoint.files import clear_disk_errors
from samepoint.sim.blender import BlenderRenderer, load_bpy
from samepoint.sim.meshes import find_meshes
from samepoint.sim.objects import kept_instance, write_objects
from samepoint.sim.pool import Slot, deal, stream
from samepoint.sim.prints import read_texture_folder
from samepoint.sim.recordings import MODES, Studio
from samepoint.sim.renderer import Draws, Renderer, load_mujoco
from samepoint.sim.settings import SPLITS, RenderSettings
from samepoint.sim.workers import graphics, work
from samepoint.sim.world import World, build_world

SUPERSAMPLE = 2
Job = tuple[int, int, tuple[Slot, ...]]
"""(split, number of the scene in it, its objects)."""


def render_dataset(
    out: Path, settings: RenderSettings, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Renders a data set into the new folder `out` (BOP form) and returns it.

    The same settings give the same bytes, whatever `workers` is. Everything is written into a hidden folder
    beside `out` which takes its name at the end. `progress(done, total)` is called after each scene.
    Raises DataError on settings that make no sense, on meshes that cannot be used or if `out` holds anything,
    MissingDependencyError without a GL library, Blender or trimesh where they are needed. With more than one
    worker the calling script needs the usual `if __name__ == "__main__"`.
    """
    settings.check()
    kept_instance.cache_clear()  # a file may have changed
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError("this folder is not empty", where=out, mend="choose a new folder")
    if settings.texture_folder is not None:
        read_texture_folder(settings.texture_folder)
    if settings.meshes is not None:
        find_meshes(settings.meshes)
    load_mujoco()
    if settings.renderer == "blender":
        load_bpy()
    with clear_disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            draft.chmod(0o755)
            _render_into(draft, settings, progress)
            if out.exists():
                out.rmdir()
            os.rename(draft, out)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    return out


def _render_into(root: Path, settings: RenderSettings, progress: Callable[[int, int], None] | None) -> None:
    writer = BopWriter(root, _description(settings))
    jobs = [
        (split, number, hand)
        for split in range(len(SPLITS))
        for number, hand in enumerate(deal(settings, split))
    ]
    used = sorted({slot for _, _, hand in jobs for slot in hand}, key=lambda slot: slot.object_id)
    write = partial(write_objects, writer, settings, used)
    first = settings.meshes is not None  # a file that cannot be used is named before anything is drawn
    if first:
        write()
    render = partial(render_scene, root, settings)
    for done, _ in enumerate(work(render, jobs, settings.workers, root, None if first else write), start=1):
        if progress is not None:
            progress(done, len(jobs))
    writer.close()


def render_scene(root: Path, settings: RenderSettings, job: Job) -> None:
    """Renders one scene into `root`; depends on nothing but its arguments."""
    split, number, hand = job
    generator = stream(settings.seed, split, "scene", number)
    mode = settings.modes[number % len(settings.modes)]
    instances = [kept_instance(settings, slot) for slot in hand] if mode != "robot-only" else []
    low, high = settings.distractors
    distractors = 0 if mode == "robot-only" else int(generator.integers(low, high + 1))
    mujoco, context = graphics()
    offscreen = (settings.size[0] * SUPERSAMPLE, settings.size[1] * SUPERSAMPLE)
    world = build_world(mujoco, generator, instances, distractors, offscreen)
    renderer: Draws = Renderer(mujoco, world.model, context, settings.size, SUPERSAMPLE)
    if settings.renderer == "blender":
        renderer = _in_blender(renderer, world, settings, stream(settings.seed, split, "blender", number))
    try:
        fovy = float(np.deg2rad(generator.uniform(35, 60)))
        studio = Studio(
            world,
            renderer,
            settings,
            generator,
            stream(settings.seed, split, "sensor", number),
            fovy,
            exposure=float(generator.uniform(0.36, 0.58)),
        )
        with SceneWriter(root, SPLITS[split], number, mode) as scene:
            for moment in MODES[mode](studio):
                scene.add_moment(moment.views, moment.time, moment.sync_group)
    finally:
        renderer.close()


def _in_blender(
    measured: Renderer, world: World, settings: RenderSettings, generator: np.random.Generator
) -> Draws:
    threads = 1 if parent_process() is not None else None  # workers share the cores
    return BlenderRenderer(measured, world, generator, settings.size, settings.samples, threads)


def _description(settings: RenderSettings) -> dict[str, object]:
    """The settings as JSON values, without what does not change the result."""
    idle = {"workers"}
    idle |= {"renderer", "samples"} if settings.renderer == "mujoco" else set()
    idle |= {"meshes", "mesh_scale"} if settings.meshes is None else {"families", "instances", "same_objects"}
    out = {key: value for key, value in asdict(settings).items() if key not in idle}
    out = {key: value.name if isinstance(value, Path) else value for key, value in out.items()}
    return {**out, "program": "samepoint data render"}
