"""Keypoints in many image files: the rows behind `samepoint find`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from samepoint.errors import RunError
from samepoint.inference.finder import Finder
from samepoint.inference.loading import load


def find_in_files(
    run: str | Path,
    images: Sequence[str | Path],
    keypoints: str | Path | None = None,
    device: str = "auto",
) -> list[dict[str, Any]]:
    """One row an image, plain values for JSON:

    `{"image": path, "size": [height, width], "hits": {name: {"uv": [u, v], "confidence": c, "visible":
    bool}}}`.

    RunError if there are no keypoints to look for or `keypoints` does not exist; DataError for the first
    image that cannot be read.
    """
    if keypoints is not None and not Path(keypoints).is_file():
        raise RunError("there is no such keypoint database", where=keypoints, mend="check the path")
    finder = load(run, keypoints, device)
    if not finder.names:
        raise RunError(
            "no keypoints to look for",
            where=keypoints or run,
            mend="name some first, with finder.remember or in the browser (samepoint view)",
        )
    return list(found_rows(finder, images))


def found_rows(finder: Finder, images: Sequence[str | Path]) -> Iterator[dict[str, Any]]:
    """The rows of `find_in_files`, one at a time."""
    for path in images:
        seen = finder.embed(path)
        hits = {
            name: {"uv": list(hit.uv), "confidence": hit.confidence, "visible": hit.visible}
            for name, hit in finder.find(seen).items()
        }
        yield {"image": str(path), "size": list(seen.image_size), "hits": hits}
