"""One sample line of an exposition: the series it names, its value, its timestamp.

Sources: the Prometheus text format 0.0.4 and 1.0.0 (with quoted UTF-8 names) and OpenMetrics 1.0. Blanks are taken
leniently, as Prometheus' own text parser takes them; what a number is, is decided strictly, so that the quick path of
`exposition.py` and this one accept the same.
"""

import math
import re
from typing import NamedTuple, NoReturn

from exporter.errors import BadDataError

_BLANKS = re.compile(rb"[ \t]*+")
_METRIC_NAME = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*+")
_LABEL_NAME = re.compile(rb"[a-zA-Z_][a-zA-Z0-9_]*+")
_QUOTED = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_USUAL = re.compile(
    rb"""([a-zA-Z_:][a-zA-Z0-9_:]*+)
    (?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*+="[^"\\]*+"(?:,[a-zA-Z_][a-zA-Z0-9_]*+="[^"\\]*+")*+,?)?)\})?+[ \t]++(?!\{)""",
    re.VERBOSE,
)
_USUAL_PAIR = re.compile(r'([^=,]++)="([^"]*+)"')
_TOKEN = re.compile(rb"[^ \t]++")
_INTEGER = re.compile(rb"[+-]?[0-9]{1,20}")
_ESCAPE = re.compile(r"\\([\\\"n])")
_EXCERPT = 60

NUMBER_CHARACTERS = b"0123456789+-.eEnNaAiIfFtTyY"
"""All that decimal numbers, NaN and infinities are written with; float() alone would also take 1_000."""


class SeriesText(NamedTuple):
    """What the front part of a sample line says."""

    name: str
    labels: dict[str, str]
    """As exposed: empty values are kept, `__name__` is not."""
    end: int
    """Where the value starts: the bytes before it, blanks included, are the same on every line of this series."""


