"""What a model is told about its own last verdicts on a group."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exporter.config.durations import format_duration
from exporter.reasoning.clean import one_line
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import THRESHOLD
from exporter.series.labels import Labels, labels_of

_LINE_LIMIT = 180
_ODD_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Remembered:
    at: float
    line: str


@dataclass(frozen=True, slots=True)
class _Odd:
    """A series that was found anomalous."""

    name: str
    kind: str | None


class Memory:
    """The last verdicts of each group, one line each. Safe to use from several threads.

    Lines carry the time, not the age, and the oldest go several at once: the beginning of what a model reads stays the
    same from call to call, and its server need not read it again. The age of the newest is the last line.
    """

    def __init__(self, *, keep: int = 8, prune: int = 4, groups: int = 1024) -> None:
        """An empty memory.

        Args:
            keep: verdicts kept of a group at most.
            prune: how many of the oldest are let go at once when there would be more; 1..`keep`.
            groups: groups remembered; beyond that the one that was used least recently is forgotten.

        Raises:
            ValueError: a number outside its range.
        """
        if not 1 <= prune <= keep or groups < 1:
            raise ValueError(f"a memory needs 1 <= prune <= keep and groups >= 1, not {prune=}, {keep=}, {groups=}")
        self._keep = keep
        self._prune = prune
        self._most_groups = groups
        self._groups: OrderedDict[tuple[str, Labels], list[_Remembered]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, verdict: Verdict) -> None:
        """Keep a line about this verdict; one without a readable answer leaves none."""
        if verdict.group_score is None:
            return
        entry = _Remembered(
            verdict.at,
            _line(
                verdict.at,
                verdict.group_score,
                [_Odd(one.series.name, one.kind) for one in verdict.findings if _counts(one.grounded, one.llm_score)],
                verdict.summary if verdict.outcome == "ok" else "",
            ),
        )
        with self._lock:
            self._keep_entry((verdict.watch, verdict.group), entry)

    def restore(self, documents: Iterable[Mapping[str, Any]]) -> int:
        """Take in verdicts that were kept as documents, as after a restart; how many could be read is returned.

        Meant for an empty memory: what is already remembered would be told twice. A document without a readable answer,
        or of another shape than this version writes, leaves no line.

        Args:
            documents: as `to_document` makes them, in any order.
        """
        read = sorted(
            (entry for entry in map(_from_document, documents) if entry is not None), key=lambda entry: entry[1].at
        )
        with self._lock:
            for key, entry in read:
                self._keep_entry(key, entry)
        return len(read)

    def _keep_entry(self, key: tuple[str, Labels], entry: _Remembered) -> None:
        entries = self._groups.setdefault(key, [])
        self._groups.move_to_end(key)
        if len(entries) >= self._keep:
            del entries[: self._prune]
        entries.append(entry)
        while len(self._groups) > self._most_groups:
            self._groups.popitem(last=False)

    def lines(self, watch: str, group: Labels, at: float) -> tuple[str, ...]:
        """What is remembered of a group, the oldest first, and how old the newest is at `at` (Unix seconds)."""
        with self._lock:
            entries = tuple(self._groups.get((watch, group), ()))
            if entries:
                self._groups.move_to_end((watch, group))
        if not entries:
            return ()
        age = max(0.0, at - entries[-1].at)
        return (*(entry.line for entry in entries), f"the last of these is {_rough(age)} old")

    def forget(self, watch: str) -> None:
        """Let go of everything about a watch."""
        with self._lock:
            for key in [key for key in self._groups if key[0] == watch]:
                del self._groups[key]


def _counts(grounded: bool, llm_score: float) -> bool:
    """Whether a finding is worth remembering as odd."""
    return grounded and llm_score > THRESHOLD


def _line(at: float, score: float, odd: Sequence[_Odd], words: str) -> str:
    """Time, group score, what was found odd; the model's own words only where every check passed."""
    when = datetime.fromtimestamp(at, UTC)
    told = [f"{one.name} {one.kind or 'odd'}" for one in odd]
    named = ", ".join(told[:_ODD_NAMED]) + (f" and {len(told) - _ODD_NAMED} more" if len(told) > _ODD_NAMED else "")
    said = f". {words}" if words else ""
    return one_line(f"{when:%Y-%m-%d %H:%M} UTC: score {score * 10:.0f}, {named or 'nothing odd'}{said}", _LINE_LIMIT)


def _from_document(document: Mapping[str, Any]) -> tuple[tuple[str, Labels], _Remembered] | None:
    """A kept verdict as it would have been remembered; None where it cannot be read."""
    try:
        at, score = float(document["at"]), document["group_score"]
        odd = [
            _Odd(str(one["series"]["name"]), one["kind"])
            for one in document["findings"]
            if _counts(one["grounded"], one["llm_score"])
        ]
        if score is None:
            return None
        line = _line(at, float(score), odd, str(document["summary"]) if document["outcome"] == "ok" else "")
        return (str(document["watch"]), labels_of(document["group"])), _Remembered(at, line)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        return None


def _rough(seconds: float) -> str:
    """An age in whole seconds, minutes or hours."""
    for unit, from_seconds in ((3600.0, 7200.0), (60.0, 120.0)):
        if seconds >= from_seconds:
            return format_duration(seconds // unit * unit)
    return format_duration(float(int(seconds)))
