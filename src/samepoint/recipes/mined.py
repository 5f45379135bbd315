"""Descriptors mined from a keypoint network (seed 000): no correspondences, only how the object moved.

A network learns where keypoints that nobody named are, and how deep, from what two views of a rigid object must
agree on. Its last features, from which the keypoints are read, are descriptors. Views come from poses (rendered or
scanned objects) or from a single image and its mask.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from samepoint.correspondence.heatmaps import KeypointEstimate, Resolution, estimate_keypoints
from samepoint.data.augmentation import Augmentation, change_appearance, randomise_background
from samepoint.data.motion_sampling import MotionSource, PosedViews, SingleViews
from samepoint.data.object_views import Cutting
from samepoint.data.store import FrameStore
from samepoint.errors import DataError
from samepoint.models.config import NetworkConfig
from samepoint.models.keypoints import KeypointConfig, KeypointNetwork, right_first
from samepoint.objectives import keypoints as losses
from samepoint.training.engine import to_device
from samepoint.training.plan import Objective, Part, Probe, Scores, Stage
from samepoint.types import MotionBatch

Form = Literal["seed", "keypointnet"]
Views = Literal["auto", "posed", "single"]

FOCAL = 300.0
MEASURED = 6
"""Batches that the measure is taken on."""
ANNEALING = 0.15
"""Share of the training with true orientations, and again with half of them (KeypointNet: up to 30,000 and 60,000 of
200,000 steps)."""


@dataclass(frozen=True)
class KeypointLosses:
    """Weights of the five losses, and of the orientation network's.

    `margin` of the separation: pixels (form "keypointnet": of the squared distance, in object diameters). `noise` on
    the points of the pose loss: object diameters. `delta`, from where on the consistency loss is linear: radii.
    """

    consistency: float = 1.0
    pose: float = 1.0
    separation: float = 1.0
    silhouette: float = 1.0
    variance: float = 1e-3
    orientation: float = 1.0
    margin: float = 4.0
    noise: float = 0.0
    delta: float = 0.1


LOSSES: dict[Form, KeypointLosses] = {
    "seed": KeypointLosses(),
    "keypointnet": KeypointLosses(pose=0.2, variance=0.5, margin=0.05, noise=0.1),
}
"""Of each form, if nothing else is asked for. Those of "seed" are seed 000's (section 4.1) but for the margin, which
is 2 pixels there. KeypointNet's variance and consistency are in half images."""


