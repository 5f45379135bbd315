"""The keypoint database: names, and for each name the descriptors of the places that were pointed at.

One SQLite file. Every change is one transaction, so a killed program leaves the file as it was before or
after the change, never between. A connection lives only as long as one call: nothing stays locked, and
other programs may read (or write) the file meanwhile.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from samepoint.errors import DataError, RunError
from samepoint.reading import explained
from samepoint.types import Size

APPLICATION_ID = 0x53504B50  # "SPKP": marks the file as a keypoint database
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE keypoint (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE reference (
    id INTEGER PRIMARY KEY,
    keypoint_id INTEGER NOT NULL REFERENCES keypoint (id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    dim INTEGER NOT NULL,
    descriptor BLOB NOT NULL,
    u REAL NOT NULL,
    v REAL NOT NULL,
    image_height INTEGER NOT NULL,
    image_width INTEGER NOT NULL,
    image_file TEXT,
    image_hash TEXT,
    time REAL NOT NULL
);
CREATE INDEX reference_keypoint ON reference (keypoint_id);
"""
COLUMNS = "network, dim, descriptor, u, v, image_height, image_width, image_file, image_hash, time"


@dataclass(frozen=True)
class Reference:
    """One place that was pointed at. `uv` in pixels of its image, whose size is (height, width).

    `network` is the fingerprint of the network that made the descriptor; `time` seconds since 1970 (UTC).
    """

    descriptor: Float32[np.ndarray, " d"]
    network: str
    uv: tuple[float, float]
    image_size: Size
    image_file: str | None = None
    image_hash: str | None = None
    time: float | None = None
    id: int | None = None


