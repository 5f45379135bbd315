"""One entrance for label files of other programs: recognises which wrote them."""

from __future__ import annotations

from pathlib import Path

from samepoint.data.readers.extra_packages import package
from samepoint.data.rig.foreign_labels.deeplabcut_csv import is_deeplabcut_csv, read_deeplabcut_csv
from samepoint.data.rig.foreign_labels.deeplabcut_h5 import frame_in, read_deeplabcut_h5
from samepoint.data.rig.foreign_labels.labels import ForeignLabels
from samepoint.data.rig.foreign_labels.sleap import is_sleap_csv, read_analysis, read_project, read_sleap_csv
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable

FORMS = (
    "CSV or HDF5 of DeepLabCut, CSV of Lightning Pose, and .slp, analysis .h5 or CSV of SLEAP are read here"
)
HDF5 = frozenset({".h5", ".hdf5", ".slp"})
TABLES = frozenset({".csv", ".txt", ".tsv"})


def read_foreign_labels(path: Path) -> ForeignLabels:
    """DataError for a file that no program that is known here wrote; it lists them."""
    path = Path(path)
    refusal = explain_unreadable(path)
    if refusal is not None:
        raise refusal
    if path.suffix.lower() in HDF5:
        return _hdf5(path)
    if path.suffix.lower() in TABLES:
        if is_deeplabcut_csv(path):
            return read_deeplabcut_csv(path)
        if is_sleap_csv(path):
            return read_sleap_csv(path)
    raise DataError("holds no labels in a form that is known", where=path, mend=FORMS)


def _hdf5(path: Path) -> ForeignLabels:
    h5py = package("h5py", "reading labels from HDF5")
    try:
        with h5py.File(path, "r") as file:
            if "instances" in file and "metadata" in file:
                return read_project(path, file)
            if "tracks" in file and "node_names" in file:
                return read_analysis(path, file)
            group = frame_in(file)
            if group is not None:
                return read_deeplabcut_h5(path, group)
    except OSError as error:
        what = "is no HDF5 file, or breaks off"
        raise DataError(what, where=path, mend="copy or write it again") from error
    raise DataError("holds no labels in a form that is known", where=path, mend=FORMS)
