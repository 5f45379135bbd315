"""S3K: named 3-D keypoints from calibrated cameras and a handful of labels (seed 003, arXiv 2009.14711).

One network gives every view a heatmap for each keypoint. Where a moment is labelled, the labels' 3-D point projected
into all views is what the heatmaps should say. Where it is not, the point on which the views agree best takes its
place: the views teach one another.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from samepoint.correspondence.collapse import SUSPECT, shares
from samepoint.correspondence.views import Weighting, agree, look
from samepoint.data.augmentation import Augmentation, change_appearance
from samepoint.data.held_out import HeldOut, hold_out
from samepoint.data.recording import Dataset
from samepoint.data.rig.checks import require_sound
from samepoint.data.rig_sampling import (
    LookFor,
    RigMoments,
    RigSource,
    largest,
    rig_batch,
    rig_moments,
    visible,
)
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.geometry.warps import random_warp, warp_images, warp_intrinsics
from samepoint.models.unet import HeatmapNetwork, UNetConfig
from samepoint.models.weights import LOOKED_FOR, load_heatmaps
from samepoint.objectives.heatmaps import heatmap_divergence
from samepoint.training.plan import Part, Probe, Ramp, Scores, Stage
from samepoint.types import Heatmaps, RigBatch, Size

log = logging.getLogger(__name__)
EXAMINED = 64
"""Moments."""
MEASURED = 16
"""Labelled moments that the measure is taken on, at most."""
TOLERANCES = (0.01, 0.02, 0.04, 0.08)
"""Shares of the image's long side within which a point counts as found, a quarter each."""
ENOUGH = 40
"""Labelled moments from which on some are held out."""
FEW = 10
"""Labelled moments below which S3K may fail (seed 003, section 4.1: 3 fail, 10 suffice)."""


@dataclass(frozen=True)
class SelfSupervision:
    """The unlabelled part: its `weight`, which is 0 for the share `start` of the training and grows until `full`;
    `weighting`, how a view's say falls as its heatmap widens."""

    weight: float = 1.0
    start: float = 0.15
    full: float = 0.4
    weighting: Weighting = "rational"

    def __post_init__(self) -> None:
        if self.weight < 0 or not 0 <= self.start <= self.full <= 1:
            line = f"weight {self.weight:g} from {self.start:g} to {self.full:g} of the training"
            mend = "weight is 0 or more, and 0 <= start <= full <= 1"
            raise DataError(line, where="--self-supervision", mend=mend)


