"""The arguments of a request: checked, and refused with words that say which one and why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request

from exporter.config.durations import parse_duration
from exporter.reasoning.verdict import Outcome
from exporter.screening.result import THRESHOLD

MOST_ROWS = 1000
DEFAULT_ROWS = 100
OUTCOMES: tuple[str, ...] = get_args(Outcome)
_YES = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class VerdictQuery:
    """Which verdicts are asked for."""

    watch: str | None
    outcome: str | None
    since: float | None
    """Unix seconds."""
    anomalous: bool
    before: str | None
    limit: int

    @classmethod
    def of(cls, request: Request, now: float, limit: int = DEFAULT_ROWS) -> "VerdictQuery":
        """Read the arguments of a request.

        Raises:
            BadRequest: an argument is not what it should be.
        """
        outcome = request.args.get("outcome") or None
        if outcome is not None and outcome not in OUTCOMES:
            raise BadRequest(f"outcome must be one of {', '.join(OUTCOMES)}, not {outcome!r}")
        return cls(
            watch=request.args.get("watch") or None,
            outcome=outcome,
            since=instant(request, "since", now),
            anomalous=flag(request, "anomalous"),
            before=request.args.get("before") or None,
            limit=limit_of(request, limit),
        )

    def search(self) -> Mapping[str, Any]:
        """As the journal takes it."""
        return {
            "watch": self.watch,
            "since": self.since,
            "before": self.before,
            "limit": self.limit,
            "outcome": self.outcome,
            "above": THRESHOLD if self.anomalous else None,
        }


def limit_of(request: Request, default: int = DEFAULT_ROWS) -> int:
    """How many rows are asked for.

    Raises:
        BadRequest: not a number from 1 to 1000.
    """
    return whole(request, "limit", default, MOST_ROWS)


def whole(request: Request, name: str, default: int, most: int) -> int:
    """A whole number from 1 on.

    Raises:
        BadRequest: it is none, or too large.
    """
    text = request.args.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise BadRequest(f"{name} must be a whole number from 1 to {most}, not {text!r}")
    return int(text)


def flag(request: Request, name: str) -> bool:
    """Whether something is asked for.

    Raises:
        BadRequest: neither yes nor no.
    """
    text = request.args.get(name, "").lower()
    if text not in (*_YES, "", "0", "false", "no", "off"):
        raise BadRequest(f"{name} must be true or false, not {text!r}")
    return text in _YES


def instant(request: Request, name: str, now: float) -> float | None:
    """Unix seconds; a duration means so long ago.

    Raises:
        BadRequest: it is no time.
    """
    text = request.args.get(name)
    if not text:
        return None
    for read in (float, lambda text: now - parse_duration(text), _dated):
        try:
            found = read(text)
        except (ValueError, OverflowError):
            continue
        if math.isfinite(found):
            return found
    raise BadRequest(
        f"{name} must be Unix seconds, a time with its zone like 2026-01-31T12:00:00Z, or a duration like 6h, not {text!r}"
    )


def _dated(text: str) -> float:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"{text!r} does not say in which zone")
    return when.timestamp()
