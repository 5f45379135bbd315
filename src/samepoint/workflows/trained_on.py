"""Whether a run was trained on what it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samepoint.data.open import open_dataset
from samepoint.data.recording import Moment
from samepoint.data.store_files import fingerprint
from samepoint.errors import DataError


def trained_moments(config: Mapping[str, Any], asked: Sequence[Moment], asked_fingerprint: str) -> int | None:
    """How many of the moments asked have an image that the run of this config.json was trained on.

    The training split of the run's data is opened again and the files compared, links followed; copies are not
    recognised. None if nobody can tell: that data is no longer there, or, without a common image, is another than it
    was. `asked_fingerprint` (`FrameStore`) is known again also where the data was moved.
    """
    data = config.get("data")
    if not isinstance(data, Mapping) or not {"path", "fingerprint"} <= set(data):
        return None
    if data["fingerprint"] == asked_fingerprint:
        return len(asked)
    path = Path(data["path"])
    try:
        taught = open_dataset(path).split("train")
        same = fingerprint(taught, config.get("max_size")) == data["fingerprint"]
    except DataError:
        return None
    images = {view.image.resolve() for view in taught.views()}
    seen = sum(any(view.image.resolve() in images for view in moment.views) for moment in asked)
    return seen if seen or same else None
