"""`samepoint data doctor`: every check on every recording, and the pictures that show what was found.

Recordings of several calibrated cameras have checks of their own (`data.rig.checks`), and all of them are examined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samepoint.data.corrections import Corrections, corrected
from samepoint.data.doctor.cameras import check_intrinsics
from samepoint.data.doctor.depth import check_along, check_unit, median_depth
from samepoint.data.doctor.diagnosis import diagnose
from samepoint.data.doctor.edge_shift import measure_shift
from samepoint.data.doctor.evidence import Case
from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import Footage, evenly, footage_of, shoot
from samepoint.data.doctor.invalid import check_values, with_fitting_depth
from samepoint.data.doctor.masks import check_masks
from samepoint.data.doctor.overlays import edge_picture, overlays
from samepoint.data.doctor.poses import check_poses, check_sync
from samepoint.data.doctor.readings import Reading
from samepoint.data.doctor.refusals import check_rotations, refused
from samepoint.data.doctor.registration import FRAMES, LONG_SIDE, check_registration
from samepoint.data.doctor.shifted_matches import matches_say
from samepoint.data.doctor.times import check_times
from samepoint.data.open import open_dataset
from samepoint.data.readers.multi_camera import is_multi_camera
from samepoint.data.recording import Dataset
from samepoint.data.rig.checks import check_dataset
from samepoint.data.rig.soundness.groups import points_of
from samepoint.data.rig.soundness.overlays import worst_moment
from samepoint.errors import DataError
from samepoint.files import write_json
from samepoint.viewers.doctor_pictures import draw_recording
from samepoint.viewers.rig_pictures import draw_moment

RECORDINGS = 8
"""At most so many recordings of a data set are examined, evenly spread."""


@dataclass(frozen=True)
class Examination:
    """Findings of all recordings that were `examined`, of `recordings`; pictures if a folder was given; the `notes`
    of the data set."""

    findings: tuple[Finding, ...]
    examined: int
    recordings: int
    pictures: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict == "fault")

    def as_json(self) -> dict[str, Any]:
        return {
            "consistent": not self.faults,
            "recordings": self.recordings,
            "examined": self.examined,
            "findings": [finding.as_json() for finding in self.findings],
            "pictures": [path.name for path in self.pictures],
            **({"notes": list(self.notes)} if self.notes else {}),
        }


def examine(path: Path, corrections: Corrections | None = None, out: Path | None = None) -> Examination:
    """Examines what `open_dataset` reads at `path`, read with `corrections`. Deterministic.

    With `out`, writes doctor.json and a picture for each recording there. DataError if the data set cannot be read
    for another reason than those the doctor looks for.
    """
    corrections = corrections or Corrections()
    path = Path(path)
    try:
        if path.is_dir() and is_multi_camera(path):
            return _rigs(corrected(open_dataset(path), corrections), out)
        depth_only = Corrections(depth_scale=corrections.depth_scale)
        dataset = corrected(open_dataset(path), depth_only)  # a reading says how poses are meant
        every = footage_of(dataset)
        chosen = [every[i] for i in evenly(range(len(every)), RECORDINGS)]
        results = [_recording(footage, corrections, out) for footage in chosen]
        found = tuple(finding for findings, _ in results for finding in findings)
        pictures = tuple(picture for _, drawn in results for picture in drawn)
        done = Examination(found, len(chosen), len(every), pictures, dataset.notes)
    except DataError as error:
        fault = refused(error, path)
        if fault is None:
            raise
        done = Examination((replace(fault, recording=path.name),), 1, 1)
    return _written(done, out)


def _written(done: Examination, out: Path | None) -> Examination:
    if out is not None:
        write_json(Path(out) / "doctor.json", done.as_json(), indent=1)
    return done


def _rigs(dataset: Dataset, out: Path | None) -> Examination:
    findings = check_dataset(dataset)
    pictures = []
    for recording in dataset.recordings if out is not None else ():
        moment = worst_moment(recording, points_of(recording)[0])
        if moment is not None:
            path = Path(out or ".") / f"{recording.name}.png"
            draw_moment(path, recording.name, [f for f in findings if f.recording == recording.name], moment)
            pictures.append(path)
    number = len(dataset.recordings)
    return _written(Examination(tuple(findings), number, number, tuple(pictures), dataset.notes), out)


def _recording(
    footage: Footage, corrections: Corrections, out: Path | None
) -> tuple[list[Finding], list[Path]]:
    values, invalid = check_values(footage)
    whole = with_fitting_depth(footage)
    case = Case(whole, invalid)
    diagnosis = diagnose(case, Reading.given(corrections))
    with_depth = [i for i, view in enumerate(whole.views) if view.depth is not None]
    large = shoot(whole, evenly(with_depth, FRAMES), invalid, LONG_SIDE)
    shift = measure_shift(list(large.values()))
    said = None
    if shift is not None and shift.width:
        said = matches_say(case, diagnosis.found, (shift.u / shift.width, shift.v / shift.width))
    unit = next((v.depth.metres_per_unit for v in whole.views if v.depth is not None), None)
    findings = [
        check_rotations(footage),
        check_poses(diagnosis),
        check_sync(diagnosis),
        check_unit(diagnosis, median_depth(list(large.values())), unit),
        values,
        check_along(diagnosis),
        check_registration(shift, said),
        check_intrinsics(footage, diagnosis),
        check_masks(footage),
        check_times(footage),
    ]
    findings = [replace(finding, recording=footage.name) for finding in findings]
    if out is None:
        return findings, []
    bad_shift = shift if any(f.check == "registration" and f.verdict == "fault" for f in findings) else None
    middle = list(large.values())[len(large) // 2] if large else None
    edges = None if middle is None else edge_picture(middle, bad_shift)
    warps = overlays(diagnosis)
    if warps is None and edges is None:
        return findings, []
    path = Path(out) / f"{footage.name.replace('/', '_')}.png"
    draw_recording(path, footage.name, findings, warps, edges)
    return findings, [path]
