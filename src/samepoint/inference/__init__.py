"""What a robot program imports: `load` a run, `remember` points, `find` them."""

from samepoint.inference.batch import find_in_files
from samepoint.inference.confidence import Calibration, fit_calibration
from samepoint.inference.database import KeypointDatabase, Reference
from samepoint.inference.finder import Embedding, Finder, Hit
from samepoint.inference.loading import load
from samepoint.inference.settings import FinderSettings, write_settings

__all__ = [
    "Calibration",
    "Embedding",
    "Finder",
    "FinderSettings",
    "Hit",
    "KeypointDatabase",
    "Reference",
    "find_in_files",
    "fit_calibration",
    "load",
    "write_settings",
]
