import os
import signal
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samepoint.errors import DataError, RunError
from samepoint.inference.database import APPLICATION_ID, KeypointDatabase, Reference


def reference(seed: int = 0, network: str = "net-a") -> Reference:
    descriptor = np.random.default_rng(seed).normal(size=8).astype(np.float32)
    return Reference(descriptor, network, (12.25, 7.5), (48, 64), "/photos/a.png", "abc", 1000.5)


@pytest.fixture
def database(tmp_path: Path) -> KeypointDatabase:
    return KeypointDatabase(tmp_path / "keypoints.sqlite", network="net-a")


def test_what_is_added_comes_back_whole(database: KeypointDatabase) -> None:
    first = database.add("handle", reference(1))
    second = database.add("handle", reference(2))
    (a, b) = database.references("handle")
    assert (a.id, b.id) == (first, second)
    assert np.array_equal(a.descriptor, reference(1).descriptor)
    assert replace(a, id=None, descriptor=b.descriptor) == replace(b, id=None)
    assert (a.uv, a.image_size, a.image_file, a.image_hash, a.time) == (
        *((12.25, 7.5), (48, 64)),
        *("/photos/a.png", "abc", 1000.5),
    )


def test_a_missing_file_holds_nothing_and_is_not_made_by_reading(database: KeypointDatabase) -> None:
    assert database.names() == ()
    assert database.all_references() == {}
    assert database.revision() is None
    assert not database.path.exists()


def test_an_empty_file_holds_nothing_and_can_be_filled(database: KeypointDatabase) -> None:
    database.path.touch()
    assert database.names() == ()
    database.add("handle", reference())
    assert database.names() == ("handle",)


def test_time_is_now_unless_given(database: KeypointDatabase) -> None:
    database.add("handle", replace(reference(), time=None))
    (found,) = database.references("handle")
    assert found.time is not None
    assert found.time > 1.7e9


def test_rename_and_remove(database: KeypointDatabase) -> None:
    ids = [database.add("a", reference(i)) for i in range(2)]
    database.add("b", reference(3))
    database.rename("a", "c")
    assert database.names() == ("b", "c")
    database.remove("c", ids[0])
    assert [r.id for r in database.references("c")] == ids[1:]
    database.remove("c", ids[1])
    assert database.names() == ("b",)
    database.remove("b")
    assert database.all_references() == {}
    left = sqlite3.connect(database.path).execute("SELECT count(*) FROM reference").fetchone()
    assert left == (0,)


def test_wrong_names_are_refused_with_the_known_ones(database: KeypointDatabase) -> None:
    database.add("a", reference())
    database.add("b", reference())
    for change in (lambda: database.rename("x", "y"), lambda: database.remove("x")):
        with pytest.raises(DataError, match=r"no keypoint 'x'.*known are: a, b"):
            change()
    with pytest.raises(DataError, match="taken"):
        database.rename("a", "b")
    with pytest.raises(DataError, match="no reference 99"):
        database.remove("a", 99)
    for bad in ("", " a", "a\n"):
        with pytest.raises(DataError, match="cannot name"):
            database.add(bad, reference())


def test_a_bad_descriptor_is_refused_and_leaves_no_name(database: KeypointDatabase) -> None:
    for bad in (np.zeros(0, np.float32), np.full(3, np.nan, np.float32)):
        with pytest.raises(DataError, match="empty or not finite"):
            database.add("a", replace(reference(), descriptor=bad))
    assert database.names() == ()


def test_descriptors_of_another_network_are_refused(database: KeypointDatabase) -> None:
    with pytest.raises(RunError, match="another network"):
        database.add("a", reference(network="net-b"))
    database.add("a", reference())
    other = KeypointDatabase(database.path, network="net-b")
    with pytest.raises(
        RunError, match=r"keypoints.sqlite: holds descriptors of another network \(net-a, not net-b\)"
    ):
        other.all_references()
    with pytest.raises(RunError, match="another network"):
        other.add("b", reference(network="net-b"))
    anyone = KeypointDatabase(database.path)
    assert anyone.names() == ("a",)
    with pytest.raises(RunError, match="another network"):
        anyone.add("b", reference(network="net-b"))


def test_other_files_and_versions_are_refused(database: KeypointDatabase) -> None:
    database.path.write_text("not a database, but long enough to have a header of a hundred bytes" * 3)
    for use in (database.names, lambda: database.add("a", reference())):
        with pytest.raises(RunError, match="not a keypoint database"):
            use()
    database.path.unlink()
    with sqlite3.connect(database.path) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(RunError, match="not a keypoint database"):
        database.add("a", reference())
    with sqlite3.connect(database.path) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(RunError, match="version 7, this samepoint reads version 1"):
        database.names()


def test_folders_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is a folder, not a file"):
        KeypointDatabase(tmp_path).names()
    with pytest.raises(RunError, match="does not exist"):
        KeypointDatabase(tmp_path / "none" / "k.sqlite").add("a", reference())


def test_read_only_reads_and_refuses_changes(database: KeypointDatabase) -> None:
    database.add("a", reference())
    reader = KeypointDatabase(database.path, read_only=True)
    assert reader.names() == ("a",)
    for change in (lambda: reader.add("b", reference()), lambda: reader.remove("a")):
        with pytest.raises(RunError, match="reading only"):
            change()


def test_revision_changes_with_every_change(database: KeypointDatabase) -> None:
    seen = [database.revision()]
    first = database.add("a", reference())
    seen.append(database.revision())
    database.add("a", reference())
    seen.append(database.revision())
    database.remove("a", first)
    seen.append(database.revision())
    assert len(set(seen)) == 4
    database.names()
    assert database.revision() == seen[-1]


def test_a_damaged_descriptor_is_reported(database: KeypointDatabase) -> None:
    database.add("a", reference())
    with sqlite3.connect(database.path) as connection:
        connection.execute("UPDATE reference SET descriptor = x'0011'")
    with pytest.raises(RunError, match="damaged"):
        database.all_references()


def write_half_and_die(database: KeypointDatabase) -> None:
    with database._writing() as connection:
        connection.execute("PRAGMA cache_size = 1")  # so that changes reach the file before the commit
        connection.execute("UPDATE keypoint SET name = 'half'")
        for i in range(500):
            connection.execute("INSERT INTO keypoint (name) VALUES (?)", (f"half{i}" + "x" * 200,))
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_in_the_middle_of_a_change_leaves_the_old_content(database: KeypointDatabase) -> None:
    database.add("a", reference())
    child = os.fork()
    if child == 0:
        try:
            write_half_and_die(database)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert Path(f"{database.path}-journal").stat().st_size > 0
    assert b"half499" in database.path.read_bytes() or b"half0x" in database.path.read_bytes()
    assert KeypointDatabase(database.path, read_only=True).names() == ("a",)
    database.add("b", reference())
    assert database.names() == ("a", "b")
