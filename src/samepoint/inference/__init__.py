"""What a robot program imports: `load` a run, `remember` points, `find` them; keypoints of reference descriptors."""

from samepoint.inference.batch import find_in_files
from samepoint.inference.confidence import Calibration, fit_calibration
from samepoint.inference.database import KeypointDatabase, Reference
from samepoint.inference.finder import Embedding, Finder, Hit
from samepoint.inference.keypoints import Keypoints, KeypointSettings, encode_keypoints
from samepoint.inference.loading import load
from samepoint.inference.points import PointSettings
from samepoint.inference.references import references_at, sample_on_masks, select_spread
from samepoint.inference.rig import RigFinder, RigHit, load_rig
from samepoint.inference.settings import FinderSettings, write_settings

__all__ = [
    "Calibration",
    "Embedding",
    "Finder",
    "FinderSettings",
    "Hit",
    "KeypointDatabase",
    "KeypointSettings",
    "Keypoints",
    "PointSettings",
    "Reference",
    "RigFinder",
    "RigHit",
    "encode_keypoints",
    "find_in_files",
    "fit_calibration",
    "load",
    "load_rig",
    "references_at",
    "sample_on_masks",
    "select_spread",
    "write_settings",
]
