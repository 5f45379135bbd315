"""What unlabelled moments are good for, in a picture: one held-out moment as two runs see it.

python benchmarks/s3k_picture.py SUPERVISED S3K DATA OUT.png [--moment NAME]

Two runs of `samepoint train s3k` with the same labels, the first without the unlabelled part. The moment is the one
in which the first is furthest off (the median of its keypoints); the notes say how far off each is there and, in the
median, in all held-out moments.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from samepoint.errors import one_of
from samepoint.viewers.moment_pictures import draw_moments
from samepoint.workflows.rig_evaluation import READING, RigEvaluation, evaluate_rig_run
from samepoint.workflows.rig_pictures import moment_name, moment_picture
from samepoint.workflows.rig_reporting import by_error


def chosen(evaluation: RigEvaluation, moment: str | None) -> int:
    """The moment of that name (RECORDING/MOMENT), or the worst."""
    ranked, _ = by_error(evaluation.answers[READING].errors)
    names = {moment_name(evaluation.exam, k): k for k, _ in ranked}
    if moment is None:
        return ranked[-1][0]
    if moment not in names:
        raise SystemExit(one_of("moment", moment, names))
    return names[moment]


def note(evaluation: RigEvaluation, k: int) -> str:
    errors = evaluation.answers[READING].errors
    ranked, unit = by_error(errors)
    here, median = dict(ranked)[k], errors.summary()["median_mm" if unit == "mm" else "median_agreed_pixels"]
    return f"here {here:.1f} {unit}, median of {len(ranked)} moments {median:.1f} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("supervised", "s3k", "data", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--moment")
    given = parser.parse_args()
    runs = {"labels only": given.supervised, "labels and unlabelled moments (S3K)": given.s3k}
    found = {name: evaluate_rig_run(run, given.data) for name, run in runs.items()}
    first = next(iter(found.values()))
    k = chosen(first, given.moment)
    rows = [
        replace(moment_picture(evaluation.exam, k, note(evaluation, k)), caption=name)
        for name, evaluation in found.items()
    ]
    draw_moments(given.out, rows)
    print(f"{given.out}: {moment_name(first.exam, k)}")


if __name__ == "__main__":
    main()
