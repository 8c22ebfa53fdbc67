"""The sample lines of one watch's scores, written once when the watch is screened instead of at every scrape.

Numbers change each interval, labels hardly ever: the label text of a table is kept as long as the table's
`series` is the same object, so an interval costs the formatting of numbers only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from exporter.board import ScoreTable, WatchPicture
from exporter.metrics.labelling import exposed_labels
from exporter.series.frame import FloatArray
from exporter.series.labels import Series, escape_label_value, format_labels

_COLUMNS = MappingProxyType(
    {
        "lmwatch_anomaly_score": "anomaly",
        "lmwatch_screen_anomaly_score": "screen",
        "lmwatch_llm_anomaly_score": "llm",
        "lmwatch_llm_confidence_ratio": "confidence",
        "lmwatch_series_value": "value",
        "lmwatch_series_expected_lower": "expected_lower",
        "lmwatch_series_expected_upper": "expected_upper",
    },
)
"""Metric family → column of ScoreTable."""
KIND_FAMILY = "lmwatch_anomaly_kind"
DUPLICATES_FAMILY = "lmwatch_duplicate_series"
RENDERED_FAMILIES = (*_COLUMNS, KIND_FAMILY, DUPLICATES_FAMILY)
"""The families that come from here, in the order in which they are exposed."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """What of a watch's lines does not change while its series stay the same."""

    series: tuple[tuple[Series, ...], ...]
    """By table: what this layout was made for."""
    texts: tuple[tuple[str, ...], ...]
    """By table: each series' labels, without braces."""
    joined: npt.NDArray[np.object_]
    """[series of all tables]: the same texts."""
    first: npt.NDArray[np.bool_]
    """[series of all tables]: whether no earlier series has the same labels."""

    def fits(self, tables: tuple[ScoreTable, ...]) -> bool:
        """Whether the tables hold the very same series objects."""
        return len(tables) == len(self.series) and all(
            table.series is series for table, series in zip(tables, self.series, strict=True)
        )


class WatchRenderer:
    """Writes watches' scores as sample lines that both text formats read alike.

    One renderer serves any number of watches, from any thread.
    """

    def __init__(self) -> None:
        self._layouts: dict[str, _Layout] = {}

    def render(self, picture: WatchPicture) -> Mapping[str, bytes]:
        """By family: the sample lines of all series that have a value; families without any are left out.

        When series of a watch end up with the same labels, the first is exposed and the others are counted
        in `lmwatch_duplicate_series`.
        """
        layout = self._layout(picture)
        blocks = {
            family: _lines(family, layout.joined, _column(picture.tables, column), layout.first)
            for family, column in _COLUMNS.items()
        }
        kinds = chain.from_iterable(table.kind for table in picture.tables)
        blocks[KIND_FAMILY] = _kind_lines(zip(layout.joined, kinds, layout.first, strict=True))
        duplicates = int(np.count_nonzero(~layout.first))
        blocks[DUPLICATES_FAMILY] = f'{DUPLICATES_FAMILY}{{watch="{escape_label_value(picture.name)}"}} {duplicates}\n'
        return {family: block.encode("utf-8", "replace") for family, block in blocks.items() if block}

    def forget(self, watch: str) -> None:
        """Free what is kept for a watch that left the configuration."""
        self._layouts.pop(watch, None)

    def _layout(self, picture: WatchPicture) -> _Layout:
        old = self._layouts.get(picture.name)
        if old is not None and old.fits(picture.tables):
            return old
        known = {id(series): text for series, text in zip(old.series, old.texts, strict=True)} if old else {}
        texts = tuple(
            known.get(id(table.series)) or _label_texts(picture.name, table.series) for table in picture.tables
        )
        joined = list(chain.from_iterable(texts))
        series = tuple(table.series for table in picture.tables)
        layout = _Layout(series, texts, np.array(joined, dtype=object), _first_of_each(joined))
        self._layouts[picture.name] = layout
        return layout


def _label_texts(watch: str, series: tuple[Series, ...]) -> tuple[str, ...]:
    head = f'watch="{escape_label_value(watch)}"'
    texts = []
    for one in series:
        own = format_labels(exposed_labels(one.labels))
        texts.append(f'{head},metric="{escape_label_value(one.name)}",{own}')
    return tuple(texts)


def _first_of_each(texts: Iterable[str]) -> npt.NDArray[np.bool_]:
    seen: set[str] = set()
    first = []
    for text in texts:
        first.append(text not in seen)
        seen.add(text)
    return np.array(first, dtype=bool)


def _column(tables: tuple[ScoreTable, ...], column: str) -> FloatArray:
    if not tables:
        return np.empty(0)
    return np.concatenate([getattr(table, column) for table in tables])


def _lines(family: str, texts: npt.NDArray[np.object_], values: FloatArray, first: npt.NDArray[np.bool_]) -> str:
    shown = np.flatnonzero(first & ~np.isnan(values))
    numbers = values[shown]
    spelled = map(repr, numbers.tolist()) if np.isfinite(numbers).all() else map(_spell, numbers.tolist())
    return "".join(
        [f"{family}{{{text}}} {number}\n" for text, number in zip(texts[shown].tolist(), spelled, strict=True)],
    )


def _spell(number: float) -> str:
    return {np.inf: "+Inf", -np.inf: "-Inf"}.get(number) or repr(number)


def _kind_lines(rows: Iterable[tuple[str, str, bool]]) -> str:
    return "".join(f'{KIND_FAMILY}{{{text},kind="{kind}"}} 1\n' for text, kind, first in rows if kind and first)
