"""How well an s3k run finds its keypoints in recordings of several cameras whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from samepoint.correspondence.collapse import shares
from samepoint.correspondence.views import look
from samepoint.data.open import open_dataset
from samepoint.data.recording import Split
from samepoint.data.rig.checks import require_sound
from samepoint.data.rig_sampling import RigMoments, largest, rig_batch, rig_moments, visible
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.evaluation.point_errors import PointErrors
from samepoint.evaluation.rig_truth import BatchTruth, Truth, truths
from samepoint.geometry.motions import invert, transform
from samepoint.inference.heatmap_matcher import target_width
from samepoint.inference.loading import choose_device
from samepoint.inference.points import Points, PointSettings, locate_points
from samepoint.inference.rig_images import within
from samepoint.inference.settings import settings_of
from samepoint.models.unet import HeatmapNetwork
from samepoint.models.weights import CONFIG, LOOKED_FOR, load_heatmaps
from samepoint.types import Heatmaps, RigBatch, Size
from samepoint.workflows.evaluation import held_out
from samepoint.workflows.trained_on import trained_moments

FORMAT, VERSION = "samepoint-rig-evaluation", 1
TOGETHER = 8
"""Moments a batch."""
READING = "mode, refined"
"""The finder's (`load_rig`)."""
READINGS: Mapping[str, Mapping[str, Any]] = {
    "mean": {"readout": "mean", "refine": 0},
    "mode": {"readout": "mode", "refine": 0},
    READING: {},
}
"""Ways to read a heatmap, as `PointSettings`. The first is the text's (seed 003)."""
CHANCE = "chance"
OF_THE_SURE = ("visible", "visible_median_mm", "covered", "stated_mm")
"""What a summary of PointErrors says of confidences and covariances."""


@dataclass(frozen=True)
class Exam:
    """A network, and the moments whose truth is known: `asked` are their indices in `moments`. `sigma`: width of the
    targets that it was trained towards, pixels of its images. `threshold`: the confidence from which on it is sure.
    `trained_on`: how many of the moments asked its training saw (`trained_moments`)."""

    network: HeatmapNetwork
    store: FrameStore
    moments: RigMoments
    asked: tuple[int, ...]
    truths: tuple[Truth, ...]
    sigma: float
    threshold: float
    trained_on: int | None

    @cached_property
    def size(self) -> Size:
        return largest(self.store)

    def batch(self, places: Sequence[int]) -> tuple[RigBatch, BatchTruth]:
        """Of moments by their places in `asked`."""
        chosen, truth = [self.asked[k] for k in places], [self.truths[k] for k in places]
        batch = rig_batch(self.store, self.moments, chosen, self.size)
        return batch, BatchTruth.of(self.store, self.moments, chosen, truth, self.size)


@dataclass(frozen=True)
class Answers:
    """`errors` of the moments asked, and the points `xyz` (world, metres, NaN where none was found)."""

    errors: PointErrors
    xyz: Float[Tensor, "m n 3"]


@dataclass(frozen=True)
class RigEvaluation:
    """The answers of a run by reading, and those of `chance`; `origin` is plain values that say where from."""

    exam: Exam
    answers: Mapping[str, Answers]
    chance: Answers
    origin: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain, finite values: of every reading and of chance the summary of PointErrors, by keypoint too, and the
        `collapse` shares; whether moments were `trained_on`, and how many. None for what is not known."""
        seen = self.exam.trained_on
        return {
            "format": FORMAT,
            "version": VERSION,
            "predictor": self.origin["run"],
            "moments": len(self.exam.asked),
            "cameras": len({camera for truth in self.exam.truths for camera in truth.uv}),
            "names": list(self.exam.moments.names),
            "trained_on": None if seen is None else seen > 0,
            "trained_on_moments": seen,
            "reading": READING,
            "readings": {name: scored(self.exam, answers) for name, answers in self.answers.items()},
            "baselines": {CHANCE: scored(self.exam, self.chance, sure=False)},
            "provenance": dict(self.origin),
        }


def evaluate_rig_run(
    run: Path, data: Path, *, split: Split | None = None, device: str = "auto"
) -> RigEvaluation:
    """A run's answers to a data set, read in three ways (`READINGS`), beside chance: always the mean of where the
    keypoint is in the other moments.

    `split` None: the test split, else validation, else all. Exact points (points.csv) are the truth where the data
    set has them, else the clicks and the points that they make. RunError or DataError with one line.
    """
    exam = open_exam(run, data, split=split, device=device)
    readings = {name: PointSettings(exam.sigma, **reading) for name, reading in READINGS.items()}
    found = answers(exam, readings)
    origin = {
        "run": run.name,
        "method": "s3k",
        "data": data.resolve().name,
        "fingerprint": exam.store.fingerprint,
        "recordings": [recording.name for recording in exam.store.dataset.recordings],
        "samepoint": version("samepoint"),
        "torch": torch.__version__,
    }
    return RigEvaluation(exam, {name: found[name] for name in readings}, found[CHANCE], origin)


def evaluate_rig(
    run: Path,
    data: Path,
    *,
    split: Split | None = None,
    settings: PointSettings | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """One reading of `evaluate_rig_run`: the summary of PointErrors, by keypoint too, and the `collapse` shares.
    `settings` None: the finder's."""
    exam = open_exam(run, data, split=split, device=device)
    found = answers(exam, {READING: settings or PointSettings(exam.sigma)})
    return {**scored(exam, found[READING]), "moments": len(exam.asked)}


