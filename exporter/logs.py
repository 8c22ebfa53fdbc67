"""Log lines for people and machines: logfmt or JSON, one record a line.

Fields beside the message are passed as `logger.info("target is down", extra=fields(target=name, error=text))`.
What stands in a value can neither end its line nor look like a further field: values come from label values, answers
of models and bodies of foreign servers.
"""

import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Literal, TextIO

Format = Literal["logfmt", "json"]

_LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_OWN = ("ts", "level", "caller", "msg", "stack")
_PLAIN = re.compile(r"""[^\s"=\\]+""")
_NO_KEY = re.compile(r"[^A-Za-z0-9_.-]+")
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def fields(**pairs: Any) -> dict[str, dict[str, Any]]:
    """The `extra` of a log call that carries these fields."""
    return {"fields": pairs}


def configure(level: str, format: Format, stream: TextIO) -> None:  # noqa: A002 - named as the flag
    """Send the records of the whole program to a stream. A second call replaces what the first set up.

    Args:
        level: the least severe level to show: debug, info, warn or error.
        format: logfmt or json.
        stream: where lines are written.

    Raises:
        ValueError: there is no such level or format.
    """
    if level not in _LEVELS:
        raise ValueError(f"there is no log level {level!r}: it is one of {', '.join(_LEVELS)}")
    if format not in ("logfmt", "json"):
        raise ValueError(f"there is no log format {format!r}: it is logfmt or json")
    handler = _Handler(stream)
    handler.setFormatter(LogfmtFormatter() if format == "logfmt" else JsonFormatter())
    root = logging.getLogger()
    for old in [known for known in root.handlers if isinstance(known, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])
    for chatty in ("apscheduler", "urllib3", "websocket"):
        logging.getLogger(chatty).setLevel(max(_LEVELS[level], logging.WARNING))


class LogfmtFormatter(logging.Formatter):
    """`ts=2026-11-22T09:13:32.123Z level=info caller=app.py:42 msg="target is down" target=a:9100`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        return " ".join(f"{key}={_quote(_text(value))}" for key, value in _pairs(self, record).items())


class JsonFormatter(logging.Formatter):
    """The fields of the logfmt line as one JSON object; numbers and lists keep their type."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        pairs = _pairs(self, record)
        try:
            return json.dumps(pairs, default=str, allow_nan=False)
        except (TypeError, ValueError):  # NaN, a mapping with odd keys, a list that holds itself
            return json.dumps({key: _text(value) for key, value in pairs.items()})


class _Handler(logging.StreamHandler[TextIO]):
    """The handler that `configure` sets up, and may replace."""


def _pairs(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    pairs: dict[str, Any] = {
        "ts": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
        "level": _level(record.levelno),
        "caller": f"{record.filename}:{record.lineno}",
        "msg": record.getMessage(),
    }
    given = getattr(record, "fields", None)
    for key, value in given.items() if isinstance(given, Mapping) else ():
        name = _NO_KEY.sub("_", str(key)) or "_"
        pairs[f"field_{name}" if name in _OWN else name] = value
    if record.exc_info:
        pairs["stack"] = formatter.formatException(record.exc_info)
    elif record.stack_info:
        pairs["stack"] = record.stack_info
    return pairs


def _level(number: int) -> str:
    return next((name for name, least in reversed(list(_LEVELS.items())) if number >= least), "debug")


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _quote(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.isprintable():
        return value
    return '"' + "".join(_escape(character) for character in value) + '"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
