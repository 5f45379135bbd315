"""A keypoint network on top of a descriptor network: where each of n points that nobody named is, and how deep.

Seed 000, section 3.2: two 1x1 convolutions read the descriptors (its "identity layer"), one for the spatial
probability of each keypoint, one for its depth. What the keypoints need to be told apart is then in the descriptors,
from where it is mined. With `orientation` a second, small network first says on which side of the image the object's
right side is, which keypoints of an object with two alike sides cannot (KeypointNet, Suwajanakorn et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from samepoint.correspondence.heatmaps import KeypointMaps, estimate_keypoints
from samepoint.errors import ModelError
from samepoint.models.config import NetworkConfig
from samepoint.models.network import DescriptorNetwork
from samepoint.types import CellMap, DescriptorMap, Size

SHARPNESS = 10.0
"""What the scores of unit descriptors are multiplied by: with weights of length 1 a heatmap starts broad, and a few
steps make it sharp. (One that starts sharp, at the wrong place, has no gradient towards the right one.)"""
FARTHEST = 3.0
"""Depths lie within a factor of exp(3) of the typical one."""
ORIENTATION = NetworkConfig("mobilenetv3_small_100", "linear", dim=2, stride=8, normalise=False)


@dataclass(frozen=True)
class KeypointConfig:
    """`number` of keypoints; `depth`: the typical depth in metres of the object in views of a camera of `focal`
    pixels, from which training starts; `orientation`: with an orientation network."""

    number: int = 128
    depth: float = 0.5
    focal: float = 300.0
    orientation: bool = False

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ModelError(f"there are {self.number} keypoints", mend="give 3 or more")
        if not (self.depth > 0 and self.focal > 0):
            raise ModelError(f"depth {self.depth} m, focal length {self.focal}", mend="both are above 0")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> KeypointConfig:
        """ModelError for an unknown field."""
        try:
            return KeypointConfig(**values)
        except TypeError as error:
            raise ModelError(f"keypoint configuration: {error}") from error


class KeypointNetwork(nn.Module):
    """Images to the heatmaps and depths of `keypoints.number` points; `describe` gives the descriptors.

    `init` and `generator`: those of DescriptorNetwork. The heads' weights are random.
    """

    def __init__(
        self,
        config: NetworkConfig,
        keypoints: KeypointConfig,
        init: str | Path = "random",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.keypoints = keypoints
        self.descriptors = DescriptorNetwork(config, init, generator)
        sharpness = SHARPNESS if config.normalise else 1.0
        self.heads = KeypointHeads(config.dim, keypoints, sharpness, generator)
        self.orientation = OrientationNetwork(generator) if keypoints.orientation else None

    @property
    def config(self) -> NetworkConfig:
        return self.descriptors.config

    def forward(
        self, image: Float[Tensor, "b 3 h w"], flag: Float[Tensor, " b"] | None = None
    ) -> tuple[KeypointMaps, Float[Tensor, "b 2 2"] | None]:
        """The maps, and the orientation network's two points (None without one). `flag` (1 or 0 for each image, NaN
        where it is not known) takes the place of what these points say."""
        axis = None if self.orientation is None else self.orientation(image)
        described = self._describe(image, axis, flag)
        with torch.autocast(image.device.type, enabled=False):
            logits, depth = self.heads(described.values)
        return KeypointMaps(logits, depth, described.cells, described.image_size, self.keypoints.focal), axis

    def describe(self, image: Float[Tensor, "b 3 h w"]) -> DescriptorMap:
        """The mined descriptors (seed 000, eq. 1)."""
        return self._describe(image, None if self.orientation is None else self.orientation(image), None)

    def cells(self, size: Size) -> CellMap:
        return self.descriptors.cells(size)

    def _describe(self, image: Tensor, axis: Tensor | None, flag: Tensor | None) -> DescriptorMap:
        if self.orientation is None:
            return self.descriptors(image)
        assert axis is not None
        own = right_first(axis.detach())
        flag = own if flag is None else torch.where(flag.isnan(), own, flag)
        return self.descriptors(self.orientation.marked(image, flag))


class KeypointHeads(nn.Module):
    """Descriptors `b d h w` to logits and depths, both `b n h w`. `sharpness` multiplies the logits."""

    def __init__(
        self, dim: int, config: KeypointConfig, sharpness: float, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.typical, self.sharpness = config.depth, sharpness
        self.probability = nn.Conv2d(dim, config.number, 1)
        self.depth = nn.Conv2d(dim, config.number, 1)
        with torch.no_grad():
            weight = torch.randn(config.number, dim, generator=generator)
            self.probability.weight.copy_(nn.functional.normalize(weight, dim=1)[..., None, None])
            for zero in (self.probability.bias, self.depth.weight, self.depth.bias):
                assert zero is not None
                zero.zero_()

    def forward(
        self, descriptors: Float[Tensor, "b d h w"]
    ) -> tuple[Float[Tensor, "b n h w"], Float[Tensor, "b n h w"]]:
        """The depth's limits are soft: at a hard one there is no gradient, and a depth that got there would stay."""
        factor = FARTHEST * nn.functional.softsign(self.depth(descriptors) / FARTHEST)
        return self.sharpness * self.probability(descriptors), self.typical * factor.exp()


class OrientationNetwork(nn.Module):
    """Where two points of the object, to its right and to its left, are in the image: pixels `b 2 2`."""

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.maps = DescriptorNetwork(ORIENTATION, "random", generator)
        self.mark = nn.Parameter(torch.zeros(3))
        with torch.no_grad():
            self.mark.copy_(0.5 * torch.randn(3, generator=generator))

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2 2"]:
        found = self.maps(image)
        maps = KeypointMaps(found.values, found.values.detach(), found.cells, found.image_size, 1.0)
        return estimate_keypoints(maps, resolution="cells").uv

    def marked(self, image: Float[Tensor, "b 3 h w"], flag: Float[Tensor, " b"]) -> Float[Tensor, "b 3 h w"]:
        """The images, tinted where the flag is 1. (KeypointNet has a fourth channel, which a backbone with weights
        for three does not; a constant channel and a tint are the same to the first convolution, up to its rank.)"""
        return image + flag.to(image)[:, None, None, None] * self.mark[:, None, None]


def right_first(axis: Float[Tensor, "b 2 2"]) -> Float[Tensor, " b"]:
    """1 where the object's right side is to the right of its left side in the image (KeypointNet's flag)."""
    return (axis[:, 0, 0] > axis[:, 1, 0]).to(axis.dtype)


class MinedDescriptors(nn.Module):
    """A keypoint network as a descriptor network, where its descriptors take more than one of its parts."""

    def __init__(self, network: KeypointNetwork) -> None:
        super().__init__()
        self.network = network

    @property
    def config(self) -> NetworkConfig:
        return self.network.config

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> DescriptorMap:
        return self.network.describe(image)
