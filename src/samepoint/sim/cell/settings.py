"""What to render of a cell, checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from samepoint.errors import DataError, one_of

CellKind = Literal["box", "shoe", "plush", "cable"]


@dataclass(frozen=True)
class CellSettings:
    """Settings of a rendered cell (docs/rendered-data.md).

    `kind` of object. `moments` of training and `test_moments`, in all, each with an image of every one of `cameras`.
    `size`: (height, width); the shorter side sees 36 cm in the middle of the cell. `fixed_cameras`: the same in the
    whole data set; else their directions are new in every moment. `distractors`: other things in view.
    `distractor_sets`: training recordings, each with distractors of its own; test recordings have others.
    `train_objects`, `test_objects`: shoes, a recording each (other kinds show one and the same object everywhere).
    The result does not depend on `workers`.
    """

    kind: CellKind = "box"
    moments: int = 300
    test_moments: int = 60
    cameras: int = 4
    size: tuple[int, int] = (128, 128)
    seed: int = 0
    fixed_cameras: bool = False
    distractors: int = 0
    distractor_sets: int = 1
    train_objects: int = 1
    test_objects: int = 1
    workers: int = 2

    def recordings(self, *, test: bool) -> int:
        """How many recordings a split has."""
        objects = 1
        if self.kind == "shoe":
            objects = self.test_objects if test else self.train_objects
        return max(objects, self.distractor_sets)

    def check(self) -> None:
        """DataError on the first setting that makes no sense."""
        if self.kind not in get_args(CellKind):
            raise DataError(one_of("kind", self.kind, get_args(CellKind)))
        wrong = [
            ("cameras", not 1 <= self.cameras <= 20, "1 to 20"), ("workers", self.workers < 1, "1 or more"),
            ("size", min(self.size) < 16 or max(self.size) > 2048, "16 to 2048"),
            ("seed", self.seed < 0, "0 or more"),
            ("distractors", not 0 <= self.distractors <= 8, "0 to 8"),
            ("distractor_sets", not 1 <= self.distractor_sets <= 100, "1 to 100"),
            ("train_objects", not 1 <= self.train_objects <= 100, "1 to 100"),
            ("test_objects", not 1 <= self.test_objects <= 100, "1 to 100"),
        ]  # fmt: skip
        for test, name in ((False, "moments"), (True, "test_moments")):
            least = self.recordings(test=test)
            wrong.append(
                (name, not least <= getattr(self, name) <= 1_000_000, f"{least} (one a recording) or more")
            )
        for name, bad, possible in wrong:
            if bad:
                raise DataError(f"{name} cannot be {getattr(self, name)!r}", mend=f"{possible} is possible")
