"""What a model is shown of one group: as much as fits the token budget, the most anomalous series first.

The text has three places, what changes least first, so that a server can reuse what it has already read:

    <context> what the group is, the user's words about it </context>
    <earlier> the last verdicts on it </earlier>
    <data>    the time, and for each series: name, unit, description, numbered facts, history </data>
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.reasoning.clean import ELLIPSIS, quoted
from exporter.reasoning.grounding import stated_in
from exporter.reasoning.history import history_lines
from exporter.reasoning.verdict import Fact
from exporter.screening.evidence import format_number, numbers_in
from exporter.screening.result import ScreenedGroup, ScreenedSeries
from exporter.series.labels import Labels

_NAME_LIMIT = 128
_VALUE_LIMIT = 64
_LABELS_LIMIT = 240
_UNIT_LIMIT = 24
_FACT_LIMIT = 240
_EARLIER_LIMIT = 200


@dataclass(frozen=True, slots=True)
class ShownSeries:
    """One series as it stands in a snapshot."""

    id: str
    """S1, S2 …, by rank."""
    series: ScreenedSeries
    facts: tuple[str, ...]
    """Ids of its facts; never empty."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is sent to the model for one group."""

    text: str
    shown: tuple[ShownSeries, ...]
    facts: tuple[Fact, ...]
    numbers: tuple[float, ...]
    """Every number that stands in `text`, without sign, sorted, in every unit that it may be read in."""
    names: frozenset[str]
    """Dates, clock times, addresses and versions that stand in `text`."""
    dropped: int
    """How many of the group's series were offered and left out because they did not fit."""
    estimated_tokens: int


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is told: blocks of history, newest values, facts and characters of each field."""

    blocks: int
    newest: int
    facts: int
    about: int
    context: int
    earlier: int


_LADDER = (
    _Detail(blocks=8, newest=8, facts=3, about=160, context=1000, earlier=8),
    _Detail(blocks=8, newest=4, facts=3, about=120, context=600, earlier=4),
    _Detail(blocks=4, newest=4, facts=2, about=80, context=300, earlier=2),
    _Detail(blocks=0, newest=3, facts=2, about=0, context=160, earlier=0),
)
"""Tried in turn for as many series as fit with the last."""
_BARE = _Detail(blocks=0, newest=1, facts=1, about=0, context=0, earlier=0)


@dataclass(frozen=True, slots=True)
class _Material:
    group: ScreenedGroup
    context: str
    earlier: Sequence[str]
    at: float


@dataclass(frozen=True, slots=True)
class _Draft:
    text: str
    shown: tuple[ShownSeries, ...]
    facts: tuple[Fact, ...]


def build_snapshot(
    group: ScreenedGroup,
    *,
    context: str,
    earlier: Sequence[str],
    at: float,
    budget_tokens: int,
    estimate: Callable[[str], int],
) -> Snapshot:
    """`fit_snapshot` for a budget that does not depend on how many series are shown."""
    return fit_snapshot(
        group, context=context, earlier=earlier, at=at, budget=lambda _: budget_tokens, estimate=estimate
    )


def fit_snapshot(
    group: ScreenedGroup,
    *,
    context: str,
    earlier: Sequence[str],
    at: float,
    budget: Callable[[int], int],
    estimate: Callable[[str], int],
) -> Snapshot:
    """The most telling snapshot whose estimate is within the budget.

    Detail is given up before series, series from the end of the ranking, whole. Where not even one series fits,
    the snapshot is empty.

    Args:
        group: the series to show, ranked.
        context: the user's words about the watch.
        earlier: lines about earlier verdicts, the oldest first.
        at: the present, Unix seconds.
        budget: what the text may take when it shows this many series; the more series, the less or equal.
        estimate: tokens of a text; a longer text takes no fewer.
    """
    material = _Material(group, context, earlier, at)

    def attempt(count: int, detail: _Detail) -> Snapshot | None:
        draft = _draft(material, count, detail)
        tokens = estimate(draft.text)
        return _snapshot(draft, len(group.series) - count, tokens) if tokens <= budget(count) else None

    offered = len(group.series)
    least = _LADDER[-1]
    fitting = bisect_right(range(1, offered + 1), False, key=lambda count: attempt(count, least) is None)
    candidates = [(fitting, detail) for detail in _LADDER] if fitting or not offered else [(1, _BARE)]
    attempts = (attempt(count, detail) for count, detail in candidates)
    nothing = _snapshot(_Draft("", (), ()), offered, 0)
    return next((snapshot for snapshot in attempts if snapshot is not None), nothing)


def _snapshot(draft: _Draft, dropped: int, tokens: int) -> Snapshot:
    stated = stated_in(draft.text)
    return Snapshot(
        text=draft.text,
        shown=draft.shown,
        facts=draft.facts,
        numbers=stated.numbers,
        names=stated.names,
        dropped=dropped,
        estimated_tokens=tokens,
    )


def _draft(material: _Material, count: int, detail: _Detail) -> _Draft:
    group = material.group
    now = datetime.fromtimestamp(material.at, UTC)
    lines = _preamble(material, detail)
    lines += ["<data>", f"now: {now:%a %Y-%m-%d %H:%M} UTC"]
    lines.append(f"{group.total} series in the group, {group.suspicious} look odd, {count} shown")
    shown: list[ShownSeries] = []
    facts: list[Fact] = []
    for rank, series in enumerate(group.series[:count], start=1):
        series_id = f"S{rank}"
        told = _facts_of(series, detail.facts)
        ids = tuple(f"E{len(facts) + offset}" for offset in range(1, len(told) + 1))
        facts += [Fact(fact_id, series_id, text) for fact_id, text in zip(ids, told, strict=True)]
        shown.append(ShownSeries(series_id, series, ids))
        lines.append(f"{series_id} {_title(series, group.key)}")
        if series.description and detail.about:
            lines.append(f"about: {quoted(series.description, detail.about)}")
        lines += [f"{fact_id}: {text}" for fact_id, text in zip(ids, told, strict=True)]
        lines += history_lines(series, newest=detail.newest, blocks=detail.blocks)
    lines.append("</data>")
    return _Draft("\n".join(lines), tuple(shown), tuple(facts))


def _preamble(material: _Material, detail: _Detail) -> list[str]:
    """The places for context and earlier verdicts."""
    group = material.group
    lines = ["<context>", f"watch: {quoted(group.watch, _NAME_LIMIT)}"]
    if group.key:
        lines.append(f"group: {_pairs(group.key)}")
    if material.context:
        lines.append(f"about: {quoted(material.context, detail.context) if detail.context else ELLIPSIS}")
    lines.append("</context>")
    earlier = list(material.earlier)[-detail.earlier :] if detail.earlier else []
    if earlier:
        lines += ["<earlier>", *(f"- {quoted(line, _EARLIER_LIMIT)}" for line in earlier), "</earlier>"]
    return lines


def _title(series: ScreenedSeries, group: Labels) -> str:
    """Metric, the labels that it does not share with its group, unit."""
    own = tuple(pair for pair in series.series.labels if pair not in group)
    name = quoted(series.series.name, _NAME_LIMIT)
    labels = f"{{{_pairs(own)}}}" if own else ""
    unit = f" in {quoted(series.series.unit, _UNIT_LIMIT)}" if series.series.unit else ""
    return f"{name}{labels}{unit}"


def _pairs(labels: Labels) -> str:
    """`a="1",b="2"`, as many whole pairs as the limit allows; `…` stands for the others."""
    text = ""
    for name, value in labels:
        pair = f'{quoted(name, _VALUE_LIMIT)}="{quoted(value, _VALUE_LIMIT)}"'
        if len(text) + len(pair) > _LABELS_LIMIT:
            return f"{text},{ELLIPSIS}" if text else ELLIPSIS
        text = f"{text},{pair}" if text else pair
    return text


def _facts_of(series: ScreenedSeries, most: int) -> list[str]:
    """The strongest evidence in words, and where the newest value lies unless that is among it."""
    evidence = [quoted(one.text, _FACT_LIMIT) for one in series.evidence[:most]]
    newest, numbers = _newest_fact(series)
    told = any(numbers <= set(numbers_in(text)) for text in evidence)
    return evidence if told else [*evidence, newest]


def _newest_fact(series: ScreenedSeries) -> tuple[str, set[float]]:
    """The newest value against the expected band in words, and the numbers in that."""
    value = float(series.values[-1]) if series.values.size else math.nan
    lower, upper = series.expected_lower, series.expected_upper
    if not math.isfinite(value):
        return ("no value now" if math.isnan(value) else "now infinite"), {value}
    text = f"now {format_number(value)}"
    if lower <= upper:
        place = "above" if value > upper else "below" if value < lower else "within"
        text = f"{text}, {place} the expected {format_number(lower)} to {format_number(upper)}"
    return text, set(numbers_in(text))
