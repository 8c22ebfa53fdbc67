"""What comment lines say about metric families: type, help and unit."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from exporter.series.labels import MetricType
from exporter.series.lines import bad_line, unescape

_COMMENT = re.compile(
    rb"""[ \t]*+\#[ \t]++(?P<word>HELP|TYPE|UNIT)[ \t]++
    (?:(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*+)|"(?P<quoted>(?:[^"\\]|\\.)++)")
    (?:[ \t]++(?P<text>.*))?""",
    re.VERBOSE | re.DOTALL,
)
_STRICT_WORD = re.compile(rb"[ \t]*+#[ \t]++(HELP|TYPE)(?=[ \t])")
_EOF = b"# EOF"
_HELP_ESCAPE = re.compile(r"\\([\\n])")

_TYPES: dict[str, MetricType] = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "summary": "summary",
    "info": "info",
    "stateset": "stateset",
    "gaugehistogram": "gaugehistogram",
    "unknown": "unknown",
    "untyped": "unknown",
}
_SUFFIXES: dict[str, tuple[MetricType, ...]] = {
    "_total": ("counter",),
    "_bucket": ("histogram", "gaugehistogram"),
    "_count": ("histogram", "summary"),
    "_sum": ("histogram", "summary"),
    "_gcount": ("gaugehistogram",),
    "_gsum": ("gaugehistogram",),
    "_info": ("info",),
    "_created": ("counter", "histogram", "summary"),
}


@dataclass(frozen=True, slots=True)
class Family:
    """What a source says about all series of one metric family."""

    type: MetricType = "unknown"
    help: str = ""
    unit: str = ""


_NOTHING_SAID = Family()


def read_metadata(comments: Iterable[tuple[int, bytes]], *, openmetrics: bool) -> dict[str, Family]:
    r"""The families that TYPE, HELP and UNIT lines describe; where one is described twice, the last line counts.

    Args:
        comments: number and text of each line that is not a sample, in order.
        openmetrics: HELP also escapes `\"`, and nothing may follow `# EOF`.

    Raises:
        BadDataError: a TYPE or HELP line without a valid name, an unknown type, text that is not UTF-8, an early EOF.
    """
    families: dict[str, Family] = {}
    ended = False
    for number, line in comments:
        if ended and line:
            raise bad_line(line, number, 0, "an earlier # EOF ended the exposition already")
        ended = ended or (openmetrics and line == _EOF)
        found = _COMMENT.fullmatch(line)
        if found is None:
            if strict := _STRICT_WORD.match(line):
                raise bad_line(line, number, strict.end(), f"expected a metric name after {strict[1].decode()}")
            continue
        _apply(families, found, line, number, openmetrics=openmetrics)
    return families


def describe(name: str, families: Mapping[str, Family]) -> Family:
    """What is known about the samples of this name: its own family, else that whose suffix it carries.

    A `_created` sample is a point in time, thus a gauge, whatever its family counts and in what unit.
    """
    if name in families:
        return families[name]
    for suffix, types in _SUFFIXES.items():
        if not name.endswith(suffix):
            continue
        family = families.get(name.removesuffix(suffix), _NOTHING_SAID)
        if family.type in types:
            return replace(family, type="gauge", unit="") if suffix == "_created" else family
    return _NOTHING_SAID


def _apply(families: dict[str, Family], found: re.Match[bytes], line: bytes, number: int, *, openmetrics: bool) -> None:
    try:
        name = found["name"].decode() if found["name"] else unescape(found["quoted"].decode())
        text = (found["text"] or b"").decode()
    except UnicodeDecodeError:
        raise bad_line(line, number, found.start("word"), "not UTF-8") from None
    family = families.get(name, _NOTHING_SAID)
    match found["word"]:
        case b"TYPE":
            kind = _TYPES.get(text.strip(" \t"))
            if kind is None:
                at = found.start("text") if found["text"] else len(line)
                raise bad_line(line, number, at, "expected a metric type such as counter or gauge")
            families[name] = replace(family, type=kind)
        case b"HELP":
            families[name] = replace(family, help=unescape(text) if openmetrics else _unescape_help(text))
        case _:
            families[name] = replace(family, unit=text.strip(" \t"))


def _unescape_help(text: str) -> str:
    return _HELP_ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text) if "\\" in text else text
