"""The journal: verdicts and events in an SQLite file, or in memory where there is none.

A record is on disk when `put` returns: kill -9 and power loss take nothing that was acknowledged.
"""

import builtins
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.config.watches import HEARTBEAT_WATCH
from exporter.journal.alerts import AlertStore
from exporter.journal.database import Database
from exporter.journal.notifications import Notifications
from exporter.journal.schema import STEPS
from exporter.series.labels import Labels

IN_MEMORY_RECORDS = 1000

_FORGET_OLDEST = (
    "DELETE FROM {table} WHERE number IN (SELECT number FROM {table} ORDER BY at DESC, number DESC LIMIT -1 OFFSET ?)"
)
_COLUMNS = 'id, watch, "group", at, outcome, document'
_BRIEF_COLUMNS = 'id, watch, "group", at, outcome, score, kind'


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


@dataclass(frozen=True, slots=True)
class Brief:
    """One verdict in short, read without its document."""

    id: str
    watch: str
    group: Labels
    at: float
    """Unix seconds."""
    outcome: str
    score: float | None
    """0..1, of the group as a whole; None where no readable answer came."""
    kind: str
    """Of its most anomalous finding; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a server."""

    server: str
    kind: str
    at: float
    """Unix seconds."""
    document: Mapping[str, Any]
    """What is known of it, as JSON values."""


