"""Reading `lms log stream --json`: bytes in pieces of any length come in, the figures of predictions go out.

Each line is one JSON event, with the whole text of an answer in it. Nothing of that text is kept: an event that arrives in
one piece is decoded and let go at once, and of one that is spread over several pieces only what is outside long
strings is held until its end. So memory stays small however long an answer is.
"""

from dataclasses import asdict, dataclass

from exporter.lmstudio.failures import load_json
from exporter.lmstudio.logfigures import LoggedPrediction, read_prediction

LONGEST_STRING = 1024
"""Bytes of a string that is spread over several pieces; a longer one becomes an empty one."""
LONGEST_EVENT = 64 * 1024
"""Bytes that an event may have, without its long strings."""


@dataclass(frozen=True, slots=True)
class LogCounts:
    """What a parser met so far."""

    predictions: int = 0
    other: int = 0
    """Events of other kinds, greetings and empty lines."""
    unreadable: int = 0
    """Lines that begin as an event and are none, and predictions without a usable model name."""
    too_long: int = 0
    """Events in several pieces above `LONGEST_EVENT`."""


class LogParser:
    """Reads one stream from its beginning to its end. For one thread at a time."""

    def __init__(self) -> None:
        self._line = _Line()
        # All keys from the start: another thread may copy the counts while a line is read.
        self._counts = asdict(LogCounts())

    @property
    def counts(self) -> LogCounts:
        """What came so far."""
        return LogCounts(**self._counts)

    def feed(self, piece: bytes) -> list[LoggedPrediction]:
        """The predictions that this piece of the stream completes, in the stream's order."""
        head, *lines = piece.split(b"\n")
        found = [self._finish(line) for line in (head, *lines[:-1])] if lines else []
        tail = lines[-1] if lines else head
        if tail:
            self._line.take(tail)
        return [prediction for prediction in found if prediction is not None]

    def end(self) -> list[LoggedPrediction]:
        """The prediction in a last line without a line break, if it is whole. The parser can then read another stream."""
        prediction = self._finish(b"") if self._line.begun else None
        return [prediction] if prediction is not None else []

    def _finish(self, rest: bytes) -> LoggedPrediction | None:
        """Read the line in the making, which ends with `rest`."""
        line = self._line
        if not line.begun:
            return self._read(rest)
        self._line = _Line()
        line.take(rest)
        if line.too_long:
            self._counts["too_long"] += 1
            return None
        return self._read(line.kept())

    def _read(self, line: bytes) -> LoggedPrediction | None:
        if not line.lstrip().startswith(b"{"):
            self._counts["other"] += 1
            return None
        document = load_json(line.decode("utf-8", "replace"))
        prediction = read_prediction(document)
        if prediction is not None:
            self._counts["predictions"] += 1
        elif _is_other(document):
            self._counts["other"] += 1
        else:
            self._counts["unreadable"] += 1
        return prediction


class _Line:
    """A line that arrives in pieces. Strings longer than `LONGEST_STRING` are emptied on the way."""

    def __init__(self) -> None:
        self.begun = False
        self.too_long = False
        self._kept = bytearray()
        self._string = bytearray()
        self._in_string = False
        self._emptied = False
        self._backslash = b""

    def take(self, piece: bytes) -> None:
        """Add the next piece, which holds no line break."""
        self.begun = True
        piece = self._backslash + piece
        # Escaped backslashes and quotes are masked in place: the quotes that are left begin and end strings.
        masked = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in piece else piece
        # A backslash that ends the piece has lost what it escapes: it waits for the next piece.
        self._backslash = masked[-1:] if masked.endswith(b"\\") else b""
        position = 0
        for number, part in enumerate(masked[: len(masked) - len(self._backslash)].split(b'"')):
            if number:
                self._quote()
            self._add(piece[position : position + len(part)])
            position += len(part) + 1

    def kept(self) -> bytes:
        """The line, long strings emptied; cut off where a string has no end."""
        return bytes(self._kept)

    def _quote(self) -> None:
        if self._in_string:
            self._keep(b'""' if self._emptied else b'"' + self._string + b'"')
            self._string.clear()
            self._emptied = False
        self._in_string = not self._in_string

    def _add(self, part: bytes) -> None:
        if not self._in_string:
            self._keep(part)
        elif self._emptied or len(self._string) + len(part) > LONGEST_STRING:
            self._emptied = True
            self._string.clear()
        else:
            self._string += part

    def _keep(self, part: bytes) -> None:
        self.too_long = self.too_long or len(self._kept) + len(part) > LONGEST_EVENT
        if not self.too_long:
            self._kept += part


def _is_other(document: object) -> bool:
    """Whether this is an event of another kind."""
    data = document.get("data") if isinstance(document, dict) else None
    return isinstance(data, dict) and isinstance(data.get("type"), str) and data["type"] != "llm.prediction.output"