def open_exam(run: Path, data: Path, *, split: Split | None = None, device: str = "auto") -> Exam:
    """A run and the moments of a data set to ask it. DataError where there is no truth, or none that can be right
    (`require_sound`)."""
    network, config = load_heatmaps(run, choose_device(device))
    where = run / CONFIG
    dataset = open_dataset(data)
    dataset = held_out(dataset) if split is None else dataset.split(split)
    if not dataset.recordings:
        raise DataError(f"no recording belongs to the {split} split", where=data)
    moments = rig_moments(dataset, names=network.keypoints)
    require_sound(dataset, every_keypoint=False)
    taught = config.get(LOOKED_FOR, {})
    looked_for = {
        camera: tuple(name in taught.get(camera, moments.names) for name in moments.names)
        for camera in moments.looked_for
    }
    moments = replace(moments, looked_for=looked_for)
    known = {k: truth for k, truth in enumerate(truths(dataset, moments)) if truth.says_anything}
    if not known:
        mend = f"label some moments in two views, or add points.csv; the run knows {', '.join(moments.names)}"
        raise DataError("has no truth to compare with", where=data, mend=mend)
    finder = settings_of(config, where)
    store, asked = FrameStore(dataset, max_size=finder.max_size), tuple(known)
    places = [moments.places[k] for k in asked]
    seen = trained_moments(config, [dataset.recordings[r].moments[m] for r, m in places], store.fingerprint)
    sigma = target_width(config, where)
    return Exam(network, store, moments, asked, tuple(known.values()), sigma, finder.threshold, seen)


def answers(exam: Exam, readings: Mapping[str, PointSettings]) -> dict[str, Answers]:
    """By reading, and of `CHANCE`."""
    errors: dict[str, list[PointErrors]] = {name: [] for name in (*readings, CHANCE)}
    xyz: dict[str, list[Tensor]] = {name: [] for name in readings}
    guesses = mean_of_others(torch.stack([truth.xyz for truth in exam.truths]))
    for start in range(0, len(exam.asked), TOGETHER):
        batch, truth = exam.batch(range(len(exam.asked))[start : start + TOGETHER])
        heatmaps, cameras = (
            heatmaps_of(exam.network, batch, truth),
            (batch.intrinsics, batch.world_from_camera),
        )
        for name, settings in readings.items():
            found = locate_points(heatmaps, *cameras, visible(batch), settings)
            sure = found.confidence >= exam.threshold
            errors[name].append(truth.errors(found.uv, found.projected, found.xyz, found.covariance, sure))
            xyz[name].append(found.xyz)
        guess = guesses[start : start + TOGETHER]
        uv, _ = look(guess, *cameras, exam.size)
        in_front = transform(invert(batch.world_from_camera), guess[:, None])[..., 2:] > 0
        uv, unsure = uv.where(in_front, torch.nan), guess.new_full((*guess.shape, 3), torch.nan)
        never = torch.zeros(guess.shape[:2], dtype=torch.bool)
        errors[CHANCE].append(truth.errors(uv, uv, guess, unsure, never))
    every = {name: torch.cat(found) for name, found in xyz.items()} | {CHANCE: guesses}
    return {name: Answers(PointErrors.joined(parts), every[name]) for name, parts in errors.items()}


def answered(exam: Exam, places: Sequence[int]) -> tuple[Points, BatchTruth]:
    """What the finder's reading makes of moments (by their places in `asked`), pixels of the batch's images."""
    batch, truth = exam.batch(places)
    heatmaps, settings = heatmaps_of(exam.network, batch, truth), PointSettings(exam.sigma)
    return locate_points(heatmaps, batch.intrinsics, batch.world_from_camera, visible(batch), settings), truth


def mean_of_others(xyz: Float[Tensor, "m n 3"]) -> Float[Tensor, "m n 3"]:
    """Of each moment the mean over all other moments, without NaN rows; NaN where no other is known."""
    known = xyz.isfinite().all(-1, keepdim=True)
    filled = xyz.where(known, 0.0).double()
    others = known.sum(0) - known.long()
    return ((filled.sum(0) - filled) / others).where(others > 0, torch.nan).to(xyz.dtype)


def heatmaps_of(network: HeatmapNetwork, batch: RigBatch, truth: BatchTruth) -> Heatmaps:
    """Of a batch's images without the black that fits them into one size, on the CPU. `network` is in evaluation
    mode."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        heatmaps = network(batch.image.flatten(0, 1).to(device))
    heatmaps = replace(heatmaps, logits=heatmaps.logits.float().cpu())
    views, whole = batch.present.shape[1], heatmaps.image_size
    sizes = [[size for size, _ in row] + [whole] * (views - len(row)) for row in truth.sizes]
    return within(heatmaps, [size for row in sizes for size in row])


def scored(exam: Exam, answers: Answers, sure: bool = True) -> dict[str, Any]:
    """The numbers of `RigEvaluation.to_json`. `sure`: whether the answers have a confidence and a covariance."""
    errors, names = answers.errors, exam.moments.names
    parts = [errors.summary()] + [errors.of(i).summary() for i in range(len(names))]
    for part in parts:
        part |= {} if sure else dict.fromkeys(OF_THE_SURE)
    true = torch.stack([truth.xyz for truth in exam.truths])
    told = {name: float(share) for name, share in shares(answers.xyz, true).items()}
    return {**parts[0], "keypoints": dict(zip(names, parts[1:])), "collapse": told}
