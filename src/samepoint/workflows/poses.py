"""`samepoint pose`: what the keypoints of a mined run say of the poses of objects, and how wrong that is."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from samepoint.data.mesh import load_mesh
from samepoint.data.motion_sampling import Sight, own_mask, sights
from samepoint.data.open import open_dataset
from samepoint.data.recording import Dataset
from samepoint.data.store import FrameStore
from samepoint.errors import DataError, RunError
from samepoint.evaluation.pose_errors import PoseErrors, pose_errors, summarise
from samepoint.files import write_json
from samepoint.inference.pose import Lift, ObjectKeypoints, ObjectPose, PosedView, PoseFinder
from samepoint.inference.settings import settings_of
from samepoint.models.weights import load_keypoints

OBJECTS = "objects.json"
"""In a run: where the keypoints are on each object."""
VIEWS = 40
"""Views of an object that its keypoints are learnt from, evenly spread."""
LIFTS: tuple[Lift, ...] = ("camera", "regressed", "pixels")


@dataclass(frozen=True)
class FoundPose:
    """One object in one view: `truth` and `found` are camera_from_object, None where unknown or not found."""

    object_id: int
    image: Path
    lift: Lift
    found: ObjectPose | None
    truth: Tensor | None


def load_pose_finder(run: str | Path, reference: str | Path | None = None, device: str = "cpu") -> PoseFinder:
    """The pose finder of a run of `samepoint train mined`.

    Its objects are those of the run's objects.json, or are learnt from the data set `reference` (default: what the
    run was trained on) and written there. RunError for a run without keypoints, DataError where no view has a pose.
    """
    run = Path(run)
    network, config = load_keypoints(run, device)
    max_size = settings_of(config, where=run / "config.json").max_size
    finder = PoseFinder(network, {}, max_size=max_size, device=device)
    if reference is None and (run / OBJECTS).is_file():
        finder.objects = read_objects(run / OBJECTS)
        return finder
    source = Path(reference if reference is not None else config["data"]["path"])
    learn_objects(finder, open_dataset(source))
    write_json(run / OBJECTS, {str(k): _plain(of) for k, of in finder.objects.items()})
    return finder


def learn_objects(finder: PoseFinder, dataset: Dataset) -> None:
    """The keypoints of every object that has a mask and a pose in the data set. DataError if there is none."""
    store = FrameStore(dataset, max_size=finder.max_size)
    of_object = {number: _evenly(of, VIEWS) for number, of in posed_sights(store).items()}
    if not of_object:
        mend = "poses need rendered or registered data, or a photo with depth; give --reference DATA"
        raise DataError("no object has a mask and a pose", where=dataset.root, mend=mend)
    for number, of in sorted(of_object.items()):
        finder.learn(number, [_view(store, sight) for sight in of])


def posed_sights(store: FrameStore) -> dict[int, list[Sight]]:
    """Every sight of an object with a pose, by object."""
    found: dict[int, list[Sight]] = defaultdict(list)
    for sight in sights(store):
        view = store.view(sight.frame)
        placement = view.placements[sight.placement]
        if placement.camera_from_object is not None and view.intrinsics is not None:
            found[placement.object_id].append(sight)
    return found


def find_poses(
    finder: PoseFinder, dataset: Dataset, lifts: Sequence[Lift] = LIFTS, *, masked: bool = False
) -> list[FoundPose]:
    """Every known object that is seen in the data set's views, its pose by each of `lifts` that the data allows.

    `masked`: the mask says where the object is; else it is found in the whole image. DataError if no view shows an
    object that the finder has learnt.
    """
    store = FrameStore(dataset, max_size=None, budget_bytes=0)
    found = []
    for sight in sights(store):
        frame, placement = store[sight.frame], store.view(sight.frame).placements[sight.placement]
        number = placement.object_id
        if number not in finder.objects or frame.intrinsics is None:
            continue
        for lift in lifts:
            if lift == "camera" and frame.depth is None:
                continue
            pose = finder.find_pose(
                number, frame.image.float() / 255, frame.intrinsics.float(), depth=frame.depth, lift=lift,
                mask=own_mask(frame, sight) if masked else None,
            )  # fmt: skip
            found.append(FoundPose(number, frame.view.image, lift, pose, placement.camera_from_object))
    if not found:
        known = ", ".join(map(str, finder.objects))
        raise DataError(
            "shows none of the objects of the run",
            where=dataset.root,
            mend=f"known are: {known}; --reference DATA learns others",
        )
    return found


def score_poses(found: Sequence[FoundPose], dataset: Dataset) -> dict[str, dict[str, Any]]:
    """`pose_errors.summarise` by lift, over all objects whose mesh and pose are known, and the number of views."""
    rows: dict[str, dict[str, Any]] = {}
    for lift in dict.fromkeys(f.lift for f in found):
        parts, diameters = [], []
        for number in sorted({f.object_id for f in found}):
            model = dataset.objects.get(number)
            of = [f for f in found if f.lift == lift and f.object_id == number and f.truth is not None]
            if not of or model is None or model.mesh is None:
                continue
            nowhere = torch.full((4, 4), torch.nan)
            estimates = torch.stack([nowhere if f.found is None else f.found.camera_from_object for f in of])
            truth = torch.stack([f.truth for f in of if f.truth is not None]).float()
            vertices = load_mesh(model).vertices
            parts.append(pose_errors(estimates, truth, vertices, model.symmetry))
            diameters += [float((vertices.amax(0) - vertices.amin(0)).norm())] * len(of)
        if parts:
            joined = _joined(parts)
            summary = summarise(joined, sorted(diameters)[len(diameters) // 2])
            rows[lift] = {"views": len(diameters), **summary}
    return rows


def _joined(parts: Sequence[PoseErrors]) -> PoseErrors:
    names = [field.name for field in fields(PoseErrors)]
    return PoseErrors(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def rows_of(found: Sequence[FoundPose]) -> list[dict[str, Any]]:
    """One row an object, view and lift, plain values for JSON; `camera_from_object` in metres, None if not found."""
    return [
        {
            "image": str(f.image),
            "object": f.object_id,
            "lift": f.lift,
            "camera_from_object": None if f.found is None else f.found.camera_from_object.tolist(),
            "inliers": 0 if f.found is None else f.found.inliers,
        }
        for f in found
    ]


def read_objects(path: Path) -> dict[int, ObjectKeypoints]:
    """The objects that `load_pose_finder` wrote. RunError for a file that is not one."""
    try:
        content: Mapping[str, Any] = json.loads(path.read_text())
        return {
            int(number): ObjectKeypoints(torch.tensor(of["xyz"]).float(), torch.tensor(of["weight"]).float())
            for number, of in content.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        mend = "remove it, it is made anew from the training data"
        raise RunError("does not hold keypoints of objects", where=path, mend=mend) from error


def _plain(of: ObjectKeypoints) -> dict[str, Any]:
    return {"xyz": of.xyz.tolist(), "weight": of.weight.tolist()}


def _evenly(of: Sequence[Sight], number: int) -> list[Sight]:
    return [of[i * len(of) // min(number, len(of))] for i in range(min(number, len(of)))]


def _view(store: FrameStore, sight: Sight) -> PosedView:
    frame = store[sight.frame]
    pose = store.view(sight.frame).placements[sight.placement].camera_from_object
    assert frame.intrinsics is not None
    assert pose is not None
    mask = own_mask(frame, sight)
    return PosedView(frame.image.float() / 255, frame.intrinsics.float(), pose.float(), mask, frame.depth)
