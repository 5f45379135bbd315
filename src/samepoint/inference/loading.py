"""A run folder turned into a finder."""

from __future__ import annotations

from pathlib import Path

import torch

from samepoint.errors import RunError, one_of
from samepoint.inference.database import KeypointDatabase
from samepoint.inference.finder import Finder
from samepoint.inference.heatmap_matcher import HeatmapMatcher, target_width
from samepoint.inference.matcher import DescriptorMatcher, network_fingerprint
from samepoint.inference.settings import settings_of
from samepoint.models.shipped import SMALL, is_shipped
from samepoint.models.weights import CONFIG, has_heatmaps, load_heatmaps, load_network

KEYPOINTS = "keypoints.sqlite"
DEVICES = ("auto", "cpu", "cuda", "mps")


def load(run: str | Path, keypoints: str | Path | None = None, device: str = "auto") -> Finder:
    """The finder of a run folder, or of "samepoint-small", the network that comes with the package.

    `keypoints` is the keypoint database, by default `keypoints.sqlite` in the run folder (`samepoint-small.sqlite`
    here for samepoint-small); it is made by the first `remember`. A run of `samepoint train s3k` has none: its names
    are its own. `device` is "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1", "mps". RunError for what is not a
    whole run, for a file that is not a keypoint database, or one of another network.
    """
    target = choose_device(device)
    if has_heatmaps(run):
        return _load_named(run, keypoints, target)
    network, config = load_network(run, device=target)
    settings = settings_of(config, where=Path(run) / CONFIG)
    fingerprint = network_fingerprint(network, config["network"])
    own = Path(f"{SMALL}.sqlite") if is_shipped(run) else Path(run) / KEYPOINTS
    database = KeypointDatabase(Path(keypoints) if keypoints is not None else own)
    matcher = DescriptorMatcher(network.eval(), database, fingerprint, settings, target)
    matcher.database.all_references()
    return Finder(matcher, settings.max_size, settings.threshold)


def _load_named(run: str | Path, keypoints: str | Path | None, device: torch.device) -> Finder:
    """The finder of a run with named keypoints of its own."""
    if keypoints is not None:
        mend = "leave the database out, or use a descriptor run"
        raise RunError("this run has keypoints of its own and takes no database", where=run, mend=mend)
    network, config = load_heatmaps(run, device)
    where = Path(run) / CONFIG
    settings = settings_of(config, where)
    matcher = HeatmapMatcher(network, network.keypoints, target_width(config, where), device)
    return Finder(matcher, settings.max_size, settings.threshold)


def choose_device(name: str) -> torch.device:
    """ "auto" takes CUDA if there is one. RunError for a device that does not exist here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdigit()):
        raise RunError(one_of("device", name, DEVICES))
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(index or 0) >= count:
        why = "" if kind != "cuda" or count else f" (PyTorch {torch.__version__} sees no CUDA)"
        raise RunError(f"there is no device {name!r} here{why}", mend="use --device auto or cpu")
    return torch.device(name)
