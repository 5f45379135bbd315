"""What a descriptor network is made of, as plain values that go into a run's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from samepoint.errors import ModelError, one_of
from samepoint.types import Metric

Head = Literal["linear", "pyramid"]
"""A 1x1 convolution on the last level of a dilated backbone, or a light feature pyramid."""

VERSION = 1


@dataclass(frozen=True)
class NetworkConfig:
    """Which backbone and head, and what comes out. The default is samepoint-small.

    `backbone` is a name of timm; `head` "linear" (the Dense Object Nets form) or "pyramid". `dim` is the
    length of a descriptor. `normalise`: unit vectors compared by cosine, otherwise raw vectors compared by
    Euclidean distance. `stride` is that of the descriptor map in pixels; None is the head's own (pyramid 4,
    linear 8, the patch of a vision transformer). Of a pyramid, `width` is the number of channels inside and `levels`
    how many levels of the backbone it takes, finest first (None: all; without the deepest, of stride 32, a network is
    smaller and faster, and sees less of the surroundings). With `trainable_backbone` false the backbone keeps its
    weights and normalisation statistics in training.
    """

    backbone: str = "resnet10t"
    head: Head = "pyramid"
    dim: int = 32
    normalise: bool = True
    stride: int | None = None
    width: int = 64
    levels: int | None = 4
    trainable_backbone: bool = True

    def __post_init__(self) -> None:
        if self.head not in get_args(Head):
            raise ModelError(one_of("head", self.head, get_args(Head)))
        for name in ("dim", "width"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name} is {getattr(self, name)}", mend="give a number of channels above 0")
        if self.stride is not None and self.stride < 1:
            raise ModelError(f"stride is {self.stride}", mend="give the pixels a cell, such as 4 or 8")
        if self.levels is not None and self.levels < 1:
            raise ModelError(f"levels is {self.levels}", mend="give 1 or more, or None for all")

    @property
    def metric(self) -> Metric:
        return "cosine" if self.normalise else "euclidean"

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives the same configuration back."""
        return {"version": VERSION, **asdict(self)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> NetworkConfig:
        """The configuration that `to_json` wrote. ModelError for another version or an unknown field."""
        found = dict(values)
        version = found.pop("version", None)
        if version != VERSION:
            mend = "load it with the samepoint version that wrote it"
            raise ModelError(f"network configuration has version {version!r}, not {VERSION}", mend=mend)
        known = [field.name for field in fields(NetworkConfig)]
        for name in found:
            if name not in known:
                raise ModelError(one_of("network configuration field", name, known))
        if "backbone" not in found:
            raise ModelError("network configuration names no backbone", mend="give 'backbone'")
        return NetworkConfig(**found)
