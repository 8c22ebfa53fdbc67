"""One SQLite file that survives what happens to files: full disks, kill -9, damage.

What a transaction wrote is on disk when it ends (WAL, synchronous=FULL). A damaged file is moved aside and a fresh one
begun, at the start and at any moment later.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from exporter.errors import ConfigError, TransientError
from exporter.logs import fields

logger = logging.getLogger(__name__)

_APPLICATION_ID = 0x6C6D7774
"""`lmwt`, written into the file's header: whose database this is."""
_BUSY_SECONDS = 5.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Result = TypeVar("Result")


class Database:
    """An open database. Any thread may call any method.

    Args:
        path: the file; None keeps everything in memory.
        steps: statements that bring the tables from each version to the next, the first an empty database to version 1.

    Raises:
        ConfigError: there can be no journal at this path, or it is another program's database.
    """

    def __init__(self, path: Path | None, steps: Sequence[str]) -> None:
        self._path = path
        self._steps = steps
        self._lock = threading.Lock()
        self._lost = False
        """Whether a damaged file could not be replaced yet."""
        self._connection = self._open()

    def close(self) -> None:
        """Close the database. A second call does nothing."""
        with self._lock:
            self._lost = False
            self._connection.close()

    def rows(self, query: str, parameters: tuple[Any, ...] | dict[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises:
            TransientError: the database could not be read.
        """
        return self.run(lambda connection: connection.execute(query, parameters).fetchall())

    def run(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run an action in a transaction of its own.

        Raises:
            TransientError: the database could not be read or written.
        """
        with self._lock:
            try:
                if self._lost:
                    self._reopen(self._whole)
                try:
                    return self._in_transaction(action)
                except sqlite3.DatabaseError as error:
                    if not _is_damage(error):
                        raise
                    why = str(error)
                self._reopen(lambda: self._replace(why))
                return self._in_transaction(action)
            except (sqlite3.Error, OSError, ConfigError) as error:
                raise TransientError(f"journal {self._path or 'in memory'}: {error}") from error

    def _in_transaction(self, action: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._connection:
            return action(self._connection)

    def _open(self) -> sqlite3.Connection:
        try:
            return self._whole()
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"journal {self._path}: {error}; is its folder there, and writable?") from error

    def _whole(self) -> sqlite3.Connection:
        """A connection to the file, or to a fresh one in the place of a damaged one."""
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            return self._replace(str(error))

    def _reopen(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Go on with another connection; where there can be none now, as on a full disk, it is tried again at the next call."""
        self._connection.close()
        self._lost = True
        self._connection = connect()
        self._lost = False

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
        if version > len(self._steps):
            raise ConfigError(
                f"journal {self._path}: was written by a newer lmwatch (schema {version}, this one knows "
                f"{len(self._steps)}); choose another journal.path",
            )
        missing = "".join(self._steps[version:])
        if missing:
            connection.executescript(
                f"BEGIN; {missing} PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {len(self._steps)}; COMMIT;",
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
