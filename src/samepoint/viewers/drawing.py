"""Pictures as files: hits, heatmaps and contact sheets. Everything that is drawn comes in ready."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.patches
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from samepoint.files import write_whole
from samepoint.inference.finder import Hit
from samepoint.inference.images import rgb_array
from samepoint.viewers.palette import HEAT, series_colour

DPI = 100
NAMED = 12


def draw_hits(path: Path, image: UInt8[np.ndarray, "h w 3"], hits: Mapping[str, Hit]) -> None:
    """The image at its own size, as PNG, with a circle, the name and the confidence of every hit.

    A hit that is not visible is dashed and marked as such.
    """
    figure, axes = _canvas(image)
    one = _unit(image)
    for index, (name, hit) in enumerate(hits.items()):
        colour = series_colour(index)
        _ring(axes, hit.uv, 7 * one, colour, one, hit.visible)
        note = f"{hit.confidence:.2f}" if hit.visible else f"not visible ({hit.confidence:.2f})"
        _text(axes, hit.uv, f"{name} {note}", colour, one, image.shape[1])
    save_figure(figure, path)


def draw_views(
    path: Path, images: Mapping[str, UInt8[np.ndarray, "_ _ 3"]], hits: Mapping[str, Mapping[str, Hit]]
) -> None:
    """Images of several cameras side by side, at their own size, as PNG, with the camera's name and a ring round each
    of its hits (those outside the image are left out). Up to `NAMED` hits have their names beside them."""
    sheet, corners = _side_by_side(list(images.values()))
    figure, axes = _canvas(sheet)
    for (camera, image), corner in zip(images.items(), corners):
        one, inside = _unit(image), image.shape[1::-1]
        for index, (name, hit) in enumerate(hits[camera].items()):
            if not all(-0.5 <= x < side - 0.5 for x, side in zip(hit.uv, inside)):
                continue
            uv = hit.uv[0] + corner[0], hit.uv[1] + corner[1]
            _ring(axes, uv, 5 * one, series_colour(index), 0.7 * one, hit.visible)
            if len(hits[camera]) <= NAMED:
                _text(axes, uv, name, series_colour(index), 0.8 * one, corner[0] + image.shape[1])
        _text(axes, (corner[0] - 5 * one, corner[1] + 10 * one), camera, "white", one, sheet.shape[1] * 2)
    save_figure(figure, path)


def draw_rows(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """A picture for every row of `find_in_files`, in `folder`; equal file names get a number. The files
    written."""
    written: list[Path] = []
    for row in rows:
        path = free_path(folder, Path(row["image"]).stem, written)
        hits = {
            name: Hit((hit["uv"][0], hit["uv"][1]), hit["confidence"], hit["visible"])
            for name, hit in row["hits"].items()
        }
        draw_hits(path, rgb_array(row["image"]), hits)
        written.append(path)
    return written


def draw_heatmap(
    path: Path, image: UInt8[np.ndarray, "h w 3"], heat: Float[np.ndarray, "h w"], hit: Hit | None = None
) -> None:
    """The image at its own size, as PNG, under a heatmap in [0, 1]."""
    figure, axes = _canvas(heat_overlay(image, heat))
    if hit is not None:
        one = _unit(image)
        for colour, width in (("black", 4.0), ("white", 2.0)):
            axes.plot(*hit.uv, "+", color=colour, markersize=14 * one, markeredgewidth=width * one)
    save_figure(figure, path)


def heat_overlay(
    image: UInt8[np.ndarray, "h w 3"], heat: Float[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The image in dimmed grey with the heat in colour over it, opaque where the heat is 1."""
    grey = image.astype(np.float32) @ np.array((0.299, 0.587, 0.114), dtype=np.float32) / 255
    level = np.clip(heat, 0, 1).astype(np.float32)
    colour = matplotlib.colormaps[HEAT](0.25 + 0.7 * level)[..., :3].astype(np.float32)
    alpha = np.sqrt(level)[..., None] * 0.9
    return (255 * ((1 - alpha) * (0.15 + 0.7 * grey[..., None]) + alpha * colour)).round().astype(np.uint8)


def contact_sheet(
    path: Path, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], captions: Sequence[str] = (), columns: int = 4
) -> None:
    """Many images in rows of `columns`, as PNG, with captions under them."""
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(2.6 * columns, 2.2 * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for index, image in enumerate(images):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.imshow(image)
        axes.set_axis_off()
        if index < len(captions):
            axes.set_title(captions[index], fontsize=8, y=-0.12, parse_math=False)
    save_figure(figure, path)


def _unit(image: UInt8[np.ndarray, "h w 3"]) -> float:
    """Marks grow with the image: 1 at a long side of 640 pixels, at least 0.6."""
    return max(0.6, max(image.shape[:2]) / 640)


def _canvas(image: UInt8[np.ndarray, "h w 3"]) -> tuple[Figure, Any]:
    """A figure whose pixels are the image's, and its axes, in pixels with integers at pixel centres."""
    height, width = image.shape[:2]
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(image, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    return figure, axes


def _side_by_side(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], columns: int = 4
) -> tuple[UInt8[np.ndarray, "h w 3"], list[tuple[int, int]]]:
    """One image with all in rows of `columns`, and the pixel (u, v) where each begins."""
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    columns = min(columns, len(images))
    sheet = np.zeros((-(-len(images) // columns) * height, columns * width, 3), np.uint8)
    corners = [(index % columns * width, index // columns * height) for index in range(len(images))]
    for image, (u, v) in zip(images, corners):
        sheet[v : v + image.shape[0], u : u + image.shape[1]] = image
    return sheet, corners


def _ring(axes: Any, uv: tuple[float, float], radius: float, colour: str, line: float, visible: bool) -> None:
    for edge, width in (("black", 4.0), (colour, 2.0)):
        circle = matplotlib.patches.Circle(uv, radius, fill=False, edgecolor=edge)
        circle.set(linewidth=width * line, linestyle="solid" if visible else "dotted")
        axes.add_patch(circle)


def _text(axes: Any, uv: tuple[float, float], text: str, colour: str, one: float, width: int) -> None:
    right = uv[0] < 0.6 * width
    axes.text(
        uv[0] + (11 if right else -11) * one,
        uv[1],
        text,
        color="white",
        fontsize=9 * one,
        ha="left" if right else "right",
        va="center",
        parse_math=False,
        clip_on=True,
        bbox={"facecolor": "black", "edgecolor": colour, "alpha": 0.75, "pad": 2 * one, "linewidth": one},
    )


def free_path(folder: Path, stem: str, taken: Collection[Path]) -> Path:
    """`stem`.png in `folder`, with a number where that is taken."""
    path, number = folder / f"{stem}.png", 2
    while path in taken:
        path, number = folder / f"{stem}_{number}.png", number + 1
    return path


def save_figure(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    write_whole(Path(path), content.getvalue())
