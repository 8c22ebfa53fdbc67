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
        number INTEGER PRIMARY KEY,
        group_key TEXT NOT NULL,
        at REAL NOT NULL,
        status TEXT NOT NULL,
        forward TEXT NOT NULL,
        payload TEXT NOT NULL,
        notes TEXT,
        triage TEXT NOT NULL DEFAULT '',
        verdict TEXT
    );
    CREATE INDEX notifications_by_time ON notifications (at);
    CREATE INDEX notifications_by_forward ON notifications (forward, number);
    CREATE INDEX notifications_by_group ON notifications (group_key, number);
    CREATE TABLE notified (
        group_key TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        status TEXT NOT NULL,
        starts_at TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (group_key, fingerprint)
    ) WITHOUT ROWID;
    CREATE INDEX notified_by_time ON notified (at);
    """,
    """
    ALTER TABLE verdicts ADD COLUMN score REAL;
    ALTER TABLE verdicts ADD COLUMN kind TEXT;
    UPDATE verdicts SET score = json_extract(document, '$.group_score'), kind = json_extract(document, '$.findings[0].kind');
    DROP INDEX verdicts_by_time;
    DROP INDEX verdicts_by_watch;
    CREATE INDEX verdicts_by_time ON verdicts (at, number, watch, outcome, score);
    CREATE INDEX verdicts_by_watch ON verdicts (watch, at, number, id, "group", outcome, score, kind);
    CREATE INDEX events_by_server ON events (server, at, number);
    """,
)
"""Step n makes version n of version n - 1. A step that was released is never changed."""
