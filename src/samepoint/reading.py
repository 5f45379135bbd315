"""Files and folders of users: read, listed and walked through, with one line that says why one cannot be read.

A file that may not be read, a link to nowhere, an empty file or a pointer that Git LFS left in a file's place is told
as what it is. It is never called damaged.
"""

from __future__ import annotations

import errno
import fnmatch
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from samepoint.errors import DataError, SamepointError

HEAD = 1024
"""Bytes at a file's start that tell pointers and web pages. A pointer is never longer."""
LFS = b"version https://git-lfs.github.com/spec/"
WEB_PAGE = re.compile(rb"\s*(<!doctype html|<html[\s>])", re.IGNORECASE)
READING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
"""Errors that have a line of their own, whoever met them."""
Refusal = TypeVar("Refusal", bound=SamepointError)
log = logging.getLogger(__name__)
_named: set[str] = set()
"""Folders that were named as passed over: each is named once."""


def read_bytes(path: Path, *, may_be_empty: bool = False) -> bytes:
    """The content of a file. DataError with one line for whatever keeps it from being read (`explain_unreadable`)."""
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise unreadable(path, error) from error
    reason = None if may_be_empty and not content else _instead(content[:HEAD], len(content))
    if reason is not None:
        raise DataError(reason[0], where=path, mend=reason[1])
    return content


def explain_unreadable(path: Path) -> DataError | None:
    """Why this file cannot be what its reader expects, for a reader that stumbled over it; None: nothing is known.

    A reader says "damaged" of its own only where this is None:

        except (OSError, ValueError) as error:
            raise explain_unreadable(path) or DataError("is damaged", where=path) from error
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            return DataError(f"is {kind}, not a file that can be read", where=path, mend="give a file")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError) as error:
        return unreadable(path, error)
    reason = _instead(head, status.st_size)
    return None if reason is None else DataError(reason[0], where=path, mend=reason[1])


def explained(otherwise: Refusal, path: Path) -> Refusal:
    """`otherwise`, or an error of its kind that says why `path` cannot be read where that is known."""
    found = explain_unreadable(path)
    return otherwise if found is None else type(otherwise)(found.what, where=found.where, mend=found.mend)


def unreadable(path: Path, error: BaseException) -> DataError:
    """The line for an error of the file system: why `path`, or the file that the error names, cannot be read."""
    named = getattr(error, "filename", None)
    path = Path(os.fsdecode(named)) if isinstance(named, str | bytes) else Path(path)
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return _missing(path)
    if number in (errno.EACCES, errno.EPERM):
        blocked = _blocked(path)
        what = "may not be read (permission denied)"
        mend = "ask its owner, or change its rights: chmod -R u+rX"
        return DataError(what, where=blocked, mend=f"{mend} {blocked}")
    if number == errno.EISDIR:
        return DataError("is a folder, not a file", where=path, mend="give a file")
    if number == errno.ENAMETOOLONG:
        return DataError("this name is too long for a file", where=path, mend="check the path")
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(
        f"cannot be read ({reason})", where=path, mend="check the path, the disk or the network drive"
    )


def of_file_system(error: OSError) -> SamepointError:
    """The line for any error of the file system, of reading or writing."""
    if error.filename is not None and error.errno in READING:
        return unreadable(Path(os.fsdecode(error.filename)), error)
    mend = {errno.ENOSPC: "free some space", errno.EROFS: "choose a folder you may write to"}
    return SamepointError(
        error.strerror or str(error) or type(error).__name__,
        where=error.filename,
        mend=mend.get(error.errno or 0, "check the disk, its rights and the paths given"),
    )


@contextmanager
def clear_reading_errors(where: Path) -> Iterator[None]:
    """Turns an error of the file system, of a file that the error names or of `where`, into its DataError."""
    try:
        yield
    except OSError as error:
        raise unreadable(where, error) from error


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted by name, without hidden entries. Sub-folders that may not be read are left out
    and named; a folder that is not there has no entries. DataError if `folder` itself may not be read."""
    return [path for path, _ in _listed(Path(folder))]


