"""Alerts in the journal, so that a restart neither forgets nor renews one."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from exporter.journal.database import Database


class AlertStore:
    """Keeps the alerts that are pending, fire or were resolved a short while ago. Any thread may call any method.

    Args:
        database: where the table `alerts` is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(
        self, alive_at: float, put: Mapping[str, Mapping[str, Any]], gone: Collection[str] = frozenset()
    ) -> None:
        """Keep alerts and forget others, all of it or nothing.

        Args:
            alive_at: Unix seconds: until when the kept alerts were looked after.
            put: documents as JSON values by key; each takes the place of what was there.
            gone: keys to forget; those that are not there are no error.

        Raises:
            TransientError: it could not be written.
            ValueError: a document is no JSON.
        """
        rows = [(key, json.dumps(document, allow_nan=False)) for key, document in put.items()]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO alerts VALUES (?, ?)", rows)
            connection.executemany("DELETE FROM alerts WHERE fingerprint = ?", [(one,) for one in gone])
            connection.execute("INSERT OR REPLACE INTO states VALUES ('alerts_alive_at', ?)", (json.dumps(alive_at),))

        self._database.run(write)

    def all(self) -> dict[str, dict[str, Any]]:
        """What is kept, by key.

        Raises:
            TransientError: the database could not be read.
        """
        rows = self._database.rows("SELECT fingerprint, document FROM alerts", ())
        return {key: json.loads(document) for key, document in rows}

    def alive_at(self) -> float | None:
        """Until when the kept alerts were looked after, in Unix seconds; None where nothing was ever kept.

        Raises:
            TransientError: the database could not be read.
        """
        rows = self._database.rows("SELECT document FROM states WHERE name = 'alerts_alive_at'", ())
        return float(json.loads(rows[0][0])) if rows else None
