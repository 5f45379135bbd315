"""The training log: one CSV row every few steps, TensorBoard beside it, and a line with the time left."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from torch.utils.tensorboard import SummaryWriter

COLUMNS = ("step", "seconds", "stage", "lr", "steps_per_second", "data_wait")


class TrainingLog:
    """Appends to RUN/metrics.csv and RUN/tensorboard. Rows later than `step` (of a killed run) are dropped.

    `data_wait` is the share of the time since the last row that was spent waiting for a batch.
    """

    def __init__(self, run: Path, *, step: int = 0) -> None:
        self.path = run / "metrics.csv"
        self.rows = [row for row in read_log(run) if int(float(row["step"])) <= step]
        self._write()
        self.board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def add(self, row: Mapping[str, object]) -> None:
        self.rows.append({key: _text(value) for key, value in row.items()})
        if len(self.rows) > 1 and set(self.rows[-1]) <= set(self.rows[0]):
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, list(self.rows[0])).writerow(self.rows[-1])
        else:
            self._write()
        for key, value in row.items():
            if isinstance(value, int | float) and key != "step":
                self.board.add_scalar(key, value, int(float(str(row["step"]))))

    def close(self) -> None:
        self.board.close()

    def _write(self) -> None:
        columns = list(dict.fromkeys([*COLUMNS, *(key for row in self.rows for key in row)]))
        self.rows = [{key: row.get(key, "") for key in columns} for row in self.rows]
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)


def read_log(run: Path) -> list[dict[str, str]]:
    """The rows of RUN/metrics.csv, all as text; none where there is no such file."""
    path = run / "metrics.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("step")]
    return [{key: value or "" for key, value in row.items() if key} for row in rows]


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class ProgressLine:
    """Says now and then how far the training is: rewritten in place on a terminal, a line each otherwise."""

    def __init__(self, stream: TextIO | None = None, every: float = 10.0) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.every = 1.0 if self.terminal else every
        self.last = 0.0

    def show(self, step: int, progress: float, seconds: float, row: Mapping[str, object]) -> None:
        now = time.monotonic()
        if now - self.last < self.every and progress < 1:
            return
        self.last = now
        left = seconds * (1 - progress) / progress if progress > 0 else 0.0
        text = (
            f"training {100 * progress:3.0f} %  step {step}  loss {float(str(row['loss'])):.3f}"
            f"  {float(str(row['steps_per_second'])):.1f} steps/s"
            f"  waiting for data {100 * float(str(row['data_wait'])):.0f} %"
            f"  {int(left // 60)}:{int(left % 60):02d} left"
        )
        self.stream.write(f"\r\x1b[K{text}" if self.terminal else f"{text}\n")
        self.stream.flush()

    def close(self) -> None:
        if self.terminal:
            self.stream.write("\n")
