"""Notifications that came in by webhook, until they are sent on and as long as they are remembered."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from exporter.journal.database import Database

Forward = Literal["none", "pending", "done", "refused", "superseded"]
"""`none`: it is not to be sent on; `refused`: the receiver will never take it; `superseded`: a newer one of its group that
tells of the same alerts was sent in its place."""
Standing = Literal["new", "reminder", "repeat"]
"""What an alert of a notification is: new, or known for longer than repeats come in, or known."""

_FORGET_OLDEST = (
    "DELETE FROM notifications WHERE forward != 'pending' AND number IN "
    "(SELECT number FROM notifications ORDER BY number DESC LIMIT -1 OFFSET ?)"
)
_REMEMBERED_IN_MEMORY = 86_400.0
"""Seconds for which an alert's last state is kept where nothing is pruned."""
_MOST_NOTIFIED = 100_000
"""Alerts whose last state is kept, by the time of their last notification."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """What decides whether an alert of a group was told of before."""

    fingerprint: str
    status: str
    starts_at: str


@dataclass(frozen=True, slots=True)
class Taken:
    """How a notification was taken in."""

    number: int | None
    """None where all of it was known: nothing was stored."""
    standings: tuple[Standing, ...]
    """Of its alerts, in their order."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A notification as it is kept, without its payload."""

    number: int
    group_key: str
    at: float
    """Unix seconds when it came."""
    status: str
    forward: Forward
    triage: str
    """How its explanation ended; empty while it has not."""
    verdict: str | None
    """The id of the verdict that explains it."""


_COLUMNS = "number, group_key, at, status, forward, triage, verdict"


class Notifications:
    """Keeps notifications. What a method wrote is on disk when it returns; any thread may call any method.

    All raise TransientError where the database cannot be read or written.

    Args:
        database: has the tables of the journal.
        most: how many are kept that are not pending; None for all until they are pruned.
    """

    def __init__(self, database: Database, most: int | None = None) -> None:
        self._database = database
        self._most = most

    def take(
        self,
        *,
        group_key: str,
        status: str,
        at: float,
        payload: str,
        alerts: Sequence[AlertState],
        repeat_after: float,
        pending: bool,
    ) -> Taken:
        """Keep a notification, unless each of its alerts was told of less than `repeat_after` seconds ago.

        Args:
            group_key: Alertmanager's name of the group.
            status: of the group.
            at: now, Unix seconds.
            payload: as it came.
            alerts: all that it tells of.
            repeat_after: seconds after which the same is a reminder and no repeat.
            pending: whether it is to be sent on.
        """

        def write(connection: sqlite3.Connection) -> Taken:
            standings = tuple(_standing(connection, group_key, alert, at - repeat_after) for alert in alerts)
            if set(standings) <= {"repeat"}:
                return Taken(None, standings)
            number = connection.execute(
                "INSERT INTO notifications (group_key, at, status, forward, payload) VALUES (?, ?, ?, ?, ?)",
                (group_key, at, status, "pending" if pending else "none", payload),
            ).lastrowid
            connection.executemany(
                "INSERT OR REPLACE INTO notified (group_key, fingerprint, status, starts_at, at) VALUES (?, ?, ?, ?, ?)",
                [(group_key, alert.fingerprint, alert.status, alert.starts_at, at) for alert in alerts],
            )
            if self._most is not None:
                connection.execute(_FORGET_OLDEST, (self._most,))
                connection.execute("DELETE FROM notified WHERE at < ?", (at - _REMEMBERED_IN_MEMORY,))
            return Taken(number, standings)

        return self._database.run(write)

    def pending(self) -> list[Stored]:
        """Those that are still to be sent on, the oldest first."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM notifications WHERE forward = 'pending' ORDER BY number",  # noqa: S608 - constant columns
            (),
        )
        return [Stored(*row) for row in rows]

    def payload(self, number: int) -> tuple[str, Mapping[str, str] | None] | None:
        """A notification as it came, and the annotations that were settled on; None where it is no longer kept."""
        rows = self._database.rows("SELECT payload, notes FROM notifications WHERE number = ?", (number,))
        return (rows[0][0], json.loads(rows[0][1]) if rows[0][1] is not None else None) if rows else None

    def settle(self, number: int, notes: Mapping[str, str]) -> None:
        """Keep the annotations that a notification is sent on with: from now on it is always sent like this."""
        self._set(number, "notes", json.dumps(dict(notes)))

    def forwarded(self, number: int, forward: Forward) -> None:
        """Note how the sending on of a notification ended."""
        self._set(number, "forward", forward)

    def explained(self, number: int, triage: str, verdict: str | None) -> None:
        """Note how the explanation of a notification ended, and the id of the verdict where there is one."""
        self._database.run(
            lambda db: (
                db.execute(
                    "UPDATE notifications SET triage = ?, verdict = ? WHERE number = ?", (triage, verdict, number)
                ).rowcount
            )
        )

    def verdict_of(self, group_key: str, since: float) -> str | None:
        """The id of the newest verdict on a group that was notified of at or after a time (Unix seconds), or None."""
        rows = self._database.rows(
            "SELECT verdict FROM notifications WHERE group_key = ? AND at >= ? AND verdict IS NOT NULL "
            "ORDER BY number DESC LIMIT 1",
            (group_key, since),
        )
        return rows[0][0] if rows else None

    def list(self, limit: int) -> list[Stored]:
        """The newest first, at most so many."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM notifications ORDER BY number DESC LIMIT ?",  # noqa: S608 - constant columns
            (max(limit, 0),),
        )
        return [Stored(*row) for row in rows]

    def newest_of_groups(self, since: float) -> "Sequence[str]":
        """The payload of each group's newest notification, where it came at or after this time (Unix seconds)."""
        rows = self._database.rows(
            "SELECT payload FROM notifications WHERE number IN "
            "(SELECT max(number) FROM notifications WHERE at >= ? GROUP BY group_key)",
            (since,),
        )
        return [payload for (payload,) in rows]

    def prune(self, older_than: float) -> int:
        """Forget what came before this time (Unix seconds) and is not to be sent on any more; how many there were."""

        def delete(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM notified WHERE at < ?", (older_than,))
            connection.execute(
                "DELETE FROM notified WHERE at < (SELECT min(at) FROM "
                "(SELECT at FROM notified ORDER BY at DESC LIMIT ?))",
                (_MOST_NOTIFIED,),
            )
            return connection.execute(
                "DELETE FROM notifications WHERE at < ? AND forward != 'pending'", (older_than,)
            ).rowcount

        return self._database.run(delete)

    def _set(self, number: int, column: str, value: str) -> None:
        query = f"UPDATE notifications SET {column} = ? WHERE number = ?"  # noqa: S608 - constant columns
        self._database.run(lambda db: db.execute(query, (value, number)).rowcount)


def _standing(connection: sqlite3.Connection, group_key: str, alert: AlertState, since: float) -> Standing:
    row = connection.execute(
        "SELECT status, starts_at, at FROM notified WHERE group_key = ? AND fingerprint = ?",
        (group_key, alert.fingerprint),
    ).fetchone()
    if row is None or (row[0], row[1]) != (alert.status, alert.starts_at):
        return "new"
    return "repeat" if row[2] > since else "reminder"
