"""`samepoint demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from samepoint.workflows.demonstration import Demo, demo


@dataclass(frozen=True)
class DemoCommand:
    """Render a table-top data set, train on it, and see how well the result finds points (about ten minutes).

    `out`: folder for data, run, evaluation.json and report.html. `minutes`: training time.
    """

    out: Path = Path("demo")
    minutes: float = Demo.minutes

    def run(self) -> None:
        demo(self.out, Demo(minutes=self.minutes))
