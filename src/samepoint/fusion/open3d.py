"""Open3D, imported where it is needed: an optional part that takes a second and 400 MB."""

from __future__ import annotations

import importlib
from typing import Any

from samepoint.errors import MissingDependencyError


def open3d() -> Any:
    """The module. MissingDependencyError if it, or a system library that it needs, is not there."""
    try:
        return importlib.import_module("open3d")
    except ModuleNotFoundError as error:
        raise MissingDependencyError("fusion needs Open3D", mend='pip install "samepoint[fusion]"') from error
    except OSError as error:  # a shared library
        raise MissingDependencyError(
            f"Open3D cannot be loaded ({error})",
            mend="install the system packages libusb-1.0-0 libx11-6 libgl1 libegl1 libidn2-0",
        ) from error