def folders(folder: Path) -> list[Path]:
    """The sub-folders of a folder that may be read, sorted, without hidden ones; the others are named."""
    return [path for path, is_folder in _listed(Path(folder)) if is_folder]


def matching(root: Path, pattern: str) -> list[Path]:
    """As `sorted(root.glob(pattern))`, without hidden entries; folders on the way that may not be read are named.

    DataError if `root` may not be read. A `**` is not understood: see `walk`.
    """
    found = [Path(root)]
    for part in pattern.split("/"):
        found = [path for folder in found for path in entries(folder) if fnmatch.fnmatchcase(path.name, part)]
    return found


def walk(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Each folder from `root` down with its files, in order of names, without hidden ones. Links to folders are
    followed, but not round in a circle. Folders that may not be read are passed over and named; DataError for `root`.
    """
    yield from _walk(Path(root), {os.path.realpath(root)})


def _walk(folder: Path, seen: set[str]) -> Iterator[tuple[Path, list[Path]]]:
    found = _listed(folder)
    yield folder, [path for path, is_folder in found if not is_folder]
    below = [path for path, is_folder in found if is_folder and not path.name.startswith("__MACOSX")]
    new = {real: path for path in reversed(below) if (real := os.path.realpath(path)) not in seen}
    seen.update(new)  # all of them before the first: a link further down does not take another's place
    for path in sorted(new.values()):
        yield from _walk(path, seen)


def name_passed_over(folder: Path) -> None:
    """Warns, once, that a folder on the way is passed over because it may not be read."""
    if str(folder) not in _named:
        _named.add(str(folder))
        log.warning("%s: this folder may not be read (permission denied) and is passed over", folder)


def _listed(folder: Path) -> list[tuple[Path, bool]]:
    """What `entries` says, and whether it is a folder."""
    try:
        with os.scandir(folder) as found:
            shown = sorted((e.name, _is_folder(e)) for e in found if not e.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error
    return [(folder / name, kind) for name, kind in shown if not (kind and _passed_over(folder / name))]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link into a folder that may not be entered: who reads the file says so
        return False


def _passed_over(folder: Path) -> bool:
    try:
        _enter(folder)
        return False
    except OSError:
        name_passed_over(folder)
        return True


def _enter(folder: Path) -> None:
    """OSError where a folder may not be listed, or what lies in it not be looked at."""
    with os.scandir(folder):
        os.stat(os.path.join(folder, "."))  # a Path would drop the "."


def _missing(path: Path) -> DataError:
    if not path.is_symlink():
        return DataError("this file does not exist", where=path, mend="check the path")
    target = os.readlink(path)
    mend = (
        "git annex get fetches it" if "/annex/objects/" in target else "restore that file, or remove the link"
    )
    return DataError(f"is a link to {target}, which does not exist", where=path, mend=mend)


def _blocked(path: Path) -> Path:
    """The highest folder above a path that may not be entered, else the path itself."""
    for parent in reversed(path.parents):
        try:
            os.stat(os.path.join(parent, "."))
        except OSError:
            return parent
    return path


def _instead(head: bytes, size: int) -> tuple[str, str] | None:
    """What stands in a file's place, and how to mend it."""
    if size == 0:
        return "is empty (0 bytes)", "copy or write it again"
    if head.startswith(LFS):
        return "is a pointer of Git LFS, not the file itself", "run: git lfs pull"
    if size <= HEAD and re.match(rb"(\.\./)*(\.git|/?annex)/.*objects/", head):
        return "is a pointer of git-annex, not the file itself", "run: git annex get"
    if WEB_PAGE.match(head):
        return "is a web page (HTML), as a download that failed leaves it", "download it again"
    return None
