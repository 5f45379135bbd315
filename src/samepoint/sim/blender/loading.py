"""Blender as a Python module: there or not, and quiet."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from samepoint.errors import MissingDependencyError

PACKAGES = "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libgl1"
"""What the wheel of bpy links against on Debian, beside what it brings."""


def load_bpy() -> Any:
    """The module `bpy`. MissingDependencyError says whether it, its Python version or a system library is missing."""
    if "bpy" not in sys.modules:
        # Once loaded, it puts its own folders before all others, one of which holds only a part of itself. A worker
        # process is started with the search path of its parent and would find that part first.
        sys.path[:] = [entry for entry in sys.path if f"{os.sep}bpy{os.sep}" not in entry]
    try:
        with silence():
            return importlib.import_module("bpy")
    except ModuleNotFoundError as error:
        mend = 'pip install "samepoint[blender]"'
        if sys.version_info[:2] != (3, 11):
            mend += f" in an environment with Python 3.11, which it is made for (this is {sys.version.split()[0]})"
        line = "rendering with Blender needs the package bpy"
        raise MissingDependencyError(
            line + ("" if error.name == "bpy" else f" ({error})"), mend=mend
        ) from error
    except (ImportError, OSError) as error:
        line = f"Blender's package bpy does not start ({error})"
        raise MissingDependencyError(line, mend=f"install the Debian packages {PACKAGES}") from error


def _flush() -> None:
    """Writes out what Python and the C library hold back, which belongs to where they write just now."""
    sys.stdout.flush()
    sys.stderr.flush()
    with suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).fflush(None)


@contextmanager
def silence() -> Iterator[None]:
    """What Blender's own code writes to the standard output and error goes nowhere."""
    _flush()
    kept = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        _flush()
        for number, copy in zip((1, 2), kept):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)
