"""Ranges of moments during which nothing moves (still.csv): labels of one of their moments hold for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from samepoint.data.recording import Recording
from samepoint.data.rig.points import stretches
from samepoint.data.rig.soundness.still import check_still
from samepoint.data.rig.tables import STILL, read_table, write_table
from samepoint.errors import DataError

FILE = "still.csv"


def add_still(folder: Path, recording: Recording, first: str, last: str) -> Recording:
    """Appends a range to the still.csv of a recording that was read from `folder`; the recording with it.

    DataError, with nothing written, for moments that there are not, a range that begins after it ends or overlaps
    another, and one whose clicks say that something moved.
    """
    names = [moment.name for moment in recording.moments]
    for name in (first, last):
        if name not in names:
            mend = f"moments are named like the images, such as {names[0]}"
            raise DataError(f"there is no moment {name!r}", where="--still", mend=mend)
    chosen = names.index(first), names.index(last)
    if chosen[0] > chosen[1]:
        raise DataError(f"{first} comes after {last}", where="--still", mend="give the earlier one first")
    stretches(replace(recording, still=(*recording.still, chosen)))
    found = check_still(replace(recording, still=(chosen,)))
    if found.verdict == "fault":
        mend = "choose moments between which nothing moves"
        raise DataError(found.sentence, where="--still", mend=mend)
    path = folder / FILE
    rows = [(row["first"], row["last"]) for _, row in read_table(path, STILL)] if path.is_file() else []
    write_table(path, STILL, [*rows, (first, last)])
    return replace(recording, still=(*recording.still, chosen))
