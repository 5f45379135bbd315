"""Errors a user can mend. Each is one line: what is wrong, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable


class SamepointError(Exception):
    """Bad input or a missing part. The command line prints it as one line and exits with status 2.

    `what` says what is wrong, `where` names the file, folder or option, `mend` says what to do.
    """

    def __init__(self, what: str, *, where: object = None, mend: str | None = None) -> None:
        self.what, self.where, self.mend = what, where, mend
        line = what if where is None else f"{where}: {what}"
        super().__init__(line if mend is None else f"{line}; {mend}")


class DataError(SamepointError):
    """A data set, image, mask, pose or pairs file that cannot be used as it is."""


class RunError(SamepointError):
    """A run folder that is missing, half written, of another version or not of the expected kind."""


class ModelError(SamepointError):
    """A backbone, head or weights file that does not exist or does not fit."""


class MissingDependencyError(SamepointError):
    """An optional package or a system library that is not installed; `mend` names it."""


def one_of(name: str, value: object, valid: Iterable[object]) -> str:
    """A line for a wrong choice that lists the valid ones."""
    return f"{name} {value!r} is unknown; choose one of: {', '.join(map(str, valid))}"
