"""Renders a cell: recordings in worker processes, files of docs/multi-camera.md. Finished or not there at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from samepoint.files import folder_written_whole, write_json
from samepoint.sim.cell.actors import Actor, carton, shoe
from samepoint.sim.cell.cable import cable
from samepoint.sim.cell.cameras import BELOW_GRIPPER, HIGHEST, cell_cameras, vertical_view
from samepoint.sim.cell.plan import CellRecording, Chunk, chunks, recordings
from samepoint.sim.cell.plush import plush
from samepoint.sim.cell.settings import CellSettings
from samepoint.sim.cell.stage import build_stage, clear_table, place_beside
from samepoint.sim.cell.writer import (
    LABELS,
    POINTS,
    label_rows,
    make_cameras,
    point_rows,
    write_cameras,
    write_image,
    write_rows,
)
from samepoint.sim.pool import stream
from samepoint.sim.renderer import Renderer, exposed, intrinsics, load_mujoco
from samepoint.sim.settings import SPLITS
from samepoint.sim.workers import graphics, work

SUPERSAMPLE = 2
EXPOSURE = 0.47


@dataclass(frozen=True)
class Rows:
    """The lines of labels.csv and points.csv that belong to a chunk."""

    chunk: Chunk
    labels: list[str]
    points: list[str]


def render_cell(
    out: Path, settings: CellSettings, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Renders a data set into the new folder `out` (recordings of docs/multi-camera.md) and returns it.

    The same settings give the same bytes, whatever `workers` is. Everything is written into a hidden folder beside
    `out` which takes its name at the end. `progress(done, total)` counts moments. Raises DataError on settings that
    make no sense or if `out` holds anything, MissingDependencyError without a GL library. With more than one worker
    the calling script needs the usual `if __name__ == "__main__"`.
    """
    settings.check()
    load_mujoco()
    out = Path(out)
    with folder_written_whole(out) as draft:
        _render_into(draft, settings, progress)
    return out


def _render_into(root: Path, settings: CellSettings, progress: Callable[[int, int], None] | None) -> None:
    found: dict[Chunk, Rows] = {}
    jobs = chunks(settings)
    total, done = sum(job.last - job.first for job in jobs), 0
    for rows in work(partial(render_chunk, root, settings), jobs, settings.workers, root):
        found[rows.chunk] = rows
        done += rows.chunk.last - rows.chunk.first
        if progress is not None:
            progress(done, total)
    for recording in recordings(settings):
        parts = [found[job] for job in jobs if job.recording == recording]
        write_rows(
            root / recording.name / "labels.csv", LABELS, [row for rows in parts for row in rows.labels]
        )
        write_rows(
            root / recording.name / "points.csv", POINTS, [row for rows in parts for row in rows.points]
        )
    write_json(root / "cell.json", _description(settings), indent=1)


def render_chunk(root: Path, settings: CellSettings, chunk: Chunk) -> Rows:
    """Renders some moments into `root`; depends on nothing but its arguments."""
    recording = chunk.recording
    folder = root / recording.name
    actor = make_actor(settings, recording)
    mujoco, context = graphics()
    world = build_stage(
        mujoco,
        settings.kind,
        actor,
        stream(settings.seed, 0, "room"),
        stream(settings.seed, recording.split, "distractors", recording.distractors),
        settings.distractors,
        (settings.size[0] * SUPERSAMPLE, settings.size[1] * SUPERSAMPLE),
    )
    rows = Rows(chunk, [], [])
    fovy = vertical_view(settings.size)
    renderer = Renderer(mujoco, world.model, context, settings.size, SUPERSAMPLE)
    try:
        for moment in range(chunk.first, chunk.last):
            name = (recording.number, moment)
            clear_table(world)
            points = actor.act(world, stream(settings.seed, recording.split, "moment", *name))
            beside = world.things[len(actor.instances) :]
            place_beside(world, stream(settings.seed, recording.split, "places", *name), beside)
            poses = _poses(settings, recording, moment)
            cameras = make_cameras(poses, intrinsics(fovy, settings.size), settings.size)
            if moment == 0 or not settings.fixed_cameras:
                write_cameras(folder, cameras, None if settings.fixed_cameras else moment)
            for camera, pose in zip(cameras, poses):
                image = exposed(renderer.draw(world.data, pose, fovy), EXPOSURE)
                write_image(folder, camera, moment, image)
            rows.labels.extend(label_rows(moment, cameras, points))
            rows.points.extend(point_rows(moment, points))
    finally:
        renderer.close()
    return rows


def make_actor(settings: CellSettings, recording: CellRecording) -> Actor:
    """What a recording's keypoints are on."""
    if settings.kind == "shoe":
        return shoe(settings.seed, recording.split, recording.shown)
    if settings.kind == "plush":
        return plush(settings.seed)
    if settings.kind == "cable":
        return cable(settings.seed)
    return carton(settings.seed)


def _poses(settings: CellSettings, recording: CellRecording, moment: int) -> np.ndarray:
    generator = stream(settings.seed, recording.split, "cameras", recording.number, moment)
    if settings.fixed_cameras:
        generator = stream(settings.seed, 0, "cameras")
    return cell_cameras(generator, settings.cameras, BELOW_GRIPPER if settings.kind == "cable" else HIGHEST)


def _description(settings: CellSettings) -> dict[str, object]:
    """The settings as JSON values, without what does not change the result, and what each recording holds."""
    out = {key: value for key, value in asdict(settings).items() if key != "workers"}
    keypoints = make_actor(settings, recordings(settings)[0]).keypoints
    held = {
        recording.name: {
            "split": SPLITS[recording.split],
            "moments": recording.moments,
            "object": recording.shown,
            "distractors": recording.distractors,
        }
        for recording in recordings(settings)
    }
    return {**out, "keypoints": keypoints, "recordings": held, "program": "samepoint data cell"}
