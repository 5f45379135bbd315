"""Packages of the extra `formats`, which only some readers need."""

from __future__ import annotations

import importlib
from typing import Any

from samepoint.errors import MissingDependencyError


def package(name: str, purpose: str, *, install: str = "") -> Any:
    """The module `name`. MissingDependencyError says that `purpose` needs it (`install`: its name on the index)."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        line = f"{purpose} needs the package {install or name}"
        raise MissingDependencyError(line, mend='pip install "samepoint[formats]"') from error
