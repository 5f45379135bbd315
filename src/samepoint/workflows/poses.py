"""`samepoint pose`: what the keypoints of a mined run say of the poses of objects, and how wrong that is."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from samepoint.correspondence.depth import known
from samepoint.data.mesh import load_mesh
from samepoint.data.motion_sampling import SMALLEST, Sight, own_mask, sights
from samepoint.data.object_shape import ObjectShape, shape_of
from samepoint.data.open import open_dataset
from samepoint.data.plausible import check_depth
from samepoint.data.recording import Dataset
from samepoint.data.store import Frame, FrameStore
from samepoint.errors import DataError, RunError
from samepoint.evaluation.pose_errors import PoseErrors, pose_errors, summarise
from samepoint.files import read_json, write_json
from samepoint.geometry.meshes import diameter
from samepoint.inference.loading import choose_device
from samepoint.inference.pose import Lift, ObjectKeypoints, ObjectPose, PosedView, PoseFinder
from samepoint.inference.settings import settings_of
from samepoint.models.weights import MODEL, load_keypoints
from samepoint.workflows.training import training_split

OBJECTS = "objects.json"
"""In a run: where the keypoints are on the objects that it was trained on, and what they were learnt with."""
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


def load_pose_finder(
    run: str | Path, reference: str | Path | None = None, device: str = "auto"
) -> PoseFinder:
    """The pose finder of a run of `samepoint train mined`.

    Its objects are learnt from the data set `reference`, or else from what the run was trained on; the latter are
    kept in objects.json for as long as the weights and the training data are those that they were learnt with.
    `device` as in `inference.load`. RunError for a run without keypoints, a device that is not there and a file that
    holds no objects, DataError where no view has a pose.
    """
    run, target = Path(run), choose_device(device)
    network, config = load_keypoints(run, target)
    max_size = settings_of(config, where=run / "config.json").max_size
    finder = PoseFinder(network, {}, max_size=max_size, device=target)
    if reference is not None:
        learn_objects(finder, open_dataset(reference))
        return finder
    path, learnt_with = run / OBJECTS, {"weights": _digest(run / MODEL), "data": config["data"]}
    if path.is_file() and _content(path).get("learnt_with") == learnt_with:
        finder.objects = read_objects(path)
        return finder
    data = Path(config["data"]["path"])
    if not data.exists():
        mend = f"bring back {data}, or give --reference DATA"
        raise RunError("the data that it was trained on is not there", where=run, mend=mend)
    learn_objects(finder, training_split(open_dataset(data)))
    objects = {str(number): _plain(of) for number, of in finder.objects.items()}
    write_json(path, {"learnt_with": learnt_with, "objects": objects})
    return finder


def learn_objects(finder: PoseFinder, dataset: Dataset) -> None:
    """The keypoints of every object that has a mask and a pose in the data set. DataError if there is none."""
    store = FrameStore(dataset, max_size=finder.max_size)
    of_object = {number: _evenly(of, VIEWS) for number, of in posed_sights(store).items()}
    if not of_object:
        mend = "poses need rendered or registered data, or a photo with depth; give --reference DATA"
        raise DataError("no object has a mask and a pose", where=dataset.root, mend=mend)
    for number, of in sorted(of_object.items()):
        learnt = finder.learn(number, [_view(store, sight) for sight in of])
        if number in dataset.objects:
            finder.objects[number] = replace(learnt, shape=shape_of(dataset.objects[number]))


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
    """Every known object in the data set's views with intrinsics, its pose by each of `lifts` that the data allows.

    The objects of a view are those that the data set names in it; where it names none in any view, all that the
    finder has learnt. `masked`: an object's mask says where it is; else it is found in the whole image. Objects whose
    mask has fewer than SMALLEST pixels are left out, with `masked` those without a mask too. DataError if nothing is
    left to look for, for an object that is another than the finder has learnt, and for depth that is not in metres.
    """
    store = FrameStore(dataset, max_size=None, budget_bytes=0)
    _check_objects(finder, dataset)
    unnamed = not masked and not any(view.placements for view in dataset.views())
    found, measured = [], []
    for i in range(len(store)):
        view = store.view(i)
        named = any(placement.object_id in finder.objects for placement in view.placements)
        if view.intrinsics is None or not (named or unnamed):
            continue
        frame = store[i]
        if frame.depth is not None:
            measured.append(bool(known(frame.depth).any()))
        for sought in map(_Sought, finder.objects) if unnamed else _sought(frame, finder, masked):
            found += _found(finder, frame, sought, lifts, masked)
    if not found:
        raise _nothing(finder, dataset, masked)
    if "camera" in lifts and measured and not any(measured):
        mend = "samepoint data doctor says more: in too large a unit all depth is out of range"
        raise DataError("depth is unknown in every view", where=dataset.root, mend=mend)
    return found


@dataclass(frozen=True)
class _Sought:
    """An object to look for in a view; its mask and camera_from_object where the data set has them."""

    object_id: int
    mask: Bool[Tensor, "h w"] | None = None
    truth: Float[Tensor, "4 4"] | None = None


def _sought(frame: Frame, finder: PoseFinder, masked: bool) -> Iterator[_Sought]:
    """The known objects that the data set names in a view."""
    for k, placement in enumerate(frame.view.placements):
        mask = None if placement.mask is None or frame.labels is None else frame.labels == k + 1
        large = not masked if mask is None else int(mask.sum()) >= SMALLEST
        if large and placement.object_id in finder.objects:
            yield _Sought(placement.object_id, mask, placement.camera_from_object)


def _found(
    finder: PoseFinder, frame: Frame, sought: _Sought, lifts: Sequence[Lift], masked: bool
) -> Iterator[FoundPose]:
    assert frame.intrinsics is not None
    for lift in lifts:
        if lift == "camera":
            if frame.depth is None:
                continue
            _check_metres(frame, sought.mask)
        pose = finder.find_pose(
            sought.object_id, frame.image.float() / 255, frame.intrinsics.float(), depth=frame.depth, lift=lift,
            mask=sought.mask if masked else None,
        )  # fmt: skip
        yield FoundPose(sought.object_id, frame.view.image, lift, pose, sought.truth)


def _check_objects(finder: PoseFinder, dataset: Dataset) -> None:
    """DataError for an object of the data set that has the id of one that the finder knows, and is another."""
    shown = {placement.object_id for view in dataset.views() for placement in view.placements}
    for number in sorted(shown & set(finder.objects) & set(dataset.objects)):
        difference = shape_of(dataset.objects[number]).difference(finder.objects[number].shape)
        if difference is not None:
            raise DataError(
                f"object {number} is not the object {number} that the run has learnt: {difference}",
                where=dataset.root,
                mend="give --reference DATA with posed views of this one",
            )


def _check_metres(frame: Frame, mask: Tensor | None) -> None:
    """DataError for depth of a stored view, on the mask if there is one, that cannot be metres."""
    stored = frame.view.depth
    if frame.depth is None or stored is None:
        return
    here = known(frame.depth) if mask is None else known(frame.depth) & mask
    if bool(here.any()):
        values = frame.depth[here].numpy()
        check_depth(values, stored.path, stored.metres_per_unit, masked=mask is not None, mend=_import_again)


def _import_again(metres: float) -> str:
    return f"samepoint data import ... --depth-scale {metres:.6g} (metres of one unit) writes it right"


def _nothing(finder: PoseFinder, dataset: Dataset, masked: bool) -> DataError:
    """Why there is nothing to look for."""
    views = dataset.views()
    if all(view.intrinsics is None for view in views):
        mend = "a pose needs the camera's matrix: give intrinsics.json, or cam_K (docs/data.md)"
        return DataError("no view has intrinsics", where=dataset.root, mend=mend)
    if masked and all(placement.mask is None for view in views for placement in view.placements):
        mend = "leave out --masked to look for the objects in whole images"
        return DataError("no view has a mask of an object", where=dataset.root, mend=mend)
    names = ", ".join(map(str, finder.objects))
    mend = f"known are: {names} (on masks of {SMALLEST} pixels or more); --reference DATA learns others"
    return DataError("shows none of the objects of the run", where=dataset.root, mend=mend)


def score_poses(found: Sequence[FoundPose], dataset: Dataset) -> dict[str, dict[str, Any]]:
    """`pose_errors.summarise` by lift, over all objects whose mesh and pose are known, and the number of views.

    ADD and ADD-S are held against a tenth of each object's own diameter, the model's or else that of its mesh.
    """
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
            diameters += [model.diameter or diameter(vertices)] * len(of)
        if parts:
            rows[lift] = {"views": len(diameters), **summarise(_joined(parts), torch.tensor(diameters))}
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
    content = _content(path)
    try:
        return {int(number): _object(of) for number, of in content["objects"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_objects(path) from error


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content = read_json(path)
    except DataError as error:
        raise _no_objects(path) from error
    if not isinstance(content, dict):
        raise _no_objects(path)
    return content


def _no_objects(path: Path) -> RunError:
    mend = "remove it, it is made anew from the training data"
    return RunError("does not hold keypoints of objects", where=path, mend=mend)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _object(of: Mapping[str, Any]) -> ObjectKeypoints:
    """The inverse of `_plain`."""
    box = None if of["box"] is None else torch.tensor(of["box"]).float()
    shape = ObjectShape(of["diameter"], box, of["family"])
    xyz, weight, behind = (torch.tensor(of[name]).float() for name in ("xyz", "weight", "behind"))
    return ObjectKeypoints(xyz, weight, shape, behind)


def _plain(of: ObjectKeypoints) -> dict[str, Any]:
    return {
        "family": of.shape.family,
        "diameter": of.shape.diameter,
        "box": None if of.shape.box is None else of.shape.box.tolist(),
        "xyz": of.xyz.tolist(),
        "weight": of.weight.tolist(),
        "behind": torch.as_tensor(of.behind).tolist(),
    }


def _evenly(of: Sequence[Sight], number: int) -> list[Sight]:
    return [of[i * len(of) // min(number, len(of))] for i in range(min(number, len(of)))]


def _view(store: FrameStore, sight: Sight) -> PosedView:
    frame = store[sight.frame]
    pose = store.view(sight.frame).placements[sight.placement].camera_from_object
    assert frame.intrinsics is not None
    assert pose is not None
    mask = own_mask(frame, sight)
    return PosedView(frame.image.float() / 255, frame.intrinsics.float(), pose.float(), mask, frame.depth)
