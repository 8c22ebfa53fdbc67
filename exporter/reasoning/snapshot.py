"""What a model is shown of one group: as much as fits the token budget, the most anomalous series first.

The text has three places, what changes least first, so that a server can reuse what it has already read:

    <context> what the group is, the user's words about it </context>
    <earlier> the last verdicts on it </earlier>
    <data>    the time, and for each series: name, unit, description, numbered facts, history; then facts about
              several series </data>
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from exporter.reasoning.clean import ELLIPSIS, quoted
from exporter.reasoning.grounding import stated_in
from exporter.reasoning.history import history_lines
from exporter.reasoning.moves import Joint, Moves
from exporter.reasoning.naming import NAME_LIMIT, UNIT_LIMIT, clean_unit, for_people, ids_in, pairs, spoken_names, title
from exporter.reasoning.verdict import Fact
from exporter.screening.evidence import format_number, format_value, numbers_in
from exporter.screening.result import ScreenedGroup, ScreenedSeries

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
    shared: tuple[str, ...]
    """Ids of the facts about several series that name it."""
    name: str
    """What it is called in sentences for people."""

    @property
    def citable(self) -> tuple[str, ...]:
        """The ids that a finding about it may cite."""
        return (*self.facts, *self.shared)

    @property
    def figures(self) -> str:
        """Its newest value and what was expected, as a sentence."""
        text, _ = _newest_fact(self.series)
        return f"{text[0].upper()}{text[1:]}."


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is sent to the model for one group."""

    text: str
    shown: tuple[ShownSeries, ...]
    facts: tuple[Fact, ...]
    """In the order of their ids. Those about several series have no `series_id`, and call series by name."""
    numbers: tuple[float, ...]
    """Every number that stands in `text`, without sign, sorted, in every unit that it may be read in."""
    names: frozenset[str]
    """Dates, clock times, addresses and versions that stand in `text`."""
    words: frozenset[str]
    """What looks like an id in text from outside: S3 in a label."""
    dropped: int
    """How many of the group's series were offered and left out because they did not fit."""
    estimated_tokens: int


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is told: blocks of history, newest values, facts of and between series, characters of each field."""

    blocks: int
    newest: int
    facts: int
    joint: int
    about: int
    context: int
    earlier: int


_LADDER = (
    _Detail(blocks=8, newest=8, facts=3, joint=4, about=160, context=1000, earlier=9),
    _Detail(blocks=8, newest=4, facts=3, joint=3, about=120, context=600, earlier=5),
    _Detail(blocks=4, newest=4, facts=2, joint=2, about=80, context=300, earlier=3),
    _Detail(blocks=0, newest=3, facts=2, joint=0, about=0, context=160, earlier=0),
)
"""Tried in turn for as many series as fit with the last."""
_BARE = _Detail(blocks=0, newest=1, facts=1, joint=0, about=0, context=0, earlier=0)


@dataclass(frozen=True, slots=True)
class _Material:
    group: ScreenedGroup
    context: str
    earlier: Sequence[str]
    moves: Moves


@dataclass(frozen=True, slots=True)
class _Draft:
    text: str
    shown: tuple[ShownSeries, ...]
    facts: tuple[Fact, ...]
    words: frozenset[str]


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
    material = _Material(group, context, earlier, Moves.of(group.series, at))

    def attempt(count: int, detail: _Detail) -> Snapshot | None:
        draft = _draft(material, count, detail)
        tokens = estimate(draft.text)
        return _snapshot(draft, len(group.series) - count, tokens) if tokens <= budget(count) else None

    offered = len(group.series)
    least = _LADDER[-1]
    fitting = bisect_right(range(1, offered + 1), False, key=lambda count: attempt(count, least) is None)
    candidates = [(fitting, detail) for detail in _LADDER] if fitting or not offered else [(1, _BARE)]
    attempts = (attempt(count, detail) for count, detail in candidates)
    nothing = _snapshot(_Draft("", (), (), frozenset()), offered, 0)
    return next((snapshot for snapshot in attempts if snapshot is not None), nothing)


def _snapshot(draft: _Draft, dropped: int, tokens: int) -> Snapshot:
    stated = stated_in(draft.text)
    return Snapshot(
        text=draft.text,
        shown=draft.shown,
        facts=draft.facts,
        numbers=stated.numbers,
        names=stated.names,
        words=draft.words,
        dropped=dropped,
        estimated_tokens=tokens,
    )


def _draft(material: _Material, count: int, detail: _Detail) -> _Draft:
    group = material.group
    shown = group.series[:count]
    now = datetime.fromtimestamp(material.moves.at, UTC)
    preamble = _preamble(material, detail)
    lines = [*preamble, "<data>", f"now: {now:%a %Y-%m-%d %H:%M} UTC"]
    lines.append(f"{group.total} series in the group, {group.suspicious} look odd, {count} shown")
    facts: list[Fact] = []
    outside = [*preamble]
    for rank, series in enumerate(shown, start=1):
        headline, about = title(series, group.key), quoted(series.description, detail.about) if detail.about else ""
        own = _numbered(_facts_of(series, detail.facts), f"S{rank}", after=len(facts))
        facts += own
        outside += [headline, about]
        lines.append(f"S{rank} {headline}")
        lines += [f"about: {about}"] if about else []
        lines += [f"{fact.id}: {fact.text}" for fact in own]
        lines += history_lines(series, newest=detail.newest, blocks=detail.blocks)
    joint = material.moves.facts(count, detail.joint)
    between = _numbered([one.text for one in joint], "", after=len(facts))
    if between:
        lines += ["these series side by side", *(f"{fact.id}: {fact.text}" for fact in between)]
    lines.append("</data>")
    return _Draft(
        "\n".join(lines), *_known(material, shown, facts, list(zip(joint, between, strict=True))), ids_in(outside)
    )


def _numbered(texts: Sequence[str], series_id: str, *, after: int) -> list[Fact]:
    return [Fact(f"E{number}", series_id, text) for number, text in enumerate(texts, start=after + 1)]


def _known(
    material: _Material, shown: Sequence[ScreenedSeries], own: Sequence[Fact], between: Sequence[tuple[Joint, Fact]]
) -> tuple[tuple[ShownSeries, ...], tuple[Fact, ...]]:
    """What the program keeps of a draft: the series with the facts that they may cite, and all facts."""
    ids = [f"S{rank}" for rank in range(1, len(shown) + 1)]
    names = dict(zip(ids, spoken_names(shown, material.group.key), strict=True))
    series = tuple(
        ShownSeries(
            id=series_id,
            series=one,
            facts=tuple(fact.id for fact in own if fact.series_id == series_id),
            shared=tuple(fact.id for joint, fact in between if rank in joint.members),
            name=names[series_id],
        )
        for rank, (series_id, one) in enumerate(zip(ids, shown, strict=True))
    )
    return series, (*own, *(replace(fact, text=for_people(fact.text, names, ())) for _, fact in between))


def _preamble(material: _Material, detail: _Detail) -> list[str]:
    """The places for context and earlier verdicts."""
    group = material.group
    lines = ["<context>", f"watch: {quoted(group.watch, NAME_LIMIT)}"]
    if group.key:
        lines.append(f"group: {pairs(group.key)}")
    if material.context:
        lines.append(f"about: {quoted(material.context, detail.context) if detail.context else ELLIPSIS}")
    lines.append("</context>")
    earlier = list(material.earlier)[-detail.earlier :] if detail.earlier else []
    if earlier:
        lines += ["<earlier>", *(f"- {quoted(line, _EARLIER_LIMIT)}" for line in earlier), "</earlier>"]
    return lines


def _facts_of(series: ScreenedSeries, most: int) -> list[str]:
    """The strongest evidence in words, and where the newest value lies unless that is among it."""
    unit = series.series.unit
    # A unit of any length must not push what was measured out of the fact.
    texts = [
        one.text.replace(unit, clean_unit(series)) if len(unit) > UNIT_LIMIT else one.text for one in series.evidence
    ]
    evidence = [quoted(text, _FACT_LIMIT) for text in texts[:most]]
    newest, numbers = _newest_fact(series)
    told = any(numbers <= set(numbers_in(text)) for text in evidence)
    return evidence if told else [*evidence, newest]


def _newest_fact(series: ScreenedSeries) -> tuple[str, set[float]]:
    """The newest value against the expected band in words, and the numbers that say the same."""
    value = float(series.values[-1]) if series.values.size else math.nan
    lower, upper, unit = series.expected_lower, series.expected_upper, clean_unit(series)
    if not math.isfinite(value):
        return ("no value now" if math.isnan(value) else "now infinite"), {value}
    text, told = f"now {format_value(value, unit)}", format_number(value)
    if lower <= upper:
        place = "above" if value > upper else "below" if value < lower else "within"
        text = f"{text}, {place} the expected {format_number(lower)} to {format_value(upper, unit)}"
        told = f"{told} {format_number(lower)} {format_number(upper)}"
    return quoted(text, _FACT_LIMIT), set(numbers_in(told))