@dataclass(frozen=True)
class S3k:
    """Named 3-D keypoints from a few labels and many unlabelled moments of calibrated cameras.

    `sigma`: width of the target heatmaps, pixels of the training images. `labelled` and `unlabelled`: moments of each
    kind a step. `look_for`: "everywhere" (every view shows every keypoint, perhaps hidden) or "labelled" (only the
    cameras that somebody labelled it in). Of `augmentation` (of each view on its own) rotation, scale, translation,
    colour, grey and noise are used; the camera matrix follows.
    """

    name: ClassVar[str] = "s3k"
    verdict: ClassVar[str] = "finds {score:.3f} of the labelled points"

    network: UNetConfig = field(default_factory=UNetConfig)
    sigma: float = 2.0
    self_supervision: SelfSupervision = field(default_factory=SelfSupervision)
    labelled: int = 4
    unlabelled: int = 4
    look_for: LookFor = "everywhere"
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(
            rotation=20.0, scale=(0.85, 1.18), translation=0.05, perspective=0.0, colour=0.2, grey=0.0
        )
    )

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise DataError(f"sigma is {self.sigma:g}", where="--sigma", mend="give pixels, such as 2")
        for name in ("labelled", "unlabelled"):
            if getattr(self, name) < 1:
                raise DataError(
                    f"{getattr(self, name)} moments a step", where=f"--{name}", mend="give 1 or more"
                )

    def with_batch(self, size: int) -> S3k:
        """The same with `size` labelled and as many unlabelled moments a step."""
        return replace(self, labelled=size, unlabelled=size)

    def moments(self, store: FrameStore) -> RigMoments:
        """What there is to train on. DataError where nothing is labelled in two views, and for calibrations, clicks
        and clocks that cannot be right (`require_sound`)."""
        return _moments(store, self.look_for)

    def build(self, store: FrameStore, init: str | Path, generator: torch.Generator) -> HeatmapNetwork:
        """A network for the keypoints that are labelled, from random weights or those of a run with these very
        keypoints."""
        if init == "pretrained":
            mend = "leave --init out, or give a run of samepoint train s3k"
            raise DataError("there are no pre-trained weights of this network", where="--init", mend=mend)
        names = self.moments(store).names
        network = HeatmapNetwork(self.network, names, generator)
        if init != "random":
            trained, _ = load_heatmaps(init)
            if trained.keypoints != names or trained.config != self.network:
                mend = "start from a run of the same network and keypoints"
                raise DataError(f"has keypoints {', '.join(trained.keypoints)}", where=init, mend=mend)
            network.load_state_dict(trained.state_dict())
        return network

    def fingerprint(self, store: FrameStore) -> str:
        """Of what it learns from beside the pixels: names, labelled points, cameras, and who is looked for where."""
        moments = self.moments(store)
        digest = hashlib.sha256(repr((moments.names, moments.places, moments.looked_for)).encode())
        views = store.dataset.views()
        cameras = [value for view in views for value in (view.intrinsics, view.world_from_camera)]
        for value in (moments.xyz, *(value for value in cameras if value is not None)):
            digest.update(value.detach().cpu().numpy().tobytes())
        return digest.hexdigest()[:32]

    def notes(self, store: FrameStore) -> dict[str, Any]:
        """Which keypoints the run looks for in which cameras, if not for all in all."""
        if self.look_for == "everywhere":
            return {}
        moments = self.moments(store)
        looked_for = {
            camera: [name for name, wanted in zip(moments.names, row) if wanted]
            for camera, row in moments.looked_for.items()
        }
        return {LOOKED_FOR: looked_for}

    def stages(self, store: FrameStore, *, from_run: bool = False) -> tuple[Stage, ...]:
        moments, size = self.moments(store), largest(store)
        source = RigSource(store, moments, tuple(moments.labelled), self.labelled, size)
        parts = [Part("labelled", source, self.supervised)]
        own = self.self_supervision
        if moments.unlabelled and own.weight > 0:
            source = RigSource(store, moments, tuple(moments.unlabelled), self.unlabelled, size)
            objective = partial(self.self_supervised, shape=moments.xyz)
            weight = own.weight if from_run else Ramp(own.weight, own.start, own.full)
            parts.append(Part("unlabelled", source, objective, weight))
        return (Stage("s3k", tuple(parts)),)

    def hold_out(self, dataset: Dataset) -> HeldOut:
        """The validation split where it is labelled, else labelled moments where there are plenty of them."""
        training = dataset.split("train")
        clicked = [
            moment for recording in training.recordings for moment in recording.moments if moment.clicks
        ]
        parts = hold_out(dataset, lambda moment: bool(moment.clicks))
        own = any(recording.split == "validation" for recording in (parts.held_out or training).recordings)
        if own or len(clicked) >= ENOUGH:
            return parts
        said = f"the labels that it trains on, because {len(clicked)} labelled moments are too few to hold any out"
        return HeldOut(training, None, said)

    def probe(self, held: FrameStore, trained_on: FrameStore) -> Probe:
        return LabelProbe(
            held, rig_moments(held.dataset, self.look_for, self.moments(trained_on).names), self.sigma
        )

    def examine(self, network: nn.Module, store: FrameStore) -> dict[str, Any]:
        """What the trained network makes of (at most 64) unlabelled moments: `spread` and `travel` of the keypoints,
        as shares of the labels' (`collapse.shares`), and `warnings`, a line each."""
        moments = self.moments(store)
        warnings = few_warnings(moments)
        if not moments.unlabelled:
            return {"warnings": warnings}
        chosen = moments.unlabelled[:: -(-len(moments.unlabelled) // EXAMINED)]
        found = torch.cat([self._found(network, store, moments, k) for k in chosen])
        told = {name: float(share) for name, share in shares(found, moments.xyz).items()}
        return {**told, "warnings": [*warnings, *collapse_warnings(told)]}

    def _found(
        self, network: nn.Module, store: FrameStore, moments: RigMoments, k: int
    ) -> Float[Tensor, "1 n 3"]:
        batch = rig_batch(store, moments, [k], largest(store))
        device = next(network.parameters()).device
        with torch.no_grad():
            heatmaps = network(batch.image.flatten(0, 1).to(device))
        heatmaps = replace(heatmaps, logits=heatmaps.logits.float().cpu())
        return agree(heatmaps, *_cameras(batch), visible(batch), self.sigma).xyz

    def supervised(
        self, network: nn.Module, batch: RigBatch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """KL from the labels' targets in all views (section 3.1)."""
        plain, batch = batch, self.augmented(batch, generator)
        heatmaps = network(batch.image.flatten(0, 1))
        loss, uv, valid = self._divergence(heatmaps, batch, plain, batch.xyz)
        found = agree(heatmaps, *_cameras(batch), visible(batch), self.sigma)
        return {"loss": loss, "pixels": _rms(found.uv.detach() - uv, valid)}

    def self_supervised(
        self, network: nn.Module, batch: RigBatch, generator: torch.Generator, *, shape: Tensor
    ) -> dict[str, Tensor]:
        """KL from the targets on which the views agree, of keypoints without label (section 3.2, eqs. 2 and 3).

        `spread`: how far apart the keypoints are found, and `travel`: how far they move from moment to moment, as
        shares of the same of the labels (`shape`); near 0 they have collapsed."""
        plain, batch = batch, self.augmented(batch, generator)
        heatmaps = network(batch.image.flatten(0, 1))
        with torch.no_grad():  # the target is not back-propagated through
            agreed = agree(
                heatmaps, *_cameras(batch), visible(batch), self.sigma, self.self_supervision.weighting
            )
        unlabelled = ~batch.xyz.isfinite().all(-1, keepdim=True)
        loss, uv, valid = self._divergence(heatmaps, batch, plain, agreed.xyz.where(unlabelled, torch.nan))
        return {
            "loss": loss,
            "pixels": _rms(agreed.uv - uv, valid),
            **shares(agreed.xyz, shape.to(agreed.xyz)),
        }

    def augmented(self, batch: RigBatch, generator: torch.Generator) -> RigBatch:
        """Every view turned, scaled and shifted on its own, its camera matrix with it, and its colours changed."""
        moments, cameras = batch.present.shape
        size, changes = _size(batch), self.augmentation
        warp = random_warp(
            generator, moments * cameras, size, size, rotation=math.radians(changes.turn),
            scale=changes.scale, translation=changes.translation,
        ).to(batch.image)  # fmt: skip
        images = change_appearance(warp_images(batch.image.flatten(0, 1), warp, size), changes, generator)
        intrinsics = warp_intrinsics(warp.unflatten(0, (moments, cameras)), batch.intrinsics)
        return replace(batch, image=images.unflatten(0, (moments, cameras)), intrinsics=intrinsics)

    def _divergence(
        self, heatmaps: Heatmaps, batch: RigBatch, plain: RigBatch, xyz: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss towards the projections of `xyz`, these, and which count: those inside the view's image, as it was
        recorded (`plain`) and as it is seen. (Where it was turned, scaled or filled up there is black.)"""
        uv, inside = look(xyz, *_cameras(batch), _size(batch))
        _, recorded = look(xyz, *_cameras(plain), plain.size)
        valid = inside & recorded & visible(batch)
        loss = heatmap_divergence(
            heatmaps.logits, heatmaps.cells, uv.flatten(0, 1), valid.flatten(0, 1), self.sigma
        )
        return loss, uv, valid


@dataclass(frozen=True)
class LabelProbe:
    """How many of the labelled points are found in the views of labelled moments, within shares of the image."""

    store: FrameStore
    moments: RigMoments
    sigma: float

    def __call__(self, network: nn.Module) -> Scores:
        labelled, size = self.moments.labelled, largest(self.store)
        chosen = labelled[:: -(-len(labelled) // MEASURED)]
        device, found = next(network.parameters()).device, []
        limits = max(size) * torch.tensor(TOLERANCES)
        for k in chosen:
            batch = rig_batch(self.store, self.moments, [k], size)
            heatmaps = network(batch.image.flatten(0, 1).to(device))
            heatmaps = replace(heatmaps, logits=heatmaps.logits.float().cpu())
            agreed = agree(heatmaps, *_cameras(batch), visible(batch), self.sigma)
            uv, inside = look(batch.xyz, *_cameras(batch), batch.size)
            errors = (agreed.uv - uv).norm(dim=-1)[inside & visible(batch)]
            if len(errors):
                found.append(float((errors[:, None] <= limits).float().mean()))
        return {"labels": found}


@lru_cache(maxsize=2)
def _moments(store: FrameStore, look_for: LookFor) -> RigMoments:
    """Kept, because every step of the way from data to a finished run asks for them."""
    found = rig_moments(store.dataset, look_for)
    if not found.labelled:
        mend = "label each keypoint in at least two views of a moment"
        raise DataError("no moment is labelled in two views", where=store.dataset.root, mend=mend)
    require_sound(store.dataset)
    for line in few_warnings(found):
        log.warning("%s", line)
    return found


def few_warnings(moments: RigMoments) -> list[str]:
    """A line where there are few labels."""
    if len(moments.labelled) >= FEW:
        return []
    return [f"{len(moments.labelled)} labelled moments: with 3 S3K may fail, {FEW} suffice; label more"]


def collapse_warnings(told: Mapping[str, float]) -> list[str]:
    """What `shares` say of a collapse, and what helps."""
    mend = "label more moments, or lower --self-supervision.weight"
    lines = []
    if told["spread"] < SUSPECT:
        what = f"where there are no labels the keypoints lie at {told['spread']:.0%} of their distances"
        lines.append(f"{what}: they have collapsed into one place, such as the object's middle; {mend}")
    if told["travel"] < SUSPECT:
        what = f"where there are no labels the keypoints move {told['travel']:.0%} as far as the labels"
        lines.append(f"{what}: they have collapsed to places that stand still; {mend}")
    return lines


def _cameras(batch: RigBatch) -> tuple[Tensor, Tensor]:
    return batch.intrinsics, batch.world_from_camera


def _size(batch: RigBatch) -> Size:
    return batch.image.shape[-2], batch.image.shape[-1]


def _rms(error: Tensor, valid: Tensor) -> Tensor:
    """Root of the mean squared length (pixels) of the errors that count; 0 where none does."""
    square = error.square().sum(-1).masked_fill(~valid, 0.0)
    return (square.sum() / valid.sum().clamp(min=1)).sqrt()
