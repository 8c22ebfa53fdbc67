"""PromQL about what rules/screening.rules.yml recorded. Pure."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from exporter.config.model import Selection
from exporter.loading import INPUT
from exporter.screening.recorded import LENGTHS, Closer
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Labels, escape_label_value, labels_of
from exporter.series.selector import Matcher, Selector

SELECT = "lmwatch_select"
"""The label that tells which entry of `select` a sample of the answer belongs to."""
_PRESENT = ("", ":avg1h", ":avg6h")
_LOW = (":min14d", ":min14d_avg1h", ":min14d_avg6h")
_HIGH = (":max14d", ":max14d_avg1h", ":max14d_avg6h")
_DISTANCE = (":beyond_value", ":beyond_avg1h", ":beyond_avg6h")
_SINGLE = (":range14d", ":median14d", ":days14d")
_FIELDS = (*_PRESENT, *_LOW, *_HIGH, *_DISTANCE, *_SINGLE)
"""What is recorded of a series beside its distance, as endings of names."""
_RECENT = "2h"
"""As in the rules: what is recorded once an hour may be missing once."""


def scores_query(selections: Sequence[Selection]) -> str:
    """The distance of every series, in one query: what is outside its valid range first, then what has none yet (NaN)."""
    return " or ".join(
        f'label_replace({_distance(selection)}, "{SELECT}", "{number}", "", "")'
        for number, selection in enumerate(selections)
    )


def _distance(selection: Selection) -> str:
    matchers = ",".join(map(_matcher, _conditions(selection.query or "")))
    value = f"{INPUT}{{{matchers}}}"
    parts = []
    if selection.valid_max is not None:
        parts.append(f"clamp_min({value} > {selection.valid_max!r}, Inf)")
    if selection.valid_min is not None:
        parts.append(f"clamp_max({value} < {selection.valid_min!r}, -Inf)")
    return " or ".join([*parts, f"{INPUT}:beyond{{{matchers}}}", f"{value} * NaN"])


def closer_query(wanted: Sequence[Labels], names: Collection[str]) -> str:
    """All that is recorded of these series.

    Args:
        wanted: the labels of each.
        names: all label names of the watch's series.
    """
    endings = "|".join(ending.removeprefix(":") for ending in _FIELDS if ending)
    metric = f'__name__=~"{INPUT}|{INPUT}:({endings})"'
    return " or ".join(
        f"last_over_time({{{','.join([metric, *_exactly(labels, names)])}}}[{_RECENT}])" for labels in wanted
    )


def window_query(wanted: Sequence[Labels], names: Collection[str]) -> str:
    """The values of these series."""
    return " or ".join(f"{INPUT}{{{','.join(_exactly(labels, names))}}}" for labels in wanted)


def closer_of(
    rows: IntArray, labels: Sequence[Labels], metrics: Sequence[Mapping[str, str]], values: FloatArray
) -> Closer:
    """What an answer to `closer_query` says.

    Args:
        rows: `[k]`: of the frame.
        labels: `[k]`: of these rows.
        metrics: `[samples]`: the labels of the answer.
        values: `[samples]`.
    """
    places: dict[Labels, list[int]] = {}
    for place, key in enumerate(labels):
        places.setdefault(key, []).append(place)
    columns = {INPUT + ending: column for column, ending in enumerate(_FIELDS)}
    found = np.full((len(_FIELDS), rows.size), np.nan)
    for metric, value in zip(metrics, values.tolist(), strict=True):
        key = bare(metric)
        if metric.get("__name__") in columns and key in places:
            found[columns[metric["__name__"]], places[key]] = value
    present, low, high, distance = (found[first : first + LENGTHS] for first in range(0, 4 * LENGTHS, LENGTHS))
    width, median, days = found[4 * LENGTHS :]
    return Closer(rows, present, low, high, distance, width, median, days)


def bare(metric: Mapping[str, str]) -> Labels:
    """The labels that the user's series has."""
    return labels_of({name: value for name, value in metric.items() if name not in ("__name__", SELECT)})


def _conditions(query: str) -> list[Matcher]:
    return [matcher for matcher in Selector.parse(query).matchers if matcher.label != "__name__"]


def _matcher(matcher: Matcher) -> str:
    return f'{matcher.label}{matcher.operator}"{escape_label_value(matcher.value)}"'


def _exactly(labels: Labels, names: Collection[str]) -> list[str]:
    """Conditions that this series alone fulfils: other labels are absent."""
    known = dict(labels)
    return [f'{name}="{escape_label_value(known.get(name, ""))}"' for name in sorted(names)]
