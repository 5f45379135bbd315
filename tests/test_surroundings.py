"""Users without a name, without a home, with a home they may not write to (containers, clusters)."""

from __future__ import annotations

import getpass
import logging
import os
import pwd
import tempfile
from pathlib import Path

import pytest

from samepoint import surroundings
from samepoint.surroundings import cache_root, prepare

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and a folder for temporary files of the test's own; nothing remembered of others."""
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    surroundings._writable.cache_clear()


def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `docker run --user 12345`: no entry in passwd, no HOME, no USER."""

    def nobody(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in (*NAMES, "HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_root() == tmp_path / "home" / ".cache" / "samepoint"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert cache_root() == tmp_path / "other" / "samepoint"


def test_without_a_home_the_cache_is_temporary_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nameless(monkeypatch)
    found = cache_root()
    assert found.parent == tmp_path / "tmp"
    assert found.stat().st_mode & 0o777 == 0o700
    assert cache_root() == found
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"there is no home folder: decoded frames go to {found}" in caplog.text


@pytest.mark.usefixtures("rights_bind")
@pytest.mark.parametrize("named", [False, True])
def test_a_cache_that_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, named: bool
) -> None:
    (tmp_path / "home").chmod(0o500)
    if named:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_root().parent == tmp_path / "tmp"
    assert "cannot be written to" in caplog.text


def test_a_temporary_folder_of_another_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nameless(monkeypatch)
    planted = tmp_path / "tmp" / f"samepoint-cache-{os.getuid()}"
    planted.symlink_to(tmp_path / "home")
    found = cache_root()
    assert found != planted
    assert found.parent == tmp_path / "tmp"


def test_who_has_no_name_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nameless(monkeypatch)
    monkeypatch.setenv("LOGNAME", "")
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    prepare()
    assert getpass.getuser() == f"user{os.getuid()}"
    assert Path(os.environ["MPLCONFIGDIR"]).parent == tmp_path / "tmp"


def test_nothing_is_set_for_who_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "someone")
    prepare()
    assert getpass.getuser() == "someone"
    assert "MPLCONFIGDIR" not in os.environ
