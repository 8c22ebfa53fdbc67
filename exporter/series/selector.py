"""PromQL vector selectors: which series a watch takes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, Self

from exporter.series.labels import Labels, Series
from exporter.series.literals import LiteralError, take_literal

Operator = Literal["=", "!=", "=~", "!~"]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR = re.compile(r"=~|!~|!=|=")
_BLANKS = re.compile(r"\s*")
_POSIX_CLASS = re.compile(r"\[[^\]]*(\[:\^?[a-z]+:\])")
_NOT_HERE = (
    (re.compile(r"\["), "a range like [5m] does not belong here: the watch's window decides"),
    (re.compile(r"(?i:offset)\b"), "an offset does not belong here: the newest values are watched"),
    (re.compile(r"@"), "a fixed time with @ does not belong here: the newest values are watched"),
    (re.compile(r"\("), "a function does not belong here: `as:` says how the series is read"),
)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label, `__name__` included. A label that is not there has the value ""."""

    label: str
    operator: Operator
    value: str
    pattern: re.Pattern[str] | None = None
    """The regular expression; it has to match the whole value."""

    def matches(self, value: str) -> bool:
        """Whether a label value fulfils the condition."""
        if self.pattern is None:
            return (value == self.value) == (self.operator == "=")
        return (self.pattern.fullmatch(value) is not None) == (self.operator == "=~")


@dataclass(frozen=True, slots=True)
class Selector:
    """All of these conditions hold."""

    text: str
    """As the user wrote it."""
    matchers: tuple[Matcher, ...]
    """Those on `__name__` first: they are cheap and rule out most."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a vector selector without range and offset: `name`, `name{a="b",c!~"x|y"}`, `{"utf8.name"}`.

        Raises:
            ValueError: it is none; names the position, counted from 1, and what was expected there.
        """
        matchers = _Parser(text).parse()
        return cls(text, tuple(sorted(matchers, key=lambda matcher: matcher.label != "__name__")))

    def matches(self, series: Series) -> bool:
        """Whether it selects this series."""
        return self.matches_identity(series.name, series.labels)

    def matches_identity(self, name: str, labels: Labels) -> bool:
        """Whether it selects a series of this name with these labels."""
        values: Mapping[str, str] = {}
        for matcher in self.matchers:
            if matcher.label == "__name__":
                value = name
            else:
                values = values or dict(labels)
                value = values.get(matcher.label, "")
            if not matcher.matches(value):
                return False
        return True

    def __str__(self) -> str:
        """As the user wrote it."""
        return self.text


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parse(self) -> list[Matcher]:
        matchers: list[Matcher] = []
        name = self._take(_NAME)
        if name:
            matchers.append(Matcher("__name__", "=", name))
        if self._take_text("{"):
            while not self._take_text("}"):
                matchers.append(self._matcher(named=bool(name)))
                if not self._take_text(",") and not self._peek("}"):
                    self._fail("expected , or }")
        elif not name:
            self._fail("expected a metric name or {")
        self._expect_end()
        if all(matcher.matches("") for matcher in matchers):
            self._at = 0
            self._fail(
                "matches every series; at least one condition must not match the empty string, so use .+, not .*"
            )
        return matchers

    def _matcher(self, *, named: bool) -> Matcher:
        start = self._at
        quoted = self._peek('"') or self._peek("'") or self._peek("`")
        label = self._string() if quoted else self._take(_LABEL)
        if not label:
            self._fail("expected a label name or }")
        operator = self._take(_OPERATOR)
        if not operator and quoted:
            label, operator, value = "__name__", "=", label
        elif not operator:
            self._fail("expected =, !=, =~ or !~ after the label name")
        else:
            value = self._string()
        if named and label == "__name__":
            self._at = start
            self._fail("the metric name is given twice")
        match operator:
            case "=~" | "!~":
                return Matcher(label, operator, value, self._pattern(value, start))
            case "!=":
                return Matcher(label, "!=", value)
            case _:
                return Matcher(label, "=", value)

    def _pattern(self, value: str, start: int) -> re.Pattern[str]:
        if posix := _POSIX_CLASS.search(value):
            # RE2 knows them; Python takes them for a set of letters and colons, which is something else.
            self._at = start
            self._fail(f"the class {posix[1]} is not known here: write the characters, as in [a-zA-Z]")
        try:
            # Prometheus lets the dot match newlines too.
            return re.compile(value, re.DOTALL)
        except (re.error, OverflowError, RecursionError) as error:
            self._at = start
            self._fail(f"{value!r} is no regular expression: {error}")

    def _string(self) -> str:
        self._skip_blanks()
        try:
            value, self._at = take_literal(self._text, self._at)
        except LiteralError as error:
            self._at = error.at
            self._fail(str(error))
        return value

    def _expect_end(self) -> None:
        self._skip_blanks()
        for pattern, why in _NOT_HERE:
            if pattern.match(self._text, self._at):
                self._fail(why)
        if self._at < len(self._text):
            self._fail("expected the end of the selector")

    def _skip_blanks(self) -> None:
        if blanks := _BLANKS.match(self._text, self._at):
            self._at = blanks.end()

    def _take(self, pattern: re.Pattern[str]) -> str:
        self._skip_blanks()
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def _peek(self, text: str) -> bool:
        self._skip_blanks()
        return self._text.startswith(text, self._at)

    def _take_text(self, text: str) -> bool:
        if not self._peek(text):
            return False
        self._at += len(text)
        return True

    def _fail(self, why: str) -> NoReturn:
        raise ValueError(f"{self._text!r}, position {self._at + 1}: {why}")
