"""Points and where a run finds them: python benchmarks/found_points.py demo/run demo/pairs.json docs/images/demo.png

Points of one image (rings), and where the network finds them in another (crosses; rings are the truth): the three
pairs of lowest median error and the worst.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from samepoint.data.pairs import read_pairs
from samepoint.inference.examples import ExampleCounts, PairPicture
from samepoint.viewers.drawing import contact_sheet
from samepoint.workflows.reporting import examples_of

FOUND, TRUE = (255, 255, 255), (0, 114, 178)


def main(run: Path, pairs_file: Path, out: Path) -> None:
    pairs = read_pairs(pairs_file).pairs
    counts = ExampleCounts(successes=3, failures=1, queries=0, targets=0, descriptors=0, points=6)
    examples = examples_of(run, pairs, counts)
    pictures, captions = [], []
    for picture in (*examples.successes, *examples.failures):
        pictures += marked(picture)
        captions += ["points asked for", f"found (median error {picture.median_error:.0f} px)"]
    contact_sheet(out, pictures, captions, columns=4)


def marked(picture: PairPicture) -> list[np.ndarray]:
    """Both images at twice their size with their points drawn in."""
    a, b = (np.ascontiguousarray(cv2.resize(i, None, fx=2, fy=2)) for i in (picture.image_a, picture.image_b))
    for asked, true, found in zip(picture.uv_a, picture.uv_true, picture.uv_found, strict=True):
        cv2.circle(a, at(asked), 9, TRUE, 3, cv2.LINE_AA)
        cv2.line(b, at(true), at(found), FOUND, 1, cv2.LINE_AA)
        cv2.circle(b, at(true), 9, TRUE, 3, cv2.LINE_AA)
        cv2.drawMarker(b, at(found), FOUND, cv2.MARKER_TILTED_CROSS, 12, 3, cv2.LINE_AA)
    return [a, b]


def at(uv: np.ndarray) -> tuple[int, int]:
    """The pixel in the enlarged image."""
    u, v = ((uv + 0.5) * 2 - 0.5).round().astype(int)
    return int(u), int(v)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
