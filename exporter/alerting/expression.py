"""What an alert's `generatorURL` says about the expression behind it. Pure.

Forms: Prometheus, Thanos and Mimir (`/graph?g0.expr=…`, `/query?g0.expr=…`), VictoriaMetrics' vmui (`/vmui/#/?g0.expr=…`),
Grafana's Explore (`left=` and `panes=` with JSON), and any address with the parameter `expr`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

_LONGEST = 10_000
_MOST_PARAMETERS = 100
_DEEPEST = 8
_PIECE = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|\#[^\n]*)|(?P<open>[(\[{])|(?P<close>[)\]}])"""
    r"""|(?P<compares>==|!=|>=|<=|>|<)|(?P<word>[A-Za-z_:][\w:]*)|.""",
    re.DOTALL,
)
_BOOL = re.compile(r"\s*bool\b", re.IGNORECASE)
_MATCHING = re.compile(r"\s*(?:on|ignoring|group_left|group_right)\s*(?:\([^()]*\))?", re.IGNORECASE)
_CONSTANT = re.compile(r"(?:[\s+\-*/%^()]|\b(?:0x[\da-f]+|\d[\d_.]*(?:e[+-]?\d+)?|inf|nan)\b)*", re.IGNORECASE)


def expression_of(url: str) -> str | None:
    """The PromQL in the address that an alert names as its origin; None where there is none."""
    try:
        parts = urlsplit(url[: 4 * _LONGEST])
        for query in (parts.query, parts.fragment.partition("?")[2]):
            given = parse_qs(query, max_num_fields=_MOST_PARAMETERS)
            for text in _candidates(given):
                if text.strip() and len(text) <= _LONGEST:
                    return text.strip()
    except ValueError:
        return None
    return None


def measured(expr: str) -> str:
    """What an alert's expression compares: of `rate(errors_total[5m]) > 0.1` the rate.

    An alert's expression has values only while it fires; what it compares has them always, and only that can be screened.
    Of `and` and `unless` the first operand counts, whose values the alert has. What has `or`, or no comparison, stays as it is.
    """
    text = _unwrapped(expr)
    comparisons: list[tuple[int, int]] = []
    for kind, token, start, end in _top_level(text):
        word = token.lower() if kind == "word" else ""
        if word == "or":
            return text
        if word in ("and", "unless"):
            return measured(text[:start]) if text[:start].strip() else text
        if kind == "compares":
            comparisons.append((start, end))
    if len(comparisons) != 1:
        return text
    left, right = text[: comparisons[0][0]].strip(), text[comparisons[0][1] :]
    right = (
        _MATCHING.sub("", _BOOL.sub("", right, count=1)) if _MATCHING.match(right) else _BOOL.sub("", right, count=1)
    )
    return (left if not _CONSTANT.fullmatch(left) else right.strip()) or text


def _candidates(given: dict[str, list[str]]) -> Iterator[str]:
    for name in ("g0.expr", "expr"):
        yield from given.get(name, [])
    for name in ("left", "panes"):
        for text in given.get(name, []):
            try:
                yield from _expressions(json.loads(text))
            except (ValueError, RecursionError):
                continue


def _expressions(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts under the key `expr`, in order."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        if isinstance(value.get("expr"), str):
            yield value["expr"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _expressions(item, depth + 1)


def _top_level(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Words and comparisons outside of all brackets: kind, text, start, end."""
    depth = 0
    for match in _PIECE.finditer(text):
        kind = match.lastgroup or ""
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif depth == 0 and kind in ("compares", "word"):
            yield kind, match[0], match.start(), match.end()


def _unwrapped(expr: str) -> str:
    """The expression without brackets around the whole of it."""
    text = expr.strip()
    while text.startswith("(") and text.endswith(")") and _closes_at_end(text):
        text = text[1:-1].strip()
    return text


def _closes_at_end(text: str) -> bool:
    """Whether the bracket that opens the text is closed by its last character."""
    depth = 0
    for match in _PIECE.finditer(text):
        depth += (match.lastgroup == "open") - (match.lastgroup == "close")
        if depth == 0:
            return match.end() == len(text)
    return False
