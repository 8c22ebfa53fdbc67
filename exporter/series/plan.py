"""The work of turning a target's raw series into the series of a watch, laid out once for each set of series."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from exporter.series.frame import IntArray
from exporter.series.labels import Labels, Series
from exporter.series.parts import SHARES, GroupStat, Part, PartKind, Pick, RowStat, Uses, part_of, uses_of
from exporter.series.steps import Output, Step, steps_for
from exporter.series.units import unit_in


@dataclass(frozen=True, eq=False)
class Plan:
    """What to read from the window and what to do with it."""

    generation: int
    series: tuple[Series, ...]
    """Sorted by pick, then name, then labels."""
    select: IntArray
    """[series]: the pick of each."""
    rows: IntArray
    """[raw rows]: those to read from the window."""
    steps: tuple[Step, ...]
    compares: bool
    """Whether any step compares an instant with the ones before it."""


class Planner:
    """Makes plans for one window, and remembers how the picks match the series it saw there last."""

    def __init__(self, picks: Sequence[Pick]) -> None:
        self._picks = tuple(picks)
        self._known: dict[int, _Match] = {}

    def plan(self, generation: int, raw: Sequence[Series]) -> Plan:
        """Lay out the work for these raw series [rows]."""
        known, self._known = self._known, {}
        outputs: list[Output] = []
        groups: dict[tuple[str, Labels], _Group] = {}
        for row, series in enumerate(raw):
            match = known.get(id(series)) or self._match(series)
            self._known[id(series)] = match
            if match.uses.alone is not None:
                outputs.append(_alone(row, match, *match.uses.alone))
            if match.part is not None and match.uses.together:
                group = groups.setdefault(match.part[:2], _Group(match.series))
                group.join(row, match.part, match.uses)
        for (family, labels), group in groups.items():
            outputs.extend(group.outputs(family, labels))
        outputs.sort(key=lambda output: (output.pick, output.series.name, output.series.labels))
        # A source may expose itself what is computed here, `x_mean` beside a histogram `x`: one series has one history.
        kept: dict[tuple[str, Labels], Output] = {}
        for output in outputs:
            kept.setdefault((output.series.name, output.series.labels), output)
        return _plan(generation, [self._in_users_unit(output) for output in kept.values()])

    def _in_users_unit(self, output: Output) -> Output:
        unit = self._picks[output.pick].unit
        return replace(output, series=replace(output.series, unit=unit)) if unit else output

    def _match(self, series: Series) -> "_Match":
        part = part_of(series)
        described = series if series.unit else replace(series, unit=unit_in(series.name))
        return _Match(series, described, part, uses_of(series, part, self._picks))


@dataclass(frozen=True, slots=True)
class _Match:
    raw: Series
    """Kept, so that its id stays its own."""
    series: Series
    """The same, with a unit where its name tells one."""
    part: Part | None
    uses: Uses


@dataclass(slots=True)
class _Group:
    """A histogram or summary."""

    member: Series
    rows: dict[tuple[PartKind, float], int] = field(default_factory=dict)
    """Raw rows by kind and bound, those of finite buckets apart; sum and count have the bound 0."""
    finite: list[tuple[float, int]] = field(default_factory=list)
    """Bound and raw row of buckets: a bound comes twice for a while where `le="1"` gave way to `le="1.0"`."""
    picks: dict[GroupStat, int] = field(default_factory=dict)

    def join(self, row: int, part: Part, uses: Uses) -> None:
        if part.kind == "bucket" and part.bound < math.inf:
            self.finite.append((part.bound, row))
        else:
            self.rows.setdefault((part.kind, part.bound), row)
        for pick, stat in uses.together:
            self.picks.setdefault(stat, pick)

    def outputs(self, family: str, labels: Labels) -> Iterator[Output]:
        for stat, pick in self.picks.items():
            series = Series(f"{family}_{stat}", labels, "gauge", self.member.help, self.member.unit)
            found = self._mean(pick, series) if stat == "mean" else self._quantile(pick, series, stat)
            if found is not None:
                yield found

    def _mean(self, pick: int, series: Series) -> Output | None:
        total, count = self.rows.get(("sum", 0.0)), self.rows.get(("count", 0.0))
        return None if total is None or count is None else Output(pick, series, "mean", (total, count))

    def _quantile(self, pick: int, series: Series, stat: GroupStat) -> Output | None:
        given = self.rows.get(("quantile", SHARES[stat]))
        if given is not None:
            return Output(pick, series, "value", (given,))
        last = self.rows.get(("bucket", math.inf))
        if last is None or not self.finite:
            return None
        bounds, rows = zip(*sorted(self.finite), (math.inf, last), strict=True)
        return Output(pick, series, stat, rows, bounds)


def _alone(row: int, match: _Match, pick: int, stat: RowStat) -> Output:
    series, part = match.series, match.part
    if stat == "value":
        return Output(pick, series, stat, (row,))
    # The unit of a histogram is that of its observations; their number has none.
    unit = "" if part is not None and part.kind in ("bucket", "count") else series.unit
    return Output(pick, replace(series, type="gauge", unit=f"{unit}/s" if stat == "rate" else unit), stat, (row,))


def _plan(generation: int, outputs: Sequence[Output]) -> Plan:
    used = sorted({row for output in outputs for row in output.rows})
    place = {row: position for position, row in enumerate(used)}
    return Plan(
        generation=generation,
        series=tuple(output.series for output in outputs),
        select=np.array([output.pick for output in outputs], np.intp),
        rows=np.array(used, np.intp),
        steps=steps_for(outputs, place),
        compares=any(output.stat != "value" for output in outputs),
    )
