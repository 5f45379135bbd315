"""Colours that the colour-blind can tell apart (Okabe and Ito 2008), without a red and green pair."""

from __future__ import annotations

SERIES = ("#0072B2", "#E69F00", "#56B4E9", "#CC79A7", "#8A6D00", "#44546A")
"""For curves and keypoints, in order; after the last it starts again."""

DASHES = ("", "7 3", "2 3", "9 3 2 3", "5 5", "1 4")
"""A second sign beside the colour."""

TRUE, FOUND = "#56B4E9", "#E69F00"
"""The true place (blue ring) and the found one (orange cross)."""

HEAT = "inferno"
"""matplotlib's name of the heatmaps' colours: monotonous in lightness."""


def series_colour(index: int) -> str:
    return SERIES[index % len(SERIES)]
