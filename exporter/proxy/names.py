"""Which model names become label values: as many as the server really has, whatever clients and servers write."""

import threading
from collections.abc import Callable

UNKNOWN_MODEL = "unknown"
"""Stands for a model that nobody named, and for names that are not let through."""
_LONGEST = 256
_ROOM = 64
"""Names taken from answers alone. Servers that repeat the name that was asked for would else make one for each typing error."""


class Names:
    """Lets through the names that the server lists, and a limited number of others that it answered under.

    Args:
        is_listed: whether the server lists a model or instance of this name.
    """

    def __init__(self, is_listed: Callable[[str], bool]) -> None:
        self._is_listed = is_listed
        self._answered: set[str] = set()
        self._lock = threading.Lock()

    def answered(self, name: str) -> str:
        """The label for a model that answered."""
        if not name or len(name) > _LONGEST:
            return UNKNOWN_MODEL
        if self._is_listed(name):
            return name
        with self._lock:
            if name not in self._answered and len(self._answered) < _ROOM:
                self._answered.add(name)
            return name if name in self._answered else UNKNOWN_MODEL

    def asked(self, name: str) -> str:
        """The label for a model that was asked and did not answer."""
        if not name or len(name) > _LONGEST:
            return UNKNOWN_MODEL
        with self._lock:
            known = name in self._answered
        return name if known or self._is_listed(name) else UNKNOWN_MODEL
