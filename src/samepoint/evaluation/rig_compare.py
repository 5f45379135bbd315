"""Evaluations of several runs with named 3-D keypoints on the same moments, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samepoint.errors import DataError
from samepoint.evaluation.rig_tables import HEADER, foot, known_of, rig_row
from samepoint.evaluation.tables import format_table

FORMAT, VERSION = "samepoint-rig-comparison", 1


@dataclass(frozen=True)
class RigComparison:
    """Evaluations (JSON content) by the name to show, all of the same moments; the baselines are the first's."""

    evaluations: Mapping[str, Mapping[str, Any]]

    @property
    def first(self) -> Mapping[str, Any]:
        return next(iter(self.evaluations.values()))

    def to_json(self) -> dict[str, Any]:
        """Plain values: of each run the summary of the finder's reading, and whether it was trained on them."""
        alike = ("moments", "cameras", "names", "reading", "baselines")
        rows = {
            name: {
                **_read(values),
                "trained_on": values["trained_on"],
                "trained_on_moments": values["trained_on_moments"],
                "provenance": values["provenance"],
            }
            for name, values in self.evaluations.items()
        }
        return {
            "format": FORMAT,
            "version": VERSION,
            **{key: self.first[key] for key in alike},
            "rows": rows,
        }

    def table(self) -> str:
        """A row a run, read as the finder does, and the baselines below."""
        rows = [rig_row(name, _read(values)) for name, values in self.evaluations.items()]
        rows += [rig_row(name, summary) for name, summary in self.first["baselines"].items()]
        lines = [format_table(HEADER, rows), foot(self.first)]
        for name, values in self.evaluations.items():
            lines += [f"{name}: {line}" for line in known_of(values["trained_on_moments"], values["moments"])]
        if len({_read(values)["n_places"] for values in self.evaluations.values()}) > 1:
            lines.append("the runs look for keypoints in different cameras: compare millimetres, not pixels")
        return "\n".join(lines)


def compare_rig(evaluations: Mapping[str, Mapping[str, Any]]) -> RigComparison:
    """DataError unless all are of the same keypoints in the same moments."""
    if not evaluations:
        raise DataError("nothing to compare", mend="give at least one evaluation")
    (first, reference), *others = evaluations.items()
    for name, other in others:
        if sorted(other["names"]) != sorted(reference["names"]):
            known = ", ".join(reference["names"])
            mend = f"compare runs that know {known}"
            raise DataError(f"knows other keypoints than {first!r}", where=name, mend=mend)
        if _moments(other) != _moments(reference):
            line = f"was not evaluated on the moments of {first!r}"
            raise DataError(line, where=name, mend="evaluate both on one data set")
    return RigComparison(evaluations)


def _read(evaluation: Mapping[str, Any]) -> Mapping[str, Any]:
    return evaluation["readings"][evaluation["reading"]]


def _moments(evaluation: Mapping[str, Any]) -> tuple[Any, ...]:
    origin = evaluation["provenance"]
    return origin["data"], origin["recordings"], evaluation["moments"], _read(evaluation)["n_points"]
