"""Rows of LeRobot's parquet files, through pyarrow, a few at a time: a row may hold images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samepoint.data.checks import numbers
from samepoint.data.readers.extra_packages import package
from samepoint.errors import DataError
from samepoint.reading import explain_unreadable

BATCH = 16
"""Rows held at a time."""


def read_rows(
    path: Path, columns: Sequence[str], episode: int | None = None, frames: Sequence[int] | None = None
) -> Iterator[dict[str, Any]]:
    """Some columns of the rows of one parquet file, all or those of an episode or of some of its frames.

    DataError for a file that is missing, damaged or was never closed, or that lacks a column.
    """
    pyarrow, dataset = (
        package(name, "reading LeRobot data sets", install="pyarrow")
        for name in ("pyarrow", "pyarrow.dataset")
    )
    if not path.is_file():
        raise DataError("this file does not exist", where=path, mend="download or copy the whole data set")
    chosen = None
    if episode is not None:
        chosen = dataset.field("episode_index") == episode
        if frames is not None:
            chosen &= dataset.field("frame_index").isin(list(frames))
    try:
        source = dataset.dataset(path, format="parquet")
        lacking = [name for name in (*columns, "episode_index") if name not in source.schema.names]
        if lacking:
            mend = f"it has the columns {', '.join(source.schema.names)}"
            raise DataError(f"lacks the column {', '.join(lacking)}", where=path, mend=mend)
        batches = source.to_batches(
            columns=list(columns),
            filter=chosen,
            batch_size=BATCH,
            batch_readahead=1,
            fragment_readahead=1,
            use_threads=False,
        )
        for batch in batches:
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        what = f"is not a whole parquet file ({str(error).splitlines()[0]})"
        mend = "copy it again; a recording program must call finalize() at its end"
        raise explain_unreadable(path) or DataError(what, where=path, mend=mend) from error


def whole_number(value: object, name: str, where: object) -> int:
    """A count or an index from a file."""
    number = real_number(value, name, where)
    if number < 0 or number != int(number):
        raise DataError(f"{name} is {value!r}, not a whole number", where=where, mend="write the file again")
    return int(number)


def real_number(value: object, name: str, where: object) -> float:
    """A finite number from a file; a list of one number is one too."""
    if value is None or isinstance(value, str | bool):
        raise DataError(f"{name} is {value!r}, not a number", where=where, mend="write the file again")
    number = float(numbers(value, 1, f"{where}, {name}")[0])
    if not np.isfinite(number):
        raise DataError(f"{name} is {value!r}, not finite", where=where, mend="write the file again")
    return number
