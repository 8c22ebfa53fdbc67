"""Templates, and what they can do with values. Everything from outside is escaped, and what is invisible is marked."""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import jinja2
import numpy as np
from markupsafe import Markup

from exporter.alerting.alert import Alert
from exporter.drawing import wording
from exporter.metrics.labelling import beside_ours
from exporter.screening.result import ScreenedSeries
from exporter.series.frame import FloatArray
from exporter.web import charts, graphs
from exporter.web.text import finalize, marked
from exporter.web.views import worst_verdict

LINE = 160
"""Characters of a text from outside on one line."""


def environment() -> jinja2.Environment:
    """The templates of the pages."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("exporter.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(_FILTERS)
    return made


def shortened(text: str, limit: int = LINE) -> str:
    """The beginning of a text; what was cut off shows as `…`."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def query_string(arguments: Mapping[str, object], **changes: object) -> str:
    """`?name=value&…` of the arguments that say something, with some of them changed; empty where none does."""
    told = {name: value for name, value in {**arguments, **changes}.items() if value not in (None, "", False)}
    return f"?{urlencode({name: 1 if value is True else value for name, value in told.items()})}" if told else ""


def alert_path(alert: Alert) -> str:
    """Where an alert leads: the newest verdict on what it is about."""
    return f"/verdicts/latest{query_string({'watch': alert.subject.watch, **dict(beside_ours(alert.subject.labels))})}"


def _sparkline(one: ScreenedSeries) -> Markup:
    title = marked(shortened(f"history of {one.series}", 300))
    return charts.curve(title, one.values, (one.expected_lower, one.expected_upper), charts.SPARKLINE)


def _newest(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known[-1]) if known.size else None


_FILTERS: Mapping[str, Callable[..., object]] = {
    "ago": wording.ago,
    "alert_path": alert_path,
    "chart": graphs.series_chart,
    "duration": wording.duration,
    "edge": wording.edge,
    "known": lambda value: None if np.isnan(value) else float(value),
    "labels": wording.label_text,
    "meter": charts.meter,
    "newest": _newest,
    "number": wording.number,
    "picture": graphs.picture_chart,
    "query": query_string,
    "severity": charts.severity,
    "shortened": shortened,
    "sparkline": _sparkline,
    "utc": wording.utc,
    "worst_verdict": worst_verdict,
}
