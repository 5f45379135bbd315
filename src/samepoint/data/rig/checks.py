"""Whether a recording of several cameras is what it says: what would make training wrong is refused, and named."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from samepoint.data.doctor.findings import Finding
from samepoint.data.doctor.footage import footage_of
from samepoint.data.doctor.times import check_times
from samepoint.data.recording import Dataset, Recording
from samepoint.data.rig.points import keypoint_names
from samepoint.data.rig.soundness import calibration, clicks, still
from samepoint.data.rig.soundness.calibration import check_calibration
from samepoint.data.rig.soundness.clicks import check_clicks
from samepoint.data.rig.soundness.clocks import check_clocks
from samepoint.data.rig.soundness.exact import check_exact
from samepoint.data.rig.soundness.frame_times import check_frame_times
from samepoint.data.rig.soundness.groups import Group, points_of
from samepoint.data.rig.soundness.images import check_images
from samepoint.data.rig.soundness.labels import check_labels
from samepoint.data.rig.soundness.places import check_places
from samepoint.data.rig.soundness.still import check_still
from samepoint.errors import DataError

KEYPOINTS = "keypoints"
SHOWN = 5
"""Keypoints, or recordings, that a sentence names."""
HARMLESS = frozenset({"time stamps"})
"""Checks whose faults leave training right."""
UNJUDGED = frozenset({"undecided", "not applicable"})
log = logging.getLogger(__name__)


def check_recording(recording: Recording) -> list[Finding]:
    """Every check of one recording, that of what explains the others first."""
    made, alone = points_of(recording)
    mistimed = check_frame_times(recording, made)
    if mistimed is not None:
        unknown = "cannot be told while frames are paired wrongly"
        calibrated = Finding(calibration.CHECK, "undecided", unknown)
    else:
        unknown = "cannot be told while the calibration is at fault"
        calibrated = check_calibration(recording, made)
    findings = [
        *([mistimed] if mistimed else []),
        calibrated,
        check_places(recording, made),
        check_labels(recording, alone),
    ]
    if calibrated.verdict == "fault" or mistimed is not None:
        findings += [Finding(check, "undecided", unknown) for check in (clicks.CHECK, still.CHECK)]
    else:
        findings += [check_clicks(recording, made), check_still(recording)]
    findings += [check_exact(recording, made), check_images(recording), check_clocks(recording)]
    findings += [check_times(footage) for footage in footage_of(Dataset(Path(), (recording,)))]
    return [replace(finding, recording=recording.name) for finding in findings]


def check_keypoints(recordings: Sequence[Recording], made: Sequence[Group]) -> Finding:
    """That each keypoint that is labelled has a point somewhere. `made`: the clicks of all recordings by point."""
    names = keypoint_names(tuple(recordings))
    if not names:
        return Finding(KEYPOINTS, "not applicable", "no keypoint is labelled")
    counts = {name: sum(group[0].keypoint == name for group in made) for name in names}
    few, many = min(counts.values()), max(counts.values())
    if few == 0:
        none = [name for name, count in counts.items() if not count]
        listed = ", ".join(none[:SHOWN]) + (" ..." if len(none) > SHOWN else "")
        sentence = f"{len(none)} of {len(names)} are labelled, but at no moment in two views: {listed}"
        mend = "label them in a second view of some moments, or remove their labels"
        return Finding(KEYPOINTS, "fault", sentence, mend)
    return Finding(KEYPOINTS, "right", f"{len(names)} with {few} to {many} points each")


def check_dataset(dataset: Dataset) -> list[Finding]:
    """Every check of every recording, and of all together."""
    findings = [finding for recording in dataset.recordings for finding in check_recording(recording)]
    made = [group for recording in dataset.recordings for group in points_of(recording)[0]]
    return [*findings, check_keypoints(dataset.recordings, made)]


def require_sound(dataset: Dataset, *, every_keypoint: bool = True) -> None:
    """DataError for what makes training (or an evaluation) wrong: the first fault, and how many more there are.

    `every_keypoint`: each that is labelled must have a 3-D point somewhere. Clicks that are probably wrong are logged
    where they are few, and recordings with too few points to judge their calibration."""
    findings = check_dataset(dataset)
    faults = [f for f in findings if f.verdict == "fault" and f.check not in HARMLESS]
    faults = [f for f in faults if every_keypoint or f.check != KEYPOINTS]
    for finding in findings:
        if finding.check == clicks.CHECK and finding.verdict == "undecided" and finding.frames:
            _say_once(f"{dataset.root}, {finding.recording}: {finding.sentence}; {finding.fix}")
    thin = [f.recording for f in findings if f.check == calibration.CHECK and f.verdict in UNJUDGED]
    if thin:
        listed = ", ".join(thin[:SHOWN]) + (f" and {len(thin) - SHOWN} more" if len(thin) > SHOWN else "")
        mend = f"label {calibration.FEW} or more in two views"
        _say_once(f"{dataset.root}: too few points to judge the calibration of {listed}; {mend}")
    if not faults:
        return
    # A calibration that is at fault explains much of the rest.
    first = min(faults, key=lambda finding: finding.check != calibration.CHECK)
    where = f"{dataset.root}, {first.recording}" if first.recording else dataset.root
    more = f" (and {len(faults) - 1} more fault{'s' * (len(faults) > 2)})" if len(faults) > 1 else ""
    mend = f"{first.fix}; samepoint data doctor {dataset.root} shows it"
    raise DataError(f"{first.check}: {first.sentence}{more}", where=where, mend=mend)


@lru_cache
def _say_once(line: str) -> None:
    log.warning("%s", line)