@dataclass(frozen=True)
class OtherLosses:
    """What is to differ from the weights of the form (`LOSSES`); None: nothing."""

    consistency: float | None = None
    pose: float | None = None
    separation: float | None = None
    silhouette: float | None = None
    variance: float | None = None
    orientation: float | None = None
    margin: float | None = None
    noise: float | None = None
    delta: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.given.items():
            if value < 0 or (name == "delta" and value == 0):
                raise DataError(f"{value:g} is no {name}", where="--weights", mend="give a number above 0")

    @property
    def given(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Mined:
    """Descriptors mined from keypoints.

    `form`: the losses of seed 000, or KeypointNet's own, with their weights but for those that `weights` gives.
    `keypoints`: how many. `images` a step, in groups of `group` views of one object, every two of which are a pair.
    `views`: posed ones, or two cuts of a single image (groups of two); auto: posed where the data set has poses.
    `max_turn`: how far posed views go round the object from the first of their group, degrees. `resolution`: where
    the expectation of a heatmap is taken (eq. 4: over the image, which takes four times as long a step).
    `orientation`: with KeypointNet's orientation network. `distance` (metres) and `field_of_view` (degrees): of
    single images without depth, without camera. Of `augmentation`, what changes colours and background is used;
    `cutting` moves the views.
    """

    name: ClassVar[str] = "mined"
    verdict: ClassVar[str] = "has a loss of {loss:.4g}"

    form: Form = "seed"
    weights: OtherLosses = field(default_factory=OtherLosses)
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(dim=128, width=128))
    keypoints: int = 128
    views: Views = "auto"
    images: int = 8
    group: int = 4
    cutting: Cutting = field(default_factory=Cutting)
    max_turn: float = 90.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    resolution: Resolution = "cells"
    orientation: bool = False
    distance: float = 0.5
    field_of_view: float = 50.0

    def __post_init__(self) -> None:
        if self.distance <= 0:
            mend = "give metres, such as 0.5"
            raise DataError(f"an object cannot be {self.distance:g} m away", where="--distance", mend=mend)
        if not 1 <= self.field_of_view <= 175:
            mend = "give degrees, such as 50"
            line = f"a camera cannot see {self.field_of_view:g} degrees"
            raise DataError(line, where="--field-of-view", mend=mend)

    def with_batch(self, size: int) -> Mined:
        """The same with `size` images a step, in one group where they are few."""
        return replace(self, images=size, group=min(self.group, size))

    def source(self, store: FrameStore) -> MotionSource:
        """Views of the data set's objects. DataError where it has none."""
        if self.views == "posed" or (self.views == "auto" and _posed(store)):
            return PosedViews(store, self.cutting, self.images, self.group, max_turn=self.max_turn)
        return SingleViews(
            store, self.cutting, self.images, distance=self.distance, field_of_view=self.field_of_view
        )

    def build(self, store: FrameStore, init: str | Path, generator: torch.Generator) -> KeypointNetwork:
        """The network, whose depths begin at what is typical of the data."""
        found = self.source(store).survey(FOCAL)
        config = KeypointConfig(self.keypoints, found.depth, FOCAL, self.orientation)
        return KeypointNetwork(self.network, config, init, generator)

    def stages(self, store: FrameStore, *, from_run: bool = False) -> tuple[Stage, ...]:
        source = self.source(store)
        found = source.survey(FOCAL)
        if found.pixels < self.keypoints:
            line = f"{self.keypoints} keypoints on an object of {found.pixels} pixels"
            mend = "ask for fewer (--keypoints), or cut larger views (--cutting.size, --cutting.fill)"
            raise DataError(line, where=store.dataset.root, mend=mend)

        def stage(name: str, share: float, truth: float = 0.0) -> Stage:
            objective = partial(self.objective, radius=found.radius, truth=truth)
            return Stage(name, (Part("views", source, objective),), share)

        if not self.orientation:
            return (stage("mined", 1.0),)
        return (
            stage("true orientation", ANNEALING, truth=1.0),
            stage("half true", ANNEALING, truth=0.5),
            stage("mined", 1 - 2 * ANNEALING),
        )

    def probe(self, held: FrameStore, trained_on: FrameStore) -> Probe:
        """Its own losses on views of `held`. DataError where these show no object."""
        objective = partial(self.objective, radius=self.source(trained_on).survey(FOCAL).radius)
        return LossProbe(self.source(held), objective)

    def objective(
        self,
        network: nn.Module,
        batch: MotionBatch,
        generator: torch.Generator,
        *,
        radius: float,
        truth: float = 0.0,
    ) -> dict[str, Tensor]:
        """The losses of a batch by name, and `loss`, their weighted sum. `radius` (metres) is the objects'; `truth`
        the probability that an image's true orientation takes the place of the predicted one."""
        images = randomise_background(batch.image, batch.mask.long(), self.augmentation.background, generator)
        images = change_appearance(images, self.augmentation, generator)
        if truth > 0:
            maps, axis = network(images, _some(right_first(batch.axis), truth, generator))
        else:
            maps, axis = network(images)
        found = estimate_keypoints(maps, batch.mask.to(images), self.resolution)
        terms = self._terms(found, batch, generator, radius)
        if axis is not None:
            unit = 2 / max(images.shape[-2:])
            terms["orientation"] = ((axis - batch.axis) * unit).square().sum(-1).mean()
        weights = self.losses
        loss = torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()
        return {"loss": loss, **terms, "residual": batch.residual.mean()}

    def _terms(
        self, found: KeypointEstimate, batch: MotionBatch, generator: torch.Generator, radius: float
    ) -> dict[str, Tensor]:
        weights, moved = self.losses, batch.b_from_a
        of_a, of_b = batch.pairs.unbind(1)
        camera_a, camera_b = batch.intrinsics[of_a], batch.intrinsics[of_b]
        xyz = found.xyz(batch.intrinsics)
        a, b = xyz[of_a], xyz[of_b]
        assert found.on_mask is not None
        noise, shown = 2 * weights.noise * radius, {"silhouette": losses.silhouette(found.on_mask)}
        if self.form == "keypointnet":
            unit = max(batch.image.shape[-2:]) / 2
            return shown | {
                "consistency": losses.reprojection(a, b, moved, camera_a, camera_b, unit=unit),
                "pose": losses.relative_rotation(a, b, moved, noise=noise, generator=generator),
                "separation": losses.separation(xyz / (2 * radius), weights.margin, squared=True),
                "variance": losses.variance(found.spread) / unit**2,
            }
        return shown | {
            "consistency": losses.consistency(a, b, moved, delta=weights.delta * radius) / radius,
            "pose": losses.relative_pose(a, b, moved, length=radius, noise=noise, generator=generator),
            "separation": losses.separation(found.uv, weights.margin),
            "variance": losses.variance(found.spread),
        }

    @property
    def losses(self) -> KeypointLosses:
        """The weights that hold."""
        return replace(LOSSES[self.form], **self.weights.given)


@dataclass(frozen=True)
class LossProbe:
    """Minus the loss of a few batches, the same ones every time."""

    source: MotionSource
    objective: Objective

    def __call__(self, network: nn.Module) -> Scores:
        device, losses = next(network.parameters()).device, []
        for k in range(MEASURED):
            batch = to_device(self.source.sample(torch.Generator().manual_seed(k)), device)
            generator = torch.Generator().manual_seed(MEASURED + k)
            losses.append(-float(self.objective(network, batch, generator)["loss"]))
        return {"losses": losses}


def _some(flag: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A random share of the flags, NaN in place of the others."""
    return torch.where((torch.rand(len(flag), generator=generator) < share).to(flag.device), flag, torch.nan)


def _posed(store: FrameStore) -> bool:
    seen: set[int] = set()
    for i in range(len(store)):
        view = store.view(i)
        for placement in view.placements:
            if placement.camera_from_object is None or view.intrinsics is None:
                continue
            if placement.object_id in seen:
                return True
            seen.add(placement.object_id)
    return False
