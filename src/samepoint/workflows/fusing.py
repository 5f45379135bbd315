"""`samepoint data fuse`: scans with depth and poses become objects, masks and clean depth in the native form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool

from samepoint.data.bop_writer import BopWriter
from samepoint.data.importers import object_mesh
from samepoint.data.open import open_dataset
from samepoint.data.recording import Recording
from samepoint.data.scene_writer import SceneWriter
from samepoint.data.takes import Take, takes, with_takes
from samepoint.errors import DataError, one_of
from samepoint.files import folder_written_whole, write_json
from samepoint.fusion.frames import usable_views
from samepoint.fusion.robot import robot_pixels
from samepoint.fusion.scene import FusedScene, fuse_scene, split_by_clicks, split_by_other_scan
from samepoint.fusion.settings import FusionSettings
from samepoint.fusion.views import MeshViews
from samepoint.fusion.volume import open3d_device
from samepoint.viewers.fusion_pictures import draw_fusion
from samepoint.workflows.clicks import Click, on_surface, read_clicks
from samepoint.workflows.fused_scenes import copy_recording, mesh_of, picture_of, row_of, write_scene

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fusing:
    """What to fuse and what to write.

    `empty`: name of the recording of the scene without objects, for change detection. `changed`: names of scans of
    one place (one world frame) between which something was taken away or moved: what of an object is gone in another
    of them becomes an object of its own. `robot`: names of recordings that show the robot alone (those of mode
    robot-only are). `clicks`: JSON file, {RECORDING: [{"image": NAME, "uv": [u, v]}, ...]}: several clicks on one
    object split it. `depth`: what is written, "fused" (rendered from the mesh: clean, none outside of the workspace)
    or "sensor" (as it was).
    """

    empty: str | None = None
    changed: tuple[str, ...] = ()
    robot: tuple[str, ...] = ()
    clicks: Path | None = None
    depth: Literal["fused", "sensor"] = "fused"
    settings: FusionSettings = field(default_factory=FusionSettings)


@dataclass(frozen=True)
class _Given:
    """What every fusion of a data set is given, beside the scan."""

    fusing: Fusing
    robot: Bool[np.ndarray, "h w"] | None
    behind: MeshViews | None
    clicks: tuple[Click, ...]
    say: Say


def fuse_dataset(
    path: Path, out: Path, fusing: Fusing | None = None, say: Say = print
) -> list[dict[str, Any]]:
    """Writes `out`, whole or not at all, with a mesh an object, and returns what was found, a row a scan (also in
    `out`/fusion/fusion.json, with a picture of each).

    Scans are fused, each with objects of its own; lists of one take (train.txt, test.txt) are one scan and stay
    recordings of their own; other recordings are kept as they are. Raises DataError.
    """
    fusing = fusing or Fusing()
    open3d_device(fusing.settings.device)  # before hours of reading
    dataset = open_dataset(path)
    scans, others, empty = _sorted_out(takes(with_takes(dataset.recordings)), fusing)
    robot = _robot(others)
    behind = None
    if empty is not None:
        behind = _fused(empty, _Given(fusing, robot, None, (), say))[1].views
    clicks = () if fusing.clicks is None else read_clicks(fusing.clicks, scans)
    given = _Given(fusing, robot, behind, clicks, say)
    rows: list[dict[str, Any]] = []
    with folder_written_whole(out) as draft:
        writer = BopWriter(draft, {"fused_from": dataset.root.name})
        for model in dataset.objects.values():
            writer.add_object(object_mesh(model), model.object_id)
        numbers: dict[str, int] = {}
        for take, scene in _scenes(scans, given):
            ids = [writer.add_object(mesh_of(scene, k)) for k in range(scene.number)]
            written = []
            for recording in take.lists:
                with _next_scene(writer, recording, numbers) as target:
                    write_scene(recording, scene, ids, target, fusing.depth)
                written.append(target.folder.relative_to(draft).as_posix())
            rows.append(row_of(take, scene, ids, written))
            draw_fusion(
                draft / "fusion" / f"{written[0].replace('/', '-')}.png", *picture_of(take.whole, scene)
            )
        for recording in others:
            with _next_scene(writer, recording, numbers) as target:
                copy_recording(recording, target)
        write_json(draft / "fusion" / "fusion.json", {"recordings": rows}, indent=1)
        writer.close()
    return rows


def _next_scene(writer: BopWriter, recording: Recording, numbers: dict[str, int]) -> SceneWriter:
    split = recording.split or "train"
    number = numbers[split] = numbers.get(split, -1) + 1
    return writer.scene(split, number, recording.mode, recording.take)


def _sorted_out(found: Sequence[Take], fusing: Fusing) -> tuple[list[Take], list[Recording], Take | None]:
    """Takes to fuse, recordings to keep as they are (the robot's with that mode), and the empty scene."""
    names = [name for take in found for name in take.names]
    for name in (*fusing.robot, *fusing.changed, *([] if fusing.empty is None else [fusing.empty])):
        if name not in names:
            raise DataError(one_of("recording", name, names))
    scans: list[Take] = []
    others: list[Recording] = []
    empty = None
    for take in found:
        if fusing.empty in take.names:
            empty = take
        elif set(fusing.robot) & set(take.names) or take.whole.mode == "robot-only":
            others += [replace(recording, mode="robot-only") for recording in take.lists]
        elif take.whole.mode == "scan":
            scans.append(take)
        else:
            others += take.lists
    if not scans:
        mend = "give a recording of a moving camera in a still scene, with depth and poses"
        raise DataError("there is no scan to fuse", mend=mend)
    if fusing.changed and sum(_changed(take, fusing) for take in scans) < 2:
        mend = "name every scan of the place, before and after"
        raise DataError(f"--changed {' '.join(fusing.changed)} is one scan, not two", mend=mend)
    return scans, others, empty


def _changed(take: Take, fusing: Fusing) -> bool:
    return bool(set(fusing.changed) & set(take.names))


def _robot(others: Sequence[Recording]) -> Bool[np.ndarray, "h w"] | None:
    views = [
        view
        for recording in others
        if recording.mode == "robot-only"
        for view in recording.views()
        if view.depth is not None
    ]
    return robot_pixels(views) if views else None


def _scenes(scans: Sequence[Take], given: _Given) -> Iterator[tuple[Take, FusedScene]]:
    """Each scan with its new poses, its objects cut where the other scans of the place and the clicks say so."""
    compared = {take.name: _fused(take, given) for take in scans if _changed(take, given.fusing)}
    settings = given.fusing.settings
    for scan in scans:
        take, scene = compared.get(scan.name) or _fused(scan, given)
        for other, others_scene in compared.values() if scan.name in compared else ():
            if other.name != scan.name:
                views = usable_views(other.whole)
                scene = split_by_other_scan(scene, others_scene, views, settings, given.robot)
        clicks = [click for click in given.clicks if click[0] in take.names]
        if clicks:
            scene = split_by_clicks(scene, on_surface(clicks, take, scene.views))
        for k, parts in enumerate(scene.may_be):
            if parts > 1:
                given.say(
                    f"{take.name}: object {k + 1} may be {parts} objects that touch: look at the picture; split"
                    " it with --clicks if so"
                )
        yield take, scene


def _fused(take: Take, given: _Given) -> tuple[Take, FusedScene]:
    """The scene, and the take with the poses with which it was fused."""
    views = usable_views(take.whole)

    def progress(what: str, done: int, frames: int) -> None:
        if done % max(1, frames // 4) == 0 or done == frames:
            given.say(f"{take.name}: {what}, {done} of {frames} frames")

    settings = given.fusing.settings
    try:
        scene = fuse_scene(views, settings, robot=given.robot, empty=given.behind, progress=progress)
    except DataError as error:
        raise DataError(error.what, where=error.where or take.name, mend=error.mend) from error
    return replace(take, lists=tuple(part.with_views(scene.posed) for part in take.lists)), scene
