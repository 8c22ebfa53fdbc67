"""The errors of lmwatch, split by what a caller can do about them.

LmwatchError
├── ConfigError      fix the file it names; the running configuration stays
├── TransientError   the same call may succeed later: count it, wait, try again
├── RefusedError     the other side understood and said no: repeating the call changes nothing
└── BadDataError     what came in cannot be used; nothing of it was taken
"""


class LmwatchError(Exception):
    """Anything that lmwatch raises on purpose. Its text is fit to be shown to a user."""


class ConfigError(LmwatchError):
    """The configuration cannot be used. The text names file, line, column and key."""


class TransientError(LmwatchError):
    """A call failed for a reason that may pass: a timeout, a refused connection, a 5xx."""


class RefusedError(LmwatchError):
    """The other side refused: wrong credentials, an unknown query, a request it will never take."""


class BadDataError(LmwatchError):
    """Input that cannot be understood: a broken exposition, half a JSON document."""
