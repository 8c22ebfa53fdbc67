"""What is held of bodies until they can be read: bounded for each, and for all together."""

import threading


class Allowance:
    """Bytes that may be held at the same time by everything that shares it."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Ask for so many bytes; False if there are not so many left."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give_back(self, count: int) -> None:
        """Return what was taken."""
        with self._lock:
            self._left += count


class Capture:
    """One body as far as it has come. What it holds is given back when it is taken out, or when the capture is forgotten.

    Args:
        limit: the most bytes that it holds.
        allowance: shared with other captures.
    """

    def __init__(self, limit: int, allowance: Allowance) -> None:
        self._limit = limit
        self._allowance = allowance
        self._body = bytearray()

    def add(self, piece: bytes | memoryview) -> bool:
        """Hold these bytes too; False if that is more than may be held, and then nothing is held any more."""
        if len(self._body) + len(piece) > self._limit or not self._allowance.take(len(piece)):
            self.take_out()
            return False
        self._body += piece
        return True

    def take_out(self) -> bytes:
        """All that was held; it is not any more."""
        body, self._body = bytes(self._body), bytearray()
        self._allowance.give_back(len(body))
        return body

    def __del__(self) -> None:
        """Give back what was never taken out."""
        self._allowance.give_back(len(self._body))
