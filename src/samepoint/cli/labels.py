"""`samepoint data labels`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from samepoint.data.open import open_dataset
from samepoint.data.readers.multi_camera import recording_folder
from samepoint.data.recording import Dataset, Recording
from samepoint.data.rig.reprojection import KeypointLabels, keypoint_labels, label_rows
from samepoint.data.rig.still_ranges import add_still
from samepoint.data.rig.tables import LABELS, write_table
from samepoint.errors import DataError


@dataclass(frozen=True)
class Labels:
    """Say what the labels of calibrated cameras come to: in how many moments each keypoint has a 3-D point, from how
    many views, and how far clicks are from where it projects.

    `out`: a CSV file for the labels of all views and moments, as training sees them. `still`: the first and the last
    moment of a range in which nothing moves; it is added to still.csv, and labels of one of its moments hold for all.
    Both want the folder of one recording.
    """

    path: tyro.conf.Positional[Path]
    out: Path | None = None
    still: tuple[str, str] | None = None

    def run(self) -> None:
        dataset = open_dataset(self.path)
        if not any(moment.clicks for r in dataset.recordings for moment in r.moments):
            mend = "click keypoints into labels.csv (docs/multi-camera.md)"
            raise DataError("no keypoint is labelled", where=self.path, mend=mend)
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
