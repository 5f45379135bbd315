"""Which form a folder is that must be imported before it is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from samepoint.data.readers.bask import is_bask
from samepoint.data.readers.blenderproc import is_blenderproc
from samepoint.data.readers.colmap import is_colmap
from samepoint.data.readers.labelfusion import is_labelfusion
from samepoint.data.readers.lerobot import is_lerobot
from samepoint.data.readers.nerf_supervision import is_nerf_supervision
from samepoint.data.readers.nerfstudio import is_nerfstudio
from samepoint.data.readers.pdc import is_pdc
from samepoint.data.readers.tum.lists import is_tum
from samepoint.errors import DataError

RECOGNISED: dict[str, Callable[[Path], bool]] = {
    "lerobot": is_lerobot,
    "tum": is_tum,
    "pdc": is_pdc,
    "labelfusion": is_labelfusion,
    "bask": is_bask,
    "blenderproc": is_blenderproc,
    "nerf-supervision": is_nerf_supervision,
    "nerfstudio": is_nerfstudio,
    "colmap": is_colmap,
}
"""By name of `samepoint data import`; the first that fits. A nerfstudio folder may hold a COLMAP model as well."""


def foreign_form(root: Path) -> str | None:
    """The form to import a folder as; None if it is none of these."""
    return next((name for name, fits in RECOGNISED.items() if _fits(fits, root)), None)


def _fits(fits: Callable[[Path], bool], root: Path) -> bool:
    """A folder that cannot be looked into is of no form by that."""
    try:
        return fits(root)
    except (DataError, OSError):
        return False
