"""What the journal's tables look like, step by step: an older file is brought up to date by the steps that it lacks."""

STEPS: tuple[str, ...] = (
    """
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
    CREATE TABLE events (
        number INTEGER PRIMARY KEY,
        server TEXT NOT NULL,
        kind TEXT NOT NULL,
        at REAL NOT NULL,
        document TEXT NOT NULL
    );
    CREATE INDEX events_by_time ON events (at, number);
    CREATE TABLE states (name TEXT PRIMARY KEY, document TEXT NOT NULL);
    """,
    """
    CREATE TABLE alerts (fingerprint TEXT PRIMARY KEY, document TEXT NOT NULL);
    CREATE TABLE notifications (
        key TEXT PRIMARY KEY,
        at REAL NOT NULL,
        done INTEGER NOT NULL,
        document TEXT NOT NULL
    );
    CREATE INDEX notifications_by_time ON notifications (done, at);
    """,
)
"""Step n makes version n of version n - 1. A step that was released is never changed."""
