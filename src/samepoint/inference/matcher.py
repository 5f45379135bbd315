"""From a name to a place in an image: the protocol under the finder, and its form with descriptors.

Shared signature: `embed(image) -> embedding`, `places(embedding, names) -> Places`, `heat(embedding, name,
size) -> h x w`, all in the pixels of the image handed to `embed`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from samepoint.correspondence.sampling import sample_descriptors
from samepoint.correspondence.scores import score_maps
from samepoint.errors import DataError
from samepoint.inference.database import KeypointDatabase, Reference
from samepoint.inference.locate import Located, locate, relative_likelihood
from samepoint.inference.settings import FinderSettings
from samepoint.types import DescriptorMap, Metric, Size


@dataclass(frozen=True)
class Places:
    """The best place of each name: uv in pixels, confidence in [0, 1]."""

    uv: Float[Tensor, "n 2"]
    confidence: Float[Tensor, " n"]


@runtime_checkable
class NameMatcher(Protocol):
    """Anything that gives a distribution over an image for a name: descriptors with a database, a keypoint
    network."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names it can look for."""
        ...

    def embed(self, image: Float[Tensor, "1 3 h w"]) -> Any:
        """Runs the network once; what it returns goes into the other methods, and only there."""
        ...

    def places(self, embedding: Any, names: Sequence[str]) -> Places:
        """The best place of each of these names, which must all be in `names`; at least one."""
        ...

    def heat(self, embedding: Any, name: str, size: Size) -> Float[Tensor, "h w"]:
        """Relative likelihood of every pixel of the image resized to `size`, in [0, 1]; its maximum is the
        confidence, at the best place."""
        ...


@runtime_checkable
class LearningMatcher(NameMatcher, Protocol):
    """A matcher that takes new names from single points."""

    def describe(self, embedding: Any, uv: tuple[float, float]) -> Float[Tensor, " d"]:
        """The descriptor at a pixel of the embedded image."""
        ...

    @property
    def database(self) -> KeypointDatabase:
        """Where references are kept."""
        ...

    @property
    def fingerprint(self) -> str:
        """Which network the descriptors are of."""
        ...


class ForgottenError(DataError):
    """A name that was known when the search began."""


class DescriptorMatcher:
    """A descriptor network with a keypoint database. Of several references of a name the best-scoring one
    wins.

    The database is read again whenever its file has changed, so names that another program adds appear at
    once.
    """

    def __init__(
        self,
        network: Callable[[Tensor], DescriptorMap],
        database: KeypointDatabase,
        fingerprint: str,
        settings: FinderSettings,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.settings, self.fingerprint = network, settings, fingerprint
        self.database = KeypointDatabase(database.path, fingerprint, database.read_only)
        self.device = torch.device(device)
        self._revision: object = ()
        self._descriptors: dict[str, Float[Tensor, "_ d"]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._current())

    def embed(self, image: Float[Tensor, "1 3 h w"]) -> DescriptorMap:
        with torch.inference_mode():
            return self.network(image.to(self.device))

    def describe(self, embedding: DescriptorMap, uv: tuple[float, float]) -> Float[Tensor, " d"]:
        place = torch.tensor([[uv]], dtype=torch.float32, device=self.device)
        return sample_descriptors(embedding, place)[0, 0].float().cpu()

    def places(self, embedding: DescriptorMap, names: Sequence[str]) -> Places:
        references = self._references(names)
        queries = self._queries(embedding, references)
        located = locate(queries, embedding, self.settings.temperature)
        best, start = [], 0
        for group in references:
            best.append(start + int(located.score[0, start : start + len(group)].argmax()))
            start += len(group)
        return Places(located.uv[0, best], self._confidence(located, embedding.metric)[best])

    def heat(self, embedding: DescriptorMap, name: str, size: Size) -> Float[Tensor, "h w"]:
        confidence = self.places(embedding, [name]).confidence[0]
        best = None
        (references,) = self._references([name])
        with torch.inference_mode():
            for reference in references:  # one at a time: a full-size map each
                queries = self._queries(embedding, [reference[None]])
                scores = score_maps(queries, embedding, size)[0, 0]
                best = scores if best is None else torch.maximum(best, scores)
            assert best is not None
            return relative_likelihood(best, self.settings.temperature) * confidence

    def _confidence(self, located: Located, metric: Metric) -> Float[Tensor, " n"]:
        return self.settings.calibration.confidence(located.score[0], located.mass[0], metric)

    def _queries(
        self, map: DescriptorMap, references: Sequence[Float[Tensor, "_ d"]]
    ) -> Float[Tensor, "1 n d"]:
        return torch.cat(list(references))[None].to(map.values)

    def _references(self, names: Sequence[str]) -> list[Float[Tensor, "_ d"]]:
        """Those of each name, all as of one moment. ForgottenError for a name that is no longer there."""
        known = self._current()
        for name in names:
            if name not in known:
                what = f"the keypoint {name!r} was forgotten by another program while it was looked for"
                raise ForgottenError(what, where=self.database.path, mend="remember it again")
        return [known[name] for name in names]

    def _current(self) -> dict[str, Float[Tensor, "_ d"]]:
        """The references as of now."""
        revision = self.database.revision()
        if revision != self._revision:
            everything = self.database.all_references()
            self._descriptors = {name: _stack(name, refs) for name, refs in everything.items()}
            self._revision = revision
        return self._descriptors


def _stack(name: str, references: Sequence[Reference]) -> Float[Tensor, "_ d"]:
    rows = [torch.from_numpy(reference.descriptor.copy()) for reference in references]
    if len({len(row) for row in rows}) > 1:
        raise DataError(f"the references of {name!r} differ in length", mend="remember the keypoint again")
    return torch.stack(rows)


def network_fingerprint(network: nn.Module, description: object = None) -> str:
    """A name for these very weights: descriptors can be compared if and only if it is equal.

    `description` (plain values, such as the network's configuration) is part of it.
    """
    digest = hashlib.blake2b(json.dumps(description, sort_keys=True).encode(), digest_size=16)
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
