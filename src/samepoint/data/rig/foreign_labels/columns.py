"""DeepLabCut's table, which Lightning Pose shares: a row a frame, columns named by scorer, (individual,) body part
and coordinate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from samepoint.data.rig.foreign_labels.labels import ForeignLabel, ForeignLabels, keypoint_name
from samepoint.errors import DataError

AXES = ("x", "y", "likelihood")
MEND = "give a file as DeepLabCut or Lightning Pose writes it"


def labels_of_table(
    path: Path,
    columns: Sequence[Sequence[str]],
    frames: Sequence[str],
    values: Sequence[Sequence[float]],
) -> ForeignLabels:
    """`columns`: three or four words each; `frames`: of each row; `values`: a number a column, NaN for none.

    DataError for a body part without both coordinates, and for one that several scorers have.
    """
    places: dict[tuple[str, str], dict[str, int]] = {}
    for k, words in enumerate(columns):
        if words[-1] in AXES:
            axes = places.setdefault((words[1] if len(words) > 3 else "", words[-2]), {})
            if words[-1] in axes:
                scorers = " and ".join(dict.fromkeys(words[0] for words in columns))
                mend = f"keep the columns of one of them ({scorers})"
                raise DataError(f"{words[-2]} is there of several scorers", where=path, mend=mend)
            axes[words[-1]] = k
    for (_, part), axes in places.items():
        if not {"x", "y"} <= axes.keys():
            raise DataError(f"{part} has not both x and y", where=path, mend=MEND)
    if not places:
        raise DataError("has no columns x and y", where=path, mend=MEND)
    individuals = len({individual for individual, _ in places if individual not in ("", "single")})
    labels: list[ForeignLabel] = []
    empty = 0
    for frame, row in zip(frames, values, strict=True):
        for (individual, part), axes in places.items():
            uv = row[axes["x"]], row[axes["y"]]
            if not all(map(math.isfinite, uv)):
                empty += 1
                continue
            sure = row[axes["likelihood"]] if "likelihood" in axes else None
            labels.append(ForeignLabel(frame, keypoint_name(individual, part, individuals), uv, sure))
    extra = sorted({words[-2] for words in columns if words[-1] not in AXES and words[-2]})
    notes = (f"the columns {', '.join(extra)} are not taken",) if extra else ()
    return ForeignLabels("DeepLabCut", path, tuple(labels), empty, notes)
