"""What a fusion found: frames with the objects' masks in colours, and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib.colors
import matplotlib.patches
import numpy as np
from jaxtyping import Int, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from samepoint.inference.images import rgb_array
from samepoint.viewers.drawing import DPI, save_figure
from samepoint.viewers.palette import series_colour


def draw_fusion(
    path: Path, images: Sequence[Path], labels: Sequence[Int[np.ndarray, "_ _"]], names: Sequence[str]
) -> None:
    """A PNG with each frame beside itself with object k (label k, -1 none) in the k-th colour and numbered k + 1."""
    columns = 2 if len(images) > 1 else 1
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(7.0 * columns, 2.7 * rows + 0.5), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        axes = figure.add_subplot(rows, columns, index + 1)
        plain = rgb_array(image)
        axes.imshow(np.concatenate((plain, masks_over(plain, label)), axis=1))
        for k, (u, v) in number_places(label).items():
            where, style = (u + plain.shape[1], v), {"ha": "center", "va": "center", "fontsize": 8}
            axes.text(*where, str(k + 1), bbox={"pad": 1, "fc": "white", "ec": "none", "alpha": 0.7}, **style)
        axes.set_axis_off()
        axes.set_title(image.name, fontsize=8, parse_math=False)
    patches = [matplotlib.patches.Patch(color=series_colour(k), label=name) for k, name in enumerate(names)]
    if patches:
        figure.legend(handles=patches, loc="outside lower center", ncols=4, fontsize=8)
    save_figure(figure, path)


def number_places(labels: Int[np.ndarray, "h w"]) -> dict[int, tuple[int, int]]:
    """For each object that is seen the pixel (u, v) deepest inside its mask."""
    places: dict[int, tuple[int, int]] = {}
    for k in np.unique(labels[labels >= 0]).tolist():
        depth = cv2.distanceTransform(np.pad((labels == k).astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
        v, u = np.unravel_index(depth.argmax(), depth.shape)
        places[k] = (int(u), int(v))
    return places


def masks_over(
    image: UInt8[np.ndarray, "h w 3"], labels: Int[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The image dimmed, with each object in its colour."""
    out = 0.45 * image.astype(np.float32)
    for k in range(int(labels.max(initial=-1)) + 1):
        colour = 255 * np.array(matplotlib.colors.to_rgb(series_colour(k)), dtype=np.float32)
        out[labels == k] = 0.45 * image[labels == k] + 0.55 * colour
    return out.round().astype(np.uint8)
