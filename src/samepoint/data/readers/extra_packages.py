"""Optional packages, which only some readers and tools need."""

from __future__ import annotations

import importlib
from typing import Any

from samepoint.errors import MissingDependencyError


def package(name: str, purpose: str, *, install: str = "", extra: str = "formats") -> Any:
    """The module `name`. MissingDependencyError says that `purpose` needs it (`install`: its name on the index;
    `extra`: the extra of this package that brings it)."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        line = f"{purpose} needs the package {install or name}"
        raise MissingDependencyError(line, mend=f'pip install "samepoint[{extra}]"') from error
