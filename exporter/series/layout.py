"""Where the samples of an exposition stand, so that an exposition laid out alike is read without looking at it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from typing import NamedTuple, TypeVar

import numpy as np

from exporter.errors import BadDataError
from exporter.series.frame import FloatArray, IntArray
from exporter.series.lines import NUMBER_CHARACTERS, parse_tail

T = TypeVar("T")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PLAIN = NUMBER_CHARACTERS + b" \t\n"
_LABELS_FIRST = re.compile(rb"^[ \t]*+\{", re.MULTILINE)
_SAMPLE, _BLANK = 1, 2
_KINDS = {b"#": 0, b"": 0, b" ": _BLANK, b"\t": _BLANK}
_FLIP = bytes([1, 0, *range(2, 256)])


@dataclass(frozen=True, slots=True)
class Lines:
    """An exposition cut into lines."""

    lines: list[bytes]
    size: int
    """Bytes in all lines together, newlines not counted."""
    openmetrics: bool


def split_lines(body: bytes, content_type: str) -> Lines:
    """Cut an exposition into lines, after checking that its end is there.

    Raises:
        BadDataError: the body is cut short, or of a kind that is not text.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/vnd.google.protobuf":
        raise BadDataError("the target answered with protobuf; ask it for text")
    openmetrics = media_type == "application/openmetrics-text"
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n")
    lines = body.split(b"\n")
    if openmetrics:
        end = lines[-1] or (lines[-2] if len(lines) > 1 else b"")
        if end != b"# EOF":
            raise BadDataError(f"line {len(lines)}: the exposition is cut short: it does not end with # EOF")
    elif lines[-1]:
        raise BadDataError(f"line {len(lines)}: the exposition is cut short: its last line does not end with a newline")
    return Lines(lines, len(body) - len(lines) + 1, openmetrics)


class Samples(NamedTuple):
    """The sample lines of an exposition, cut where the value starts."""

    lines: Sequence[bytes]
    keys: Sequence[bytes]
    tails: Sequence[bytes]
    joined: bytes
    """The tails with newlines between them."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What stayed the same since the last exposition, if it stayed."""

    openmetrics: bool
    mask: bytes
    """[lines]: 1 for a sample, 0 for a comment or an empty line."""
    others: list[bytes]
    """The lines that are no samples."""
    keys: Sequence[bytes]
    """[samples]: the bytes before the value."""
    fixed: int
    """Bytes in all `others` and `keys` together."""
    rows: IntArray
    """Row numbers, each once."""
    first: IntArray | None
    """Which samples these are; None where each sample has its own row."""

    @property
    def duplicates(self) -> int:
        """Samples of a series that an earlier line brought already."""
        return len(self.keys) - len(self.rows)

    def match(self, text: Lines) -> Samples | None:
        """The samples of an exposition that is laid out like this; None where it is laid out otherwise.

        `removeprefix` leaves a line alone that does not start with its key, so all of them did exactly if the total
        length shrank by the total length of the keys.
        """
        if self.openmetrics != text.openmetrics or len(self.mask) != len(text.lines):
            return None
        if select_others(text.lines, self.mask) != self.others:
            return None
        samples = list(compress(text.lines, self.mask))
        tails = list(map(bytes.removeprefix, samples, self.keys))
        joined = b"\n".join(tails)
        newlines = max(0, len(tails) - 1)
        if len(joined) - newlines != text.size - self.fixed or labels_first(joined):
            return None
        return Samples(samples, self.keys, tails, joined)


def line_mask(lines: Sequence[bytes]) -> bytes:
    """[lines]: 1 for a sample, 0 for a comment or an empty line."""
    mask = bytes(map(_KINDS.get, [line[:1] for line in lines], repeat(_SAMPLE)))
    return line_mask([line.lstrip(b" \t") for line in lines]) if _BLANK in mask else mask


def labels_first(tails: bytes) -> bool:
    """Whether labels stand where a value should: what looked like the key of a line is only its metric name.

    Args:
        tails: what follows the keys, with newlines between.
    """
    return b"{" in tails and _LABELS_FIRST.search(tails) is not None


def select_others(lines: Iterable[T], mask: bytes) -> list[T]:
    """Those of the lines, or of what is told about each of them, that are no samples."""
    return list(compress(lines, mask.translate(_FLIP)))


def read_values(samples: Samples, mask: bytes, *, openmetrics: bool) -> tuple[FloatArray, FloatArray | None]:
    """Values and timestamps of sample lines.

    Args:
        samples: the lines.
        mask: as `line_mask` gives it, for the line numbers in errors.
        openmetrics: decides about timestamps and exemplars.

    Returns:
        Values [samples], and timestamps [samples] in Unix seconds with NaN where there is none; None where no sample
        has one.

    Raises:
        BadDataError: the first line that holds something else.
    """
    if not samples.joined.translate(None, _PLAIN):
        try:
            return np.fromiter(map(float, samples.tails), np.float64, len(samples.tails)), None
        except ValueError:
            pass  # timestamps, most likely
    numbers = compress(range(1, len(mask) + 1), mask)
    pairs = [
        parse_tail(line, len(key), number, openmetrics=openmetrics)
        for line, key, number in zip(samples.lines, samples.keys, numbers, strict=True)
    ]
    table = np.array(pairs, np.float64)
    values, stamps = table[:, 0].copy(), table[:, 1].copy()
    return values, None if np.isnan(stamps).all() else stamps
