"""The doctor's picture of a recording: one view taken into another, depth's edges on colour, and the findings."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from samepoint.data.doctor.findings import Finding, Verdict
from samepoint.data.doctor.overlays import Edges, Overlays
from samepoint.files import write_whole

DPI = 100
COLOURS: dict[Verdict, str] = {
    "fault": "#c01818",
    "undecided": "#9a6700",
    "right": "#1a7f37",
    "not applicable": "#777777",
}
COLUMNS, PANEL = 3, 4.2
"""Panels in a row; inches of each."""
SQUARES = 8
"""Squares of a checkerboard along the width."""
EDGE, FITTED = (255, 40, 40), (40, 255, 90)

Picture = UInt8[np.ndarray, "h w 3"]
Panel = tuple[Picture, str, Verdict]
"""An image, its caption, and the verdict whose colour the caption takes."""
Line = tuple[str, Verdict]
"""A text, and the verdict whose colour it takes."""


def draw_recording(
    path: Path, name: str, findings: Sequence[Finding], overlays: Overlays | None, edges: Edges | None
) -> None:
    """One PNG: the pair and its overlays, as written and mended; the edges; a line for every check."""
    rows = _rows(overlays, edges, {finding.check: finding.verdict for finding in findings})
    lines = finding_lines(findings)
    shape = next(image.shape for row in rows for image, _, _ in row)
    panel = PANEL * shape[0] / shape[1] + 0.35
    height = panel * len(rows) + 0.19 * len(lines) + 0.6
    figure = Figure(figsize=(PANEL * COLUMNS, height), dpi=DPI)
    FigureCanvasAgg(figure)
    top = 0.4
    figure.text(0.01, 1 - 0.25 / height, name, fontsize=13, weight="bold", parse_math=False)
    for r, row in enumerate(rows):
        for c, (image, caption, verdict) in enumerate(row):
            bottom = 1 - (top + panel * (r + 1)) / height
            box = (c / COLUMNS + 0.005, bottom, 1 / COLUMNS - 0.01, (panel - 0.3) / height)
            axes = figure.add_axes(box)
            axes.imshow(image)
            axes.set_axis_off()
            axes.set_title(caption, fontsize=9, color=COLOURS[verdict], pad=3, parse_math=False)
    draw_lines(figure, lines, top + panel * len(rows) + 0.15, height)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    write_whole(Path(path), content.getvalue())


def finding_lines(findings: Sequence[Finding]) -> list[Line]:
    """A line for every check, long ones in several."""
    return [line for finding in findings for line in _lines(finding)]


def draw_lines(figure: Figure, lines: Sequence[Line], start: float, height: float) -> None:
    """Lines of text from `start` below the top of a figure of `height`, both in inches."""
    for k, (text, verdict) in enumerate(lines):
        y = 1 - (start + 0.19 * k) / height
        weight = "bold" if verdict == "fault" else "normal"
        figure.text(
            0.01, y, text, fontsize=8.5, color=COLOURS[verdict], family="monospace", weight=weight, va="top",
            parse_math=False,
        )  # fmt: skip


def checkerboard(one: Picture, other: Picture, seen: Bool[np.ndarray, "h w"]) -> Picture:
    """Squares of `one` and of `other` in turn; `one` where `other` has nothing."""
    height, width = seen.shape
    side = max(1, width // SQUARES)
    v, u = np.mgrid[:height, :width]
    squares = ((v // side + u // side) % 2 == 1) & seen
    return np.where(squares[..., None], other, one).astype(np.uint8)


def difference(one: Picture, other: Picture, seen: Bool[np.ndarray, "h w"]) -> Picture:
    """Grey where both are equal, bright or dark where they differ; black where `other` has nothing."""
    grey = [image.astype(np.float32).mean(2) for image in (one, other)]
    level = (128 + (grey[0] - grey[1])).clip(0, 255) * seen
    return np.repeat(level[..., None], 3, axis=2).astype(np.uint8)


def marked(image: Picture, edges: Bool[np.ndarray, "h w"], colour: tuple[int, int, int]) -> Picture:
    """The image, dimmed, with edges in a colour."""
    out = (image * 0.75).astype(np.uint8)
    out[edges] = colour
    return out


def _rows(
    overlays: Overlays | None, edges: Edges | None, verdicts: Mapping[str, Verdict]
) -> list[list[Panel]]:
    rows: list[list[Panel]] = []
    if overlays is not None:
        a, b = overlays.names
        rows.append([(overlays.a, f"A: {a}", "not applicable"), (overlays.b, f"B: {b}", "not applicable")])
        for k, warp in enumerate(overlays.warps):
            mended = len(overlays.warps) > 1
            verdict = verdicts.get("poses", "right")
            if mended:
                verdict = "right" if k else "fault"
            how = warp.caption if mended else "by depth and pose"
            board = checkerboard(overlays.b, warp.image, warp.seen)
            rows.append(
                [
                    (warp.image, f"A seen from B, {how}", verdict),
                    (board, "B and that in squares: lines must go on", verdict),
                    (
                        difference(overlays.b, warp.image, warp.seen),
                        "difference: flat grey is right",
                        verdict,
                    ),
                ]
            )
    if edges is not None:
        wrong = verdicts.get("registration", "right")
        panels: list[Panel] = [
            (marked(edges.image, edges.edges, EDGE), f"edges of depth on {edges.name}", wrong)
        ]
        if edges.shifted is not None:
            panels.append((marked(edges.image, edges.shifted, FITTED), "shifted so that they fit", "right"))
        if rows and len(panels) == 1:
            rows[0] += panels
        else:
            rows.append(panels)
    return rows


def _lines(finding: Finding) -> list[Line]:
    fix = f" -> {finding.fix}" if finding.fix else ""
    text = f"{finding.verdict.upper():15}{finding.check:14} {finding.sentence}{fix}"
    return [(line, finding.verdict) for line in textwrap.wrap(text, 165, subsequent_indent=" " * 30)]