class Journal:
    """Keeps records and finds them again. Any thread may call any method.

    Args:
        path: the database; None keeps the newest 1000 records in memory.

    Attributes:
        alerts: the alerts that are pushed.

    Raises:
        ConfigError: there can be no journal at this path, or it is another program's database.
    """

    def __init__(self, path: Path | None) -> None:
        self._in_memory = path is None
        self._database = Database(path, STEPS)
        self.alerts = AlertStore(self._database)
        self.notifications = Notifications(self._database, IN_MEMORY_RECORDS if self._in_memory else None)
        """What came in by webhook."""

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
            record.document.get("group_score"),
            _top_kind(record.document),
        )

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"INSERT INTO verdicts ({_COLUMNS}, score, kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "  # noqa: S608
                'watch = excluded.watch, "group" = excluded."group", at = excluded.at, outcome = excluded.outcome, '
                "document = excluded.document, score = excluded.score, kind = excluded.kind",
                row,
            )
            if self._in_memory:
                connection.execute(_FORGET_OLDEST.format(table="verdicts"), (IN_MEMORY_RECORDS,))

        self._database.run(write)

    def get(self, id: str) -> Record | None:  # noqa: A002 - the name of the attribute
        """The record of this id; None where there is none.

        Raises:
            TransientError: the database could not be read.
        """
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM verdicts WHERE id = ?", (id,))  # noqa: S608 - constant columns
        return _record(rows[0]) if rows else None

    def list(
        self,
        *,
        watch: str | None = None,
        since: float | None = None,
        limit: int = 100,
        before: str | None = None,
        outcome: str | None = None,
        above: float | None = None,
        server: str | None = None,
    ) -> "builtins.list[Record]":
        """Records, the newest first.

        Args:
            watch: only of this watch; None for all but the heartbeat.
            since: only those at or after this time, in Unix seconds.
            limit: at most this many.
            before: the id of a record: only those that come after it in this order, for the next page. With an id
                that is not (or no longer) kept there are none.
            outcome: only those that ended so.
            above: only those with a score above this.
            server: only those that this server was asked for; `since` bounds how many are looked through.

        Raises:
            TransientError: the database could not be read.
        """
        named = HEARTBEAT_WATCH if watch is None else watch
        conditions: dict[str, Any] = {
            "watch != :watch" if watch is None else "watch = :watch": named,
            "at >= :since": since,
            "(at, number) < (SELECT at, number FROM verdicts WHERE id = :before)": before,
            "outcome = :outcome": outcome,
            "score > :above": above,
            "json_extract(document, '$.server') = :server": server,
        }
        given = [condition for condition, value in conditions.items() if value is not None]
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM verdicts WHERE {' AND '.join(given)} ORDER BY at DESC, number DESC LIMIT :limit",  # noqa: S608
            {
                "watch": named,
                "since": since,
                "before": before,
                "outcome": outcome,
                "above": above,
                "server": server,
                "limit": max(limit, 0),
            },
        )
        return [_record(row) for row in rows]

    def briefs(
        self, *, watch: str | None = None, since: float | None = None, limit: int = 100
    ) -> "builtins.list[Brief]":
        """Verdicts in short, the newest first: many of them cost little.

        Args:
            watch: only of this watch; None for all but the heartbeat.
            since: only those at or after this time, in Unix seconds.
            limit: at most this many.

        Raises:
            TransientError: the database could not be read.
        """
        named = "watch != :watch" if watch is None else "watch = :watch"
        rows = self._database.rows(
            f"SELECT {_BRIEF_COLUMNS} FROM verdicts WHERE {named} AND (:since IS NULL OR at >= :since) "  # noqa: S608
            "ORDER BY at DESC, number DESC LIMIT :limit",
            {"watch": HEARTBEAT_WATCH if watch is None else watch, "since": since, "limit": max(limit, 0)},
        )
        return [Brief(row[0], row[1], _labels(row[2]), row[3], row[4], row[5], row[6] or "") for row in rows]

    def put_event(self, event: Event) -> None:
        """Keep an event.

        Raises:
            TransientError: it could not be written.
            ValueError: its document is no JSON.
        """
        row = (event.server, event.kind, event.at, json.dumps(event.document, allow_nan=False))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO events (server, kind, at, document) VALUES (?, ?, ?, ?)", row)
            if self._in_memory:
                connection.execute(_FORGET_OLDEST.format(table="events"), (IN_MEMORY_RECORDS,))

        self._database.run(write)

    def events(
        self, *, server: str | None = None, since: float | None = None, limit: int = 100
    ) -> "builtins.list[Event]":
        """Events, the newest first.

        Args:
            server: only of this server.
            since: only those at or after this time, in Unix seconds.
            limit: at most this many.

        Raises:
            TransientError: the database could not be read.
        """
        rows = self._database.rows(
            "SELECT server, kind, at, document FROM events WHERE (:server IS NULL OR server = :server) "
            "AND (:since IS NULL OR at >= :since) ORDER BY at DESC, number DESC LIMIT :limit",
            {"server": server, "since": since, "limit": max(limit, 0)},
        )
        return [Event(name, kind, at, json.loads(document)) for name, kind, at, document in rows]

    def prune(self, older_than: float) -> int:
        """Forget what is from before this time, in Unix seconds. Returns how many verdicts there were.

        Raises:
            TransientError: the database could not be written.
        """
        self.notifications.prune(older_than)

        def delete(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM events WHERE at < ?", (older_than,))
            return connection.execute("DELETE FROM verdicts WHERE at < ?", (older_than,)).rowcount

        return self._database.run(delete)

    def put_state(self, name: str, document: Any) -> None:
        """Keep a small JSON value under a name, in the place of what was there.

        Raises:
            TransientError: it could not be written.
            ValueError: it is no JSON.
        """
        row = (name, json.dumps(document, allow_nan=False))
        self._database.run(lambda db: db.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", row).rowcount)

    def get_state(self, name: str) -> Any:
        """What was kept under a name; None where nothing was.

        Raises:
            TransientError: the database could not be read.
        """
        rows = self._database.rows("SELECT document FROM states WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else None

    def close(self) -> None:
        """Close the database. A second call does nothing."""
        self._database.close()


def _record(row: tuple[Any, ...]) -> Record:
    return Record(
        id=row[0],
        watch=row[1],
        group=_labels(row[2]),
        at=row[3],
        outcome=row[4],
        document=json.loads(row[5]),
    )


def _labels(text: str) -> Labels:
    return tuple((name, value) for name, value in json.loads(text))


def _top_kind(document: Mapping[str, Any]) -> str | None:
    """What the finding looks like that the model finds most anomalous."""
    findings: Sequence[Mapping[str, Any]] = document.get("findings") or ({},)
    kind: str | None = max(findings, key=lambda finding: finding.get("llm_score") or 0.0).get("kind")
    return kind