class KeypointDatabase:
    """The keypoint database in the file `path`, which need not exist before the first `add`.

    With `network`, every method that reads or adds descriptors refuses those of another network (RunError).
    With `read_only`, every method that changes the file raises RunError.
    """

    def __init__(self, path: Path, network: str | None = None, read_only: bool = False) -> None:
        self.path, self.network, self.read_only = Path(path), network, read_only

    def names(self) -> tuple[str, ...]:
        """All names, in alphabetical order."""
        with self._reading() as connection:
            rows = [] if connection is None else connection.execute("SELECT name FROM keypoint").fetchall()
        return tuple(sorted(name for (name,) in rows))

    def references(self, name: str) -> tuple[Reference, ...]:
        """The references of one name, oldest first. DataError if there is no such name."""
        if name not in (everything := self.all_references()):
            raise self._unknown(name, tuple(everything))
        return everything[name]

    def all_references(self) -> dict[str, tuple[Reference, ...]]:
        """The references of every name, oldest first, names in alphabetical order; one consistent view."""
        query = (
            f"SELECT name, reference.id, {COLUMNS} FROM reference"
            " JOIN keypoint ON keypoint.id = keypoint_id ORDER BY reference.id"
        )
        found: dict[str, list[Reference]] = {}
        with self._reading() as connection:
            for name, *row in [] if connection is None else connection.execute(query):
                found.setdefault(name, []).append(self._reference(name, row))
        return {name: tuple(found[name]) for name in sorted(found)}

    def add(self, name: str, reference: Reference) -> int:
        """Adds a reference to a name (new or known) and returns the reference's id."""
        check_name(name)
        descriptor = np.ascontiguousarray(reference.descriptor, dtype="<f4")
        if descriptor.size == 0 or not np.isfinite(descriptor).all():
            raise DataError(f"the descriptor of {name!r} is empty or not finite", where=self.path)
        self._check_network(name, reference.network)
        values = (
            *(reference.network, descriptor.size, descriptor.tobytes()),
            *(*map(float, reference.uv), *map(int, reference.image_size)),
            *(reference.image_file, reference.image_hash),
            time.time() if reference.time is None else reference.time,
        )
        with self._writing() as connection:
            for (network,) in connection.execute("SELECT DISTINCT network FROM reference"):
                self._check_same(reference.network, network)
            connection.execute("INSERT OR IGNORE INTO keypoint (name) VALUES (?)", (name,))
            cursor = connection.execute(
                f"INSERT INTO reference (keypoint_id, {COLUMNS})"
                " VALUES ((SELECT id FROM keypoint WHERE name = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, *values),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def rename(self, old: str, new: str) -> None:
        """Gives a keypoint another name, which must be free."""
        check_name(new)
        with self._writing() as connection:
            known = _names(connection)
            if old not in known:
                raise self._unknown(old, known)
            if new in known:
                raise DataError(f"the name {new!r} is taken", where=self.path, mend="remove it first")
            connection.execute("UPDATE keypoint SET name = ? WHERE name = ?", (new, old))

    def remove(self, name: str, reference_id: int | None = None) -> None:
        """Removes a name with all its references, or one reference of it (the last one takes the name
        along)."""
        with self._writing() as connection:
            known = _names(connection)
            if name not in known:
                raise self._unknown(name, known)
            if reference_id is None:
                connection.execute("DELETE FROM keypoint WHERE name = ?", (name,))
                return
            cursor = connection.execute(
                "DELETE FROM reference WHERE id = ?"
                " AND keypoint_id = (SELECT id FROM keypoint WHERE name = ?)",
                (reference_id, name),
            )
            if cursor.rowcount == 0:
                raise DataError(f"{name!r} has no reference {reference_id}", where=self.path)
            connection.execute("DELETE FROM keypoint WHERE id NOT IN (SELECT keypoint_id FROM reference)")

    def revision(self) -> tuple[int, bytes] | None:
        """Changes whenever the file's content does (SQLite's change counter); None while there is no file."""
        try:
            with self.path.open("rb") as file:
                return self.path.stat().st_ino, file.read(28)[24:]
        except FileNotFoundError:
            return None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection that cannot write, or None while the file is missing or empty."""
        with self._clear_errors():
            if not self.path.exists():
                yield None
                return
            with closing(self._connect()) as connection:
                # Opened for writing where allowed, so that a killed writer's journal is rolled back.
                connection.execute("PRAGMA query_only = ON")
                yield connection if self._check_schema(connection) else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one transaction, which is undone if the block raises."""
        if self.read_only:
            raise RunError("is opened for reading only", where=self.path, mend="open it for writing")
        with self._clear_errors():
            if not self.path.parent.is_dir():
                raise RunError("this folder does not exist", where=self.path.parent, mend="create it first")
            with closing(self._connect(create=True)) as connection:
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    if not self._check_schema(connection):
                        _create_schema(connection)
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")

    def _connect(self, create: bool = False) -> sqlite3.Connection:
        uri = f"{self.path.resolve().as_uri()}?mode={'rwc' if create else 'rw'}"
        return sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)

    def _check_schema(self, connection: sqlite3.Connection) -> bool:
        """False for an empty file; RunError for a file of another kind or version."""
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            return False
        if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise RunError("is not a keypoint database", where=self.path, mend="name another file")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise RunError(
                f"is a keypoint database of version {version}, this samepoint reads version {SCHEMA_VERSION}",
                where=self.path,
                mend="use the samepoint that wrote it, or remember the keypoints again",
            )
        return True

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            mend = "check that the file may be read and written and that no other program keeps it locked"
            what = f"cannot be used as a keypoint database ({error})"
            raise self._refusal(what, mend) from error
        except sqlite3.DatabaseError as error:
            raise self._refusal(f"is not a keypoint database ({error})", "name another file") from error

    def _refusal(self, what: str, mend: str) -> RunError:
        refusal = RunError(what, where=self.path, mend=mend)
        return explained(refusal, self.path) if self.path.exists() else refusal

    def _reference(self, name: str, row: Sequence[object]) -> Reference:
        identity, network, dim, blob, u, v, height, width, file, digest, when = row
        self._check_network(name, str(network))
        if not isinstance(blob, bytes) or len(blob) != 4 * int(dim):  # type: ignore[call-overload]
            raise RunError(
                f"the descriptor of {name!r} is damaged", where=self.path, mend="remember it again"
            )
        descriptor = np.frombuffer(blob, dtype="<f4").astype(np.float32)
        size = (int(height), int(width))  # type: ignore[call-overload]
        uv = (float(u), float(v))  # type: ignore[arg-type]
        return Reference(descriptor, str(network), uv, size, file, digest, when, identity)  # type: ignore[arg-type]

    def _check_network(self, name: str, network: str) -> None:
        if self.network is not None:
            self._check_same(self.network, network)

    def _check_same(self, mine: str, theirs: str) -> None:
        if mine != theirs:
            raise RunError(
                f"holds descriptors of another network ({theirs[:12]}, not {mine[:12]})",
                where=self.path,
                mend="use the run they belong to, or another database file and remember the keypoints again",
            )

    def _unknown(self, name: str, known: tuple[str, ...]) -> DataError:
        listed = ", ".join(sorted(known)) or "none yet"
        return DataError(f"there is no keypoint {name!r}", where=self.path, mend=f"known are: {listed}")


def check_name(name: str) -> None:
    """DataError unless `name` is a text that can be typed and listed: not empty, one line, not padded."""
    if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
        raise DataError(
            f"{name!r} cannot name a keypoint", mend="use a non-empty text without spaces at its ends"
        )


def _names(connection: sqlite3.Connection) -> tuple[str, ...]:
    return tuple(name for (name,) in connection.execute("SELECT name FROM keypoint"))


def _create_schema(connection: sqlite3.Connection) -> None:
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
