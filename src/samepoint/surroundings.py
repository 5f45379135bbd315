"""What a program finds around it: a place for its cache, a home, a name. Each may be missing (in containers)."""

from __future__ import annotations

import getpass
import logging
import os
import stat
import tempfile
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)


def cache_root() -> Path:
    """The folder of samepoint in the user's cache: `$XDG_CACHE_HOME/samepoint`, or `~/.cache/samepoint`.

    Where that cannot be written to, or there is no home, a folder of this user among the temporary ones; that is
    said once.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    home = home_folder()
    base = Path(given) if given else None if home is None else home / ".cache"
    return _writable(None if base is None else base / "samepoint")


def home_folder() -> Path | None:
    """The user's home; None where none is known."""
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry in passwd
        return None
    return home if home.is_absolute() else None


def prepare() -> None:
    """Gives other libraries a user's name and a place for their files where they would fail or complain without."""
    try:
        getpass.getuser()
    except (OSError, KeyError, ImportError):  # torch's compiler asks for it when it is imported
        os.environ["LOGNAME"] = f"user{_number()}"
    home = home_folder()
    if home is None or not _can_write(home):
        os.environ.setdefault("MPLCONFIGDIR", str(_temporary("matplotlib")))


@cache
def _writable(wanted: Path | None) -> Path:
    if wanted is not None and _can_make(wanted):
        return wanted
    found = _temporary("cache")
    why = "there is no home folder" if wanted is None else f"{wanted} cannot be written to"
    log.warning("%s: decoded frames go to %s; XDG_CACHE_HOME names another place", why, found)
    return found


def _temporary(what: str) -> Path:
    """A folder of this user alone, the same in every process where that is safe."""
    path = Path(tempfile.gettempdir()) / f"samepoint-{what}-{_number()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
        own = stat.S_ISDIR(status.st_mode) and status.st_uid == _number() and not status.st_mode & 0o022
    except OSError:
        own = False
    return path if own and _can_write(path) else Path(tempfile.mkdtemp(prefix=f"samepoint-{what}-"))


def _can_make(folder: Path) -> bool:
    """Makes a folder if it is not there; whether files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return _can_write(folder)


def _can_write(folder: Path) -> bool:
    """Whether files can be made in a folder that is there."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _number() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
