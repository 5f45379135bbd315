"""Labels and predictions of DeepLabCut as HDF5, which pandas wrote, read without it."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from samepoint.data.rig.foreign_labels.columns import labels_of_table
from samepoint.data.rig.foreign_labels.labels import ForeignLabels
from samepoint.errors import DataError

MEND = "give the CSV file of the same name, which DeepLabCut writes beside it"


class _Plain(pickle.Unpickler):
    """Words, numbers, lists and tuples; whatever names a class or function is refused."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is not plain")


def frame_in(file: Any) -> Any | None:
    """The group of an open file that holds a table of pandas; None without one."""
    return next((group for group in file.values() if "pandas_type" in getattr(group, "attrs", {})), None)


def read_deeplabcut_h5(path: Path, group: Any) -> ForeignLabels:
    """Both of pandas' forms: "fixed" and "table". DataError for other tables."""
    try:
        if "table" in group:
            columns, frames, values = _table(group["table"])
        else:
            columns, frames, values = _fixed(group)
    except (KeyError, ValueError, IndexError, TypeError, pickle.UnpicklingError, EOFError) as error:
        raise DataError("is not a table of DeepLabCut's that is known here", where=path, mend=MEND) from error
    if any(len(words) not in (3, 4) for words in columns):
        what = f"its columns have {len(columns[0])} words, not scorer, body part and coordinate"
        raise DataError(what, where=path, mend=MEND)
    return labels_of_table(path, columns, frames, values)


def _fixed(group: Any) -> tuple[list[tuple[str, ...]], list[str], list[list[float]]]:
    columns, frames = _axis(group, "axis0"), ["/".join(words) for words in _axis(group, "axis1")]
    place = {words: k for k, words in enumerate(columns)}
    values = np.full((len(frames), len(columns)), np.nan)
    for block in range(int(group.attrs["nblocks"])):
        items = [place[words] for words in _axis(group, f"block{block}_items")]
        values[:, items] = group[f"block{block}_values"][()].reshape(len(frames), len(items))
    return columns, frames, values.tolist()


def _axis(group: Any, name: str) -> list[tuple[str, ...]]:
    if name in group:
        return [(_word(entry),) for entry in group[name][()]]
    levels = range(int(group.attrs[f"{name}_nlevels"]))
    names = [[_word(entry) for entry in group[f"{name}_level{k}"][()]] for k in levels]
    codes = [group[f"{name}_label{k}"][()] for k in levels]
    return [
        tuple(of[code] if code >= 0 else "" for of, code in zip(names, entry))
        for entry in zip(*codes, strict=True)
    ]


def _table(table: Any) -> tuple[list[tuple[str, ...]], list[str], list[list[float]]]:
    content = table[()]
    blocks = [name for name in content.dtype.names if name.startswith("values_block")]
    columns: list[tuple[str, ...]] = []
    for name in blocks:
        pickled = table.attrs[f"{name}_kind"]
        kind = _Plain(io.BytesIO(bytes(pickled))).load()
        columns += [tuple(str(word) for word in words) for words in kind]
    values = np.concatenate([content[name].reshape(len(content), -1) for name in blocks], axis=1)
    keys = [name for name in content.dtype.names if not name.startswith("values_block")]
    frames = ["/".join(_word(row[key]) for key in keys) for row in content]
    return columns, frames, values.astype(float).tolist()


def _word(entry: Any) -> str:
    return entry.decode("utf-8", "replace") if isinstance(entry, bytes) else str(entry)
