"""Files written whole or not at all, and JSON read with a clear error."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from samepoint.errors import DataError
from samepoint.text import read_text


@contextmanager
def clear_disk_errors(where: Path) -> Iterator[None]:
    """Turns "disk full", "read-only" and "not allowed" into a DataError that names `where`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                "the disk is full", where=where, mend="free some space or choose another folder"
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise DataError(
                "cannot be written", where=where, mend="choose a folder you may write to"
            ) from error
        raise


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its name once it is written and on the disk; on an error it is removed."""
    with clear_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_whole(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, whole or not at all."""
    with written_whole(path) as file:
        file.write(content)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, value: object, *, indent: int | None = None) -> None:
    """One JSON file, whole. NaN and infinity are refused (they are not JSON)."""
    write_whole(path, (json.dumps(value, indent=indent, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """The content of a JSON file in any encoding (`text.read_text`), or a DataError that says where it breaks."""
    text = read_text(path)
    if not text.strip():
        raise DataError("is empty", where=path, mend="copy or write it again")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"is not valid JSON ({error})", where=path, mend="write it again") from error
    except RecursionError as error:
        raise DataError("is not valid JSON (nested too deep)", where=path, mend="write it again") from error


@contextmanager
def folder_written_whole(target: Path) -> Iterator[Path]:
    """Yields a draft folder beside `target` that takes its name on success and is removed on an error.

    DataError if `target` is there and not an empty folder.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError("this folder is not empty", where=target, mend="choose a new folder")
    with clear_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        try:
            yield draft
            draft.chmod(0o777 & ~_umask())
            os.replace(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
