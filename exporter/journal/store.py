"""The journal: verdicts in an SQLite file, or in memory where there is none.

A record is on disk when `put` returns (WAL, synchronous=FULL): kill -9 and power loss take nothing that was
acknowledged. A damaged file is moved aside and a fresh one begun, at the start and at any moment later.
"""

import builtins
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from exporter.errors import ConfigError, TransientError
from exporter.logs import fields
from exporter.series.labels import Labels

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
IN_MEMORY_RECORDS = 1000

_APPLICATION_ID = 0x6C6D7774
"""`lmwt`, written into the file's header: whose database this is."""
_BUSY_SECONDS = 5.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
    CREATE TABLE verdicts (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        watch TEXT NOT NULL,
        "group" TEXT NOT NULL,
        at REAL NOT NULL,
        outcome TEXT NOT NULL,
        document TEXT NOT NULL
    );
    CREATE INDEX verdicts_by_time ON verdicts (at, number);
    CREATE INDEX verdicts_by_watch ON verdicts (watch, at, number);
    CREATE TABLE states (name TEXT PRIMARY KEY, document TEXT NOT NULL);
"""
_COLUMNS = 'id, watch, "group", at, outcome, document'

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Record:
    """One verdict as it is kept."""

    id: str
    watch: str
    group: Labels
    at: float
    """Unix seconds."""
    outcome: str
    document: Mapping[str, Any]
    """The whole verdict as JSON values."""


class Journal:
    """Keeps records and finds them again. Any thread may call any method.

    Args:
        path: the database; None keeps the newest 1000 records in memory.

    Raises:
        ConfigError: there can be no journal at this path, or it is another program's database.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = self._open()

    def put(self, record: Record) -> None:
        """Keep a record; one with the same id is replaced.

        Raises:
            TransientError: it could not be written, for example because the disk is full.
            ValueError: its document is no JSON.
        """
        row = (
            record.id,
            record.watch,
            json.dumps(record.group),
            record.at,
            record.outcome,
            json.dumps(record.document, allow_nan=False),
        )

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"INSERT INTO verdicts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "  # noqa: S608
                'watch = excluded.watch, "group" = excluded."group", at = excluded.at, outcome = excluded.outcome, '
                "document = excluded.document",
                row,
            )
            if self._path is None:
                connection.execute(
                    "DELETE FROM verdicts WHERE number IN "
                    "(SELECT number FROM verdicts ORDER BY at DESC, number DESC LIMIT -1 OFFSET ?)",
                    (IN_MEMORY_RECORDS,),
                )

        self._run(write)

    def get(self, id: str) -> Record | None:  # noqa: A002 - the name of the attribute
        """The record of this id; None where there is none.

        Raises:
            TransientError: the database could not be read.
        """
        rows = self._rows(f"SELECT {_COLUMNS} FROM verdicts WHERE id = ?", (id,))  # noqa: S608 - constant columns
        return _record(rows[0]) if rows else None

    def list(
        self,
        *,
        watch: str | None = None,
        since: float | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> "builtins.list[Record]":
        """Records, the newest first.

        Args:
            watch: only of this watch.
            since: only those at or after this time, in Unix seconds.
            limit: at most this many.
            before: the id of a record: only those that come after it in this order, for the next page. With an id
                that is not (or no longer) kept there are none.

        Raises:
            TransientError: the database could not be read.
        """
        conditions: dict[str, Any] = {
            "watch = :watch": watch,
            "at >= :since": since,
            "(at, number) < (SELECT at, number FROM verdicts WHERE id = :before)": before,
        }
        given = [condition for condition, value in conditions.items() if value is not None] or ["true"]
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM verdicts WHERE {' AND '.join(given)} ORDER BY at DESC, number DESC LIMIT :limit",  # noqa: S608
            {"watch": watch, "since": since, "before": before, "limit": max(limit, 0)},
        )
        return [_record(row) for row in rows]

    def prune(self, older_than: float) -> int:
        """Forget the records from before this time, in Unix seconds. Returns how many there were.

        Raises:
            TransientError: the database could not be written.
        """
        return self._run(lambda db: db.execute("DELETE FROM verdicts WHERE at < ?", (older_than,)).rowcount)

    def put_state(self, name: str, document: Any) -> None:
        """Keep a small JSON value under a name, in the place of what was there.

        Raises:
            TransientError: it could not be written.
            ValueError: it is no JSON.
        """
        row = (name, json.dumps(document, allow_nan=False))
        self._run(lambda db: db.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", row).rowcount)

    def get_state(self, name: str) -> Any:
        """What was kept under a name; None where nothing was.

        Raises:
            TransientError: the database could not be read.
        """
        rows = self._rows("SELECT document FROM states WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else None

    def close(self) -> None:
        """Close the database. A second call does nothing."""
        with self._lock:
            self._connection.close()

    def _rows(self, query: str, parameters: tuple[Any, ...] | dict[str, Any]) -> "builtins.list[tuple[Any, ...]]":
        return self._run(lambda connection: connection.execute(query, parameters).fetchall())

    def _run(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._lock:
            try:
                try:
                    return self._in_transaction(action)
                except sqlite3.DatabaseError as error:
                    if not _is_damage(error):
                        raise
                    self._begin_anew(str(error))
                    return self._in_transaction(action)
            except (sqlite3.Error, OSError) as error:
                raise TransientError(f"journal {self._path or 'in memory'}: {error}") from error

    def _in_transaction(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._connection:
            return action(self._connection)

    def _open(self) -> sqlite3.Connection:
        try:
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                return self._replace(str(error))
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"journal {self._path}: {error}; is its folder there, and writable?") from error

    def _begin_anew(self, why: str) -> None:
        self._connection.close()
        self._connection = self._replace(why)

    def _replace(self, why: str) -> sqlite3.Connection:
        if self._path is None:
            return self._connect()
        aside = _move_aside(self._path)
        extra = fields(path=str(self._path), moved_to=str(aside), error=why)
        logger.error("the journal was damaged and moved aside; a new one begins", extra=extra)
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path or ":memory:", timeout=_BUSY_SECONDS, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and owner != _APPLICATION_ID:
            raise ConfigError(f"journal {self._path}: is another program's database; choose another journal.path")
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"journal {self._path}: was written by a newer lmwatch (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); choose another journal.path",
            )
        if not tables:
            connection.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
            )
        problems = connection.execute("PRAGMA quick_check(1)").fetchone()
        if problems != ("ok",):
            damage = sqlite3.DatabaseError(problems[0])
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # The low byte of an extended code is the kind of error.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _move_aside(path: Path) -> Path:
    """Rename a damaged database, and what belongs to it, to the first free name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside


def _record(row: tuple[Any, ...]) -> Record:
    return Record(
        id=row[0],
        watch=row[1],
        group=tuple((name, value) for name, value in json.loads(row[2])),
        at=row[3],
        outcome=row[4],
        document=json.loads(row[5]),
    )
