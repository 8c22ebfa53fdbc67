"""The pages of this package as jinja2 renders them: everything from outside is escaped, and stripped of what cannot be seen."""

from collections.abc import Callable, Mapping

import jinja2

from exporter.drawing.wording import duration
from exporter.evaluation.results import finite
from exporter.evaluation.words import figure, moment, share
from exporter.reasoning.clean import one_line

_TEXT = 1200


def environment(filters: Mapping[str, Callable[..., object]]) -> jinja2.Environment:
    """With the filters of all pages, and those of one."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("exporter.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(_FILTERS)
    made.filters.update(filters)
    return made


def _bar(value: float | None) -> float:
    """The width of a bar, in percent."""
    known = finite(value) or 0.0
    return round(100 * min(max(known, 0.0), 1.0), 1)


_FILTERS: Mapping[str, Callable[..., object]] = {
    "bar": _bar,
    "clean": lambda text: one_line(str(text), _TEXT),
    "count": lambda value: f"{value:,}",
    "duration": duration,
    "figure": figure,
    "moment": moment,
    "share": share,
}
