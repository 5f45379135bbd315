"""Colours that the colour-blind can tell apart (Okabe and Ito 2008), without a red and green pair."""

from __future__ import annotations

SERIES = ("#0072B2", "#E69F00", "#56B4E9", "#CC79A7", "#8A6D00", "#44546A")
"""For curves and keypoints, in order; after the last it starts again."""

SERIES_DARK = ("#4BA6E0", "#E69F00", "#A6D8F5", "#D98DB8", "#C9A227", "#6F7D8F")
"""The same on a dark page."""

DASHES = ("", "7 3", "2 3", "9 3 2 3", "5 5", "1 4")
"""A second sign beside the colour."""

TRUE, FOUND = "#56B4E9", "#FFFFFF"
"""The true place (blue ring) and the found one (white cross). Both have a dark edge, to be seen on any
photo and on a heatmap, and differ in shape too."""

HEAT = "inferno"
"""matplotlib's name of the heatmaps' colours: monotonous in lightness."""


def series_colour(index: int) -> str:
    """The colour of the index-th curve or keypoint."""
    return SERIES[index % len(SERIES)]


def series_variable(index: int) -> str:
    """The same as a CSS variable of the page, which follows its light or dark mode."""
    return f"var(--series-{index % len(SERIES)})"


def series_variables(colours: tuple[str, ...]) -> str:
    """The definitions of these variables."""
    return " ".join(f"--series-{index}: {colour};" for index, colour in enumerate(colours))
