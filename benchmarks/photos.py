"""Points of the two sneakers in their other photos: python benchmarks/photos.py PHOTOS OUT.jpg RUN...

PHOTOS is the folder of the photo subjects. A row a run and sneaker: the photo that was pointed at (rings), then where
the run finds those points in the sneaker's other photos (crosses, one colour a point). There is no truth to score by.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

import samepoint
from samepoint.inference.images import rgb_array
from samepoint.viewers.drawing import contact_sheet
from samepoint.viewers.palette import series_colour

SUBJECTS = {
    "colorful_sneaker": (
        "04",
        {"heel": (180, 372), "toe": (597, 512), "lace": (353, 353), "stripe": (327, 452)},
    ),
    "shiny_sneaker": ("05", {"heel": (179, 291), "toe": (641, 432), "lace": (435, 315), "sole": (162, 497)}),
}
"""Reference photo, and points in its pixels."""
OTHERS = 4


def row(run: Path, photos: Path, reference: str, points: dict[str, tuple[int, int]]) -> list[np.ndarray]:
    """The reference with its points, then other photos with what is found."""
    with tempfile.TemporaryDirectory() as folder:
        finder = samepoint.load(run, keypoints=Path(folder) / "keypoints.json")
        for name, uv in points.items():
            finder.remember(name, photos / f"{reference}.jpg", uv)
        others = [path for path in sorted(photos.glob("*.jpg")) if path.stem != reference]
        chosen = [others[i] for i in np.linspace(0, len(others) - 1, OTHERS).round().astype(int)]
        pictures = [marked(photos / f"{reference}.jpg", list(points.values()), ring=True)]
        for path in chosen:
            hits = finder.find(path)
            pictures.append(marked(path, [hits[name].uv for name in points], ring=False))
    return pictures


def marked(path: Path, points: list, *, ring: bool) -> np.ndarray:
    image = np.ascontiguousarray(rgb_array(path))
    for index, uv in enumerate(points):
        colour = tuple(round(255 * c) for c in to_rgb(series_colour(index)))
        at = tuple(round(float(x)) for x in uv)
        for edge, width in (((255, 255, 255), 12), (colour, 7)):
            if ring:
                cv2.circle(image, at, 22, edge, width, cv2.LINE_AA)
            else:
                cv2.drawMarker(image, at, edge, cv2.MARKER_TILTED_CROSS, 40, width, cv2.LINE_AA)
    return cv2.resize(image, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)


def main(root: Path, out: Path, runs: list[Path]) -> None:
    pictures, captions = [], []
    for subject, (reference, points) in SUBJECTS.items():
        for run in runs:
            pictures += row(run, root / subject, reference, points)
            captions += [f"{run.name}: points asked for", *["found"] * OTHERS]
    with tempfile.TemporaryDirectory() as folder:
        contact_sheet(Path(folder) / "sheet.png", pictures, captions, columns=OTHERS + 1)
        Image.open(Path(folder) / "sheet.png").convert("RGB").save(out, quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(run) for run in sys.argv[3:]])