def bad_line(line: bytes, number: int, offset: int, why: str) -> BadDataError:
    """The error for one line, with its place and an excerpt that is safe to print.

    Args:
        line: the whole line.
        number: of the line, counted from 1.
        offset: the byte where the mistake stands.
        why: what is wrong there.
    """
    column = len(line[:offset].decode(errors="replace")) + 1
    start = max(0, offset - _EXCERPT // 2)
    excerpt = line[start : start + _EXCERPT].decode(errors="backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in excerpt)
    before, after = "…" if start else "", "…" if start + _EXCERPT < len(line) else ""
    return BadDataError(f"line {number}, column {column}: {why}: {before}{shown}{after}")


def unescape(text: str) -> str:
    r"""`\\`, `\"` and `\n` resolved; any other backslash stays, as in Prometheus."""
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text) if "\\" in text else text


def to_number(token: bytes) -> float | None:
    """The value of a number without blanks around it; None where it is none."""
    if token.translate(None, NUMBER_CHARACTERS):
        return None
    try:
        return float(token)
    except ValueError:
        return None


def parse_series(line: bytes, number: int) -> SeriesText:
    """Read name and labels.

    Args:
        line: a sample line without its newline.
        number: of the line, for the error.

    Raises:
        BadDataError: names line, column and what was expected there.
    """
    return _parse_usual_series(line) or _parse_any_series(line, number)


def _parse_usual_series(line: bytes) -> SeriesText | None:
    """A series as nearly all sources write it, without blanks and escapes; None for all that needs a closer look."""
    found = _USUAL.match(line)
    if found is None:
        return None
    try:
        pairs = _USUAL_PAIR.findall((found[2] or b"").decode())
    except UnicodeDecodeError:
        return None
    labels = dict(pairs)
    if len(labels) < len(pairs) or "__name__" in labels:
        return None
    return SeriesText(found[1].decode(), labels, found.end())


def _parse_any_series(line: bytes, number: int) -> SeriesText:
    cursor = _Cursor(line, number)
    cursor.skip_blanks()
    name = cursor.take(_METRIC_NAME)
    name_end = cursor.at
    cursor.skip_blanks()
    labels: dict[str, str] = {}
    if cursor.take_byte(b"{"):
        name, labels = _parse_braces(cursor, name)
    elif not name:
        cursor.fail("expected a metric name")
    elif cursor.at == name_end and cursor.at < len(line):
        cursor.fail("expected a blank, { or more of the metric name")
    cursor.skip_blanks()
    return SeriesText(name, labels, cursor.at)


def parse_tail(line: bytes, start: int, number: int, *, openmetrics: bool) -> tuple[float, float]:
    """Read value and timestamp, and step over an exemplar.

    Args:
        line: a sample line without its newline.
        start: where the value starts.
        number: of the line, for the error.
        openmetrics: timestamps are seconds and exemplars are allowed; otherwise whole milliseconds and none.

    Returns:
        The value, and the timestamp in Unix seconds or NaN where there is none.

    Raises:
        BadDataError: names line, column and what was expected there.
    """
    usual = _parse_usual_tail(line[start:], openmetrics=openmetrics)
    if usual is not None:
        return usual
    cursor = _Cursor(line, number, start)
    value = cursor.take_number("expected a value")
    stamp = math.nan
    if cursor.more() and not (openmetrics and cursor.peek(b"#")):
        stamp = _parse_seconds(cursor) if openmetrics else _parse_milliseconds(cursor)
    if openmetrics and cursor.more() and cursor.take_byte(b"#"):
        _skip_exemplar(cursor)
    if cursor.more():
        cursor.fail("unexpected text after the sample")
    return value, stamp


class _Cursor:
    """A place in a line, and small steps forward from it."""

    def __init__(self, line: bytes, number: int, at: int = 0) -> None:
        self._line = line
        self._number = number
        self.at = at

    def fail(self, why: str, at: int | None = None) -> NoReturn:
        raise bad_line(self._line, self._number, self.at if at is None else at, why)

    def skip_blanks(self) -> None:
        if blanks := _BLANKS.match(self._line, self.at):
            self.at = blanks.end()

    def more(self) -> bool:
        """Whether anything but blanks follows; stands in front of it."""
        self.skip_blanks()
        return self.at < len(self._line)

    def peek(self, byte: bytes) -> bool:
        return self._line.startswith(byte, self.at)

    def take_byte(self, byte: bytes) -> bool:
        if not self.peek(byte):
            return False
        self.at += 1
        return True

    def take(self, pattern: re.Pattern[bytes]) -> str:
        """The text that the pattern matches here, which is ASCII; empty where it does not match."""
        found = pattern.match(self._line, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0].decode("ascii")

    def take_quoted(self) -> str:
        found = _QUOTED.match(self._line, self.at)
        if found is None:
            self.fail("expected a closed string in double quotes")
        try:
            text = found[1].decode()
        except UnicodeDecodeError as error:
            self.fail("not UTF-8", found.start(1) + error.start)
        self.at = found.end()
        return unescape(text)

    def take_token(self) -> bytes:
        """Up to the next blank; empty at the end of the line."""
        self.skip_blanks()
        found = _TOKEN.match(self._line, self.at)
        if found is None:
            return b""
        self.at = found.end()
        return found[0]

    def take_number(self, expectation: str) -> float:
        token = self.take_token()
        value = to_number(token)
        if value is None:
            self.fail(expectation, self.at - len(token))
        return value


def _parse_braces(cursor: _Cursor, name: str) -> tuple[str, dict[str, str]]:
    """From behind `{` to behind `}`; the metric name may stand inside, quoted."""
    labels: dict[str, str] = {}
    cursor.skip_blanks()
    while not cursor.take_byte(b"}"):
        start = cursor.at
        label, value = _parse_pair(cursor)
        if value is None or label == "__name__":
            if name:
                cursor.fail("the metric name is given twice", start)
            name = label if value is None else value
        elif label in labels:
            cursor.fail(f"the label {label} is given twice", start)
        else:
            labels[label] = value
        cursor.skip_blanks()
        if not cursor.take_byte(b",") and not cursor.peek(b"}"):
            cursor.fail("expected , or }")
        cursor.skip_blanks()
    if not name:
        cursor.fail("no metric name before or inside the braces")
    return name, labels


def _parse_pair(cursor: _Cursor) -> tuple[str, str | None]:
    """A label and its value, or a quoted metric name and None."""
    start = cursor.at
    quoted = cursor.peek(b'"')
    label = cursor.take_quoted() if quoted else cursor.take(_LABEL_NAME)
    if not label:
        cursor.fail("expected a label name or }", start)
    cursor.skip_blanks()
    if cursor.take_byte(b"="):
        cursor.skip_blanks()
        return label, cursor.take_quoted()
    if not quoted:
        cursor.fail("expected = after a label name")
    return label, None


def _parse_usual_tail(tail: bytes, *, openmetrics: bool) -> tuple[float, float] | None:
    """A value, or a value, one blank and a plain timestamp; None for all that needs a closer look."""
    token, blank, stamp = tail.partition(b" ")
    value = to_number(token)
    if value is None:
        return None
    if not blank:
        return value, math.nan
    if not openmetrics:
        return (value, int(stamp) / 1000) if stamp.isdigit() and len(stamp) <= 15 else None
    seconds = to_number(stamp)
    return (value, seconds) if seconds is not None and math.isfinite(seconds) else None


def _parse_milliseconds(cursor: _Cursor) -> float:
    token = cursor.take_token()
    if not _INTEGER.fullmatch(token):
        cursor.fail("expected a timestamp in whole milliseconds", cursor.at - len(token))
    return int(token) / 1000


def _parse_seconds(cursor: _Cursor) -> float:
    expectation = "expected a timestamp in seconds"
    seconds = cursor.take_number(expectation)
    if not math.isfinite(seconds):
        cursor.fail(expectation)
    return seconds


def _skip_exemplar(cursor: _Cursor) -> None:
    cursor.skip_blanks()
    if not cursor.take_byte(b"{"):
        cursor.fail("expected the labels of an exemplar")
    _parse_braces(cursor, "exemplar")
    cursor.take_number("expected the value of an exemplar")
    if cursor.more():
        _parse_seconds(cursor)
