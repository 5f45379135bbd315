"""Renders a whole data set: pool, scenes in worker processes, BOP files. Finished or not there at all."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from samepoint.data.bop_writer import BopWriter, ObjectMesh, SceneWriter
from samepoint.errors import DataError
from samepoint.files import clear_disk_errors
from samepoint.sim.families import Model
from samepoint.sim.pool import Instance, Slot, deal, make_instance, make_model, stream
from samepoint.sim.prints import read_texture_folder
from samepoint.sim.recordings import MODES, Studio
from samepoint.sim.renderer import Renderer, load_mujoco
from samepoint.sim.settings import SPLITS, RenderSettings
from samepoint.sim.world import build_world

SUPERSAMPLE = 2
Job = tuple[int, int, tuple[Slot, ...]]
"""(split, number of the scene in it, its objects)."""


def render_dataset(
    out: Path, settings: RenderSettings, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Renders a data set into the new folder `out` (BOP form) and returns it.

    The same settings give the same bytes, whatever `workers` is. Everything is written into a hidden folder
    beside `out` which takes its name at the end. `progress(done, total)` is called after each scene.
    Raises DataError on settings that make no sense or if `out` holds anything, MissingDependencyError without
    a GL library. With more than one worker the calling script needs the usual `if __name__ == "__main__"`.
    """
    settings.check()
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError("this folder is not empty", where=out, mend="choose a new folder")
    if settings.texture_folder is not None:
        read_texture_folder(settings.texture_folder)
    load_mujoco()
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
    used = {slot for _, _, hand in jobs for slot in hand}

    def write_objects() -> None:
        for slot in sorted(used, key=lambda slot: slot.object_id):
            writer.add_object(_object_mesh(slot.family, make_model(settings, slot)), slot.object_id)

    for done, _ in enumerate(_work(root, settings, jobs, write_objects), start=1):
        if progress is not None:
            progress(done, len(jobs))
    writer.close()


def _work(
    root: Path, settings: RenderSettings, jobs: list[Job], meanwhile: Callable[[], None]
) -> Iterator[None]:
    """Renders all scenes, yielding after each; `meanwhile` is called once the workers have started."""
    workers = min(settings.workers, len(jobs))
    if workers <= 1:
        meanwhile()
        for job in jobs:
            render_scene(root, settings, job)
            yield
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_quiet) as executor:
        try:
            futures = [executor.submit(render_scene, root, settings, job) for job in jobs]
            meanwhile()
            for future in as_completed(futures):
                future.result()
                yield
        except BrokenProcessPool as error:
            mend = 'in a script, call it below `if __name__ == "__main__":`; or set workers to 1'
            raise DataError("the renderer's worker processes died", where=root, mend=mend) from error
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise


def render_scene(root: Path, settings: RenderSettings, job: Job) -> None:
    """Renders one scene into `root`; depends on nothing but its arguments."""
    split, number, hand = job
    generator = stream(settings.seed, split, "scene", number)
    mode = settings.modes[number % len(settings.modes)]
    instances = [_instance(settings, slot) for slot in hand] if mode != "robot-only" else []
    low, high = settings.distractors
    distractors = 0 if mode == "robot-only" else int(generator.integers(low, high + 1))
    mujoco, context = _graphics()
    offscreen = (settings.size[0] * SUPERSAMPLE, settings.size[1] * SUPERSAMPLE)
    world = build_world(mujoco, generator, instances, distractors, offscreen)
    renderer = Renderer(mujoco, world.model, context, settings.size, SUPERSAMPLE)
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


@lru_cache(maxsize=64)
def _instance(settings: RenderSettings, slot: Slot) -> Instance:
    return make_instance(settings, slot)


@lru_cache(maxsize=1)
def _graphics() -> tuple[ModuleType, Any]:
    """MuJoCo and one GL context a process."""
    mujoco = load_mujoco()
    from mujoco import gl_context

    context = gl_context.GLContext(64, 64)
    atexit.register(context.free)
    return mujoco, context


def _quiet() -> None:
    """Workers share the cores: one thread each."""
    os.environ.setdefault("LP_NUM_THREADS", "1")
    torch.set_num_threads(1)


def _object_mesh(family: str, model: Model) -> ObjectMesh:
    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array.astype(np.float32))

    return ObjectMesh(
        family=family,
        vertices=tensor(model.vertices),
        faces=torch.from_numpy(model.faces.astype(np.int64)),
        coordinates=tensor(model.coordinates),
        keypoints={name: tensor(point) for name, point in model.keypoints.items()},
    )


def _description(settings: RenderSettings) -> dict[str, object]:
    """The settings as JSON values, without what must not change the result."""
    out = {key: value for key, value in asdict(settings).items() if key != "workers"}
    folder = settings.texture_folder
    return {
        **out,
        "program": "samepoint data render",
        "texture_folder": None if folder is None else folder.name,
    }
