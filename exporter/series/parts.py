"""How the series of histograms and summaries belong together, and which of them a watch takes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from exporter.config.model import As, Selection
from exporter.series.labels import Labels, Series
from exporter.series.selector import Selector

PartKind = Literal["bucket", "sum", "count", "quantile"]
RowStat = Literal["value", "rate", "increase", "difference"]
GroupStat = Literal["mean", "p50", "p90", "p99"]

SHARES: dict[GroupStat, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_GROUP_STATS = ("mean", *SHARES)


@dataclass(frozen=True)
class Pick:
    """One entry of a watch's `select` list, as far as it decides what is taken and how it is read."""

    selector: Selector | None
    """None for a PromQL query: it takes nothing from a scraped target."""
    as_: As
    unit: str = ""
    """The user's word for the unit of what is taken; counts more than the source's and the name's."""


def pick_of(selection: Selection) -> Pick:
    """The pick that a configured selection asks for.

    Raises:
        ValueError: `series` is no selector; names the position.
    """
    return Pick(None if selection.series is None else Selector.parse(selection.series), selection.as_, selection.unit)


class Part(NamedTuple):
    """What a series is within a histogram or a summary."""

    family: str
    labels: Labels
    """Without `le` or `quantile`."""
    kind: PartKind
    bound: float
    """`le` or `quantile`; 0 for sum and count."""


class Uses(NamedTuple):
    """What the picks want of one series."""

    alone: tuple[int, RowStat] | None
    """The first pick that reads the series by itself, and how; None where none does."""
    together: tuple[tuple[int, GroupStat], ...]
    """The picks that want something of the histogram or summary that it is a part of."""


def part_of(series: Series) -> Part | None:
    """Which part of a histogram or summary a series is; None for all others.

    A source that gives no types is taken by the names of its series.
    """
    if series.type not in ("histogram", "summary", "unknown"):
        return None
    if series.type == "summary" and (part := _bounded(series, series.name, "quantile", "quantile")):
        return part
    if series.type != "summary" and series.name.endswith("_bucket"):
        return _bounded(series, series.name.removesuffix("_bucket"), "le", "bucket")
    if series.name.endswith("_sum"):
        return Part(series.name.removesuffix("_sum"), series.labels, "sum", 0.0)
    if series.name.endswith("_count"):
        return Part(series.name.removesuffix("_count"), series.labels, "count", 0.0)
    return None


def uses_of(series: Series, part: Part | None, picks: Sequence[Pick]) -> Uses:
    """What the picks want of a series: of several that read it by itself, the first has it."""
    alone: tuple[int, RowStat] | None = None
    together: list[tuple[int, GroupStat]] = []
    for index, pick in enumerate(picks):
        if pick.selector is None:
            continue
        wanted = () if part is None else _wanted_of_family(series, part, pick.selector, pick.as_)
        together.extend((index, stat) for stat in wanted)
        if not wanted and alone is None and pick.as_ not in _GROUP_STATS and pick.selector.matches(series):
            alone = index, _reading(series, part, pick.as_)
    return Uses(alone, tuple(together))


def counts_up(series: Series, part: Part | None) -> bool:
    """Whether only the growth of a series means something."""
    if series.type == "unknown":
        return series.name.endswith("_total")
    return series.type == "counter" or (part is not None and part.kind != "quantile")


def _wanted_of_family(series: Series, part: Part, selector: Selector, as_: As) -> tuple[GroupStat, ...]:
    if as_ in ("mean", "p50", "p90", "p99"):
        return (as_,) if _selects_family(selector, part, ("", "_bucket", "_count", "_sum")) else ()
    if as_ != "auto" or series.type == "unknown" or part.kind == "quantile":
        return ()
    # `x_count` and `x_sum` by name are a wish for those alone: requests a second, not their latency.
    if not _selects_family(selector, part, ("", "_bucket")):
        return ()
    return ("mean", "p90") if series.type == "histogram" else ("mean",)


def _reading(series: Series, part: Part | None, as_: As) -> RowStat:
    counts = counts_up(series, part)
    match as_:
        case "auto":
            return "rate" if counts else "value"
        case "delta":
            return "increase" if counts else "difference"
        case "rate":
            return "rate"
        case _:
            return "value"


def _selects_family(selector: Selector, part: Part, suffixes: Sequence[str]) -> bool:
    return any(selector.matches_identity(part.family + suffix, part.labels) for suffix in suffixes)


def _bounded(series: Series, family: str, label: str, kind: PartKind) -> Part | None:
    try:
        bound = float(dict(series.labels).get(label, "nan"))
    except ValueError:
        return None
    if math.isnan(bound):
        return None
    return Part(family, tuple(pair for pair in series.labels if pair[0] != label), kind, bound)
