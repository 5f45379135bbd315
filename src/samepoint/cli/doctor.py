"""`samepoint data doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from samepoint.data.corrections import Corrections
from samepoint.data.doctor.findings import Finding, Verdict
from samepoint.workflows.doctoring import examine

MARKS: dict[Verdict, str] = {
    "fault": "FAULT",
    "undecided": "?",
    "right": "ok",
    "not applicable": "-",
}
COLOURS: dict[Verdict, str] = {"fault": "1;31", "undecided": "33", "right": "32", "not applicable": "2"}
SEVERITY: tuple[Verdict, ...] = ("fault", "undecided", "right", "not applicable")


@dataclass(frozen=True)
class Doctor:
    """Say whether poses, depth, registration, intrinsics, masks and times are right, and what mends them.

    Takes frames into one another by depth and pose, and compares with matches of colour. Of several calibrated
    cameras: whether clicks meet in points, and if not why, and whether clocks agree. Exit status 0 if nothing is at
    fault, 1 if something is. `out`: a folder for doctor.json and a picture of each recording.
    """

    path: tyro.conf.Positional[Path]
    out: Path | None = None
    corrections: Annotated[Corrections, tyro.conf.arg(name="")] = field(default_factory=Corrections)

    def run(self) -> None:
        examination = examine(self.path, self.corrections, self.out)
        for line in report(examination.findings, sys.stdout.isatty()):
            print(line)
        for note in examination.notes:
            print(f"{'note':5} {note}")
        of = "" if examination.examined == examination.recordings else f" of {examination.recordings}"
        plural = "s" * (examination.recordings != 1)
        where = "" if self.out is None else f"; numbers and pictures in {self.out}"
        print(f"\nexamined {examination.examined}{of} recording{plural}{where}")
        if not examination.faults:
            print("nothing is at fault")
            return
        checks = list(dict.fromkeys(finding.check for finding in examination.faults))
        print(f"AT FAULT: {', '.join(checks)}")
        words = list(dict.fromkeys(f.fix for f in examination.faults if f.options and f.fix is not None))
        if words:
            print(f"try again, and import, with: {' '.join(words)}")
        raise SystemExit(1)


def report(findings: Sequence[Finding], coloured: bool = False) -> list[str]:
    """A line for every check, with the fix under a fault. Of several recordings the worst is shown; a finding without
    the name of one is of all together."""
    lines = []
    recordings = list(dict.fromkeys(f.recording for f in findings if f.recording))
    for check in dict.fromkeys(finding.check for finding in findings):
        these = [finding for finding in findings if finding.check == check]
        worst = min(these, key=lambda finding: SEVERITY.index(finding.verdict))
        alike = sum(finding.verdict == worst.verdict for finding in these)
        where = ""
        if len(recordings) > 1 and worst.recording:
            where = f" [{worst.recording}{f' and {alike - 1} more' if alike > 1 else ''}]"
        mark = f"{MARKS[worst.verdict]:5}"
        if coloured:
            mark = f"\033[{COLOURS[worst.verdict]}m{mark}\033[0m"
        lines.append(f"{mark} {check:13} {worst.sentence}{where}")
        if worst.fix is not None:
            lines.append(f"{'':19} mend: {worst.fix}")
        if worst.frames:
            more = f" and {len(worst.frames) - 5} more" if len(worst.frames) > 5 else ""
            lines.append(f"{'':19} in {', '.join(worst.frames[:5])}{more}")
    return lines
