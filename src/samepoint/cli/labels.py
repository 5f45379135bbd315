"""`samepoint data labels`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from samepoint.data.open import open_dataset
from samepoint.data.readers.multi_camera import names_of, recording_folder
from samepoint.data.recording import Dataset, Recording
from samepoint.data.rig.foreign_labels.placing import place
from samepoint.data.rig.reprojection import KeypointLabels, keypoint_labels, label_rows
from samepoint.data.rig.still_ranges import add_still
from samepoint.data.rig.tables import LABELS, write_table
from samepoint.errors import DataError


@dataclass(frozen=True)
class Labels:
    """Say what the labels of calibrated cameras come to: in how many moments each keypoint has a 3-D point, from how
    many views, and how far clicks are from where it projects.

    `from`: files of DeepLabCut, Lightning Pose or SLEAP, which become the recording's labels.csv; each is of the
    camera that its images' folder, its name or its folder says, or CAMERA=FILE. `confidence`: how sure predictions
    must be. `overwrite`: in place of a labels.csv that is there. `out`: a CSV file for the labels of all views and
    moments, as training sees them. `still`: the first and the last moment of a range in which nothing moves; it is
    added to still.csv, and labels of one of its moments hold for all.
    All but `path` alone want the folder of one recording.
    """

    path: tyro.conf.Positional[Path]
    from_: Annotated[tuple[str, ...], tyro.conf.arg(name="from")] = ()
    confidence: float = 0.6
    overwrite: bool = False
    out: Path | None = None
    still: tuple[str, str] | None = None

    def run(self) -> None:
        if self.from_:
            self._take()
        dataset = open_dataset(self.path)
        if not any(moment.clicks for r in dataset.recordings for moment in r.moments):
            other = next((note for note in dataset.notes if "--from" in note), None)
            mend = other or "click keypoints into labels.csv (docs/multi-camera.md)"
            raise DataError("no keypoint is labelled", where=self.path, mend=mend)
        for note in dataset.notes:
            print(f"note: {note}")
        if self.still is not None:
            recording = self._only(dataset)
            recording = add_still(recording_folder(self.path, recording), recording, *self.still)
            dataset = replace(dataset, recordings=(recording,))
            print(f"nothing moves from {self.still[0]} to {self.still[1]}: written to still.csv")
        for line in report(keypoint_labels(dataset.recordings)):
            print(line)
        if self.out is not None:
            rows = list(label_rows(self._only(dataset)))
            write_table(self.out, LABELS, rows)
            print(f"wrote {len(rows)} labels to {self.out}")

    def _take(self) -> None:
        """Writes labels.csv from other programs' files."""
        target = self.path / "labels.csv"
        if any(
            Path(source.partition("=")[2] or source).resolve() == target.resolve() for source in self.from_
        ):
            mend = "give it another name first: what is written would replace it"
            raise DataError("is the file that is written", where=target, mend=mend)
        if target.exists() and not self.overwrite:
            raise DataError("is there already", where=target, mend="move it away, or give --overwrite")
        placed = place(self.from_, names_of(self.path), self.confidence)
        for line in placed.lines:
            print(line)
        write_table(target, LABELS, placed.rows)
        print(f"wrote {len(placed.rows)} labels to {target}")

    def _only(self, dataset: Dataset) -> Recording:
        if len(dataset.recordings) != 1:
            names = ", ".join(recording.name for recording in dataset.recordings)
            mend = f"give the folder of one of them: {names}"
            raise DataError(f"holds {len(dataset.recordings)} recordings", where=self.path, mend=mend)
        return dataset.recordings[0]


def report(labels: list[KeypointLabels]) -> list[str]:
    """A line for every keypoint."""
    width = max(len("keypoint"), *(len(found.name) for found in labels))
    lines = [f"{'keypoint':{width}}  clicked  3-D points  views  median error"]
    for found in labels:
        few, many = found.views
        views = f"{few}" if few == many else f"{few}-{many}"
        error = f"{found.pixels:.2g} px" if found.moments else "-"
        lines.append(f"{found.name:{width}}  {found.clicked:7}  {found.moments:10}  {views:>5}  {error:>12}")
    return lines
