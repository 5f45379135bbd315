"""`samepoint demo`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from samepoint.workflows.demonstration import TABLE_TOP, Demo, demo


@dataclass(frozen=True)
class DemoCommand:
    """Render a table-top data set, train on it, and see how well the result finds points (about six minutes).

    `out`: folder for data, run, evaluation.json and report.html. `minutes`: training time. `init`: auto (from
    samepoint-small, the network that comes with samepoint), random, or a run folder. `families`: of objects.
    """

    out: Path = Path("demo")
    minutes: float = Demo.minutes
    init: str = Demo.init
    families: tuple[str, ...] = TABLE_TOP.families

    def run(self) -> None:
        render = replace(TABLE_TOP, families=self.families)
        demo(self.out, Demo(minutes=self.minutes, init=self.init, render=render))
