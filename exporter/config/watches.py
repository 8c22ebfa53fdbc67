"""The watches of `lmwatch.yml`: which series are judged, how they are read, and what the user knows about them."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from exporter.config.base import (
    AutoOnOff,
    Duration,
    LabelName,
    Name,
    Section,
    at_least,
    at_most,
    longer_than_nothing,
    matching,
)
from exporter.config.intervals import QuietHours

HEARTBEAT_WATCH = "lmwatch_heartbeat"
"""The name of the built-in watch that tests lmwatch itself: its anomalies are planted and nobody's alerts."""

As = Literal["auto", "value", "rate", "delta", "mean", "p50", "p90", "p99"]
MetricName = Annotated[str, matching(r"[a-zA-Z_:][a-zA-Z0-9_:]*", "be a metric name: letters, digits, '_' and ':'")]


def _number_as_text(value: Any) -> Any:
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


MinChange = Annotated[
    str,
    BeforeValidator(_number_as_text),
    matching(r"[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?\s*%?", "be a number, like 5, or a share of the usual value, like 5%"),
]


class Selection(Section):
    """Which series a watch takes, how it reads them, and what the user knows about them."""

    series: str | None = None
    """A PromQL selector without a range, for scrape sources."""
    query: str | None = None
    """Any PromQL, for prometheus sources."""
    name: MetricName | None = None
    """The label `metric` for a query."""
    as_: As = Field(default="auto", alias="as")
    unit: str = ""
    description: Annotated[str, Field(max_length=500)] = ""
    direction: Literal["both", "above", "below"] = "both"
    min_change: MinChange | None = None
    """The smallest change that matters: `5%` of the usual value, or `5` in the series' unit."""
    valid_min: float | None = None
    valid_max: float | None = None
    """A value outside this range is anomalous whatever the history says, and teaches it nothing."""
    for_: Duration = Field(default=0.0, alias="for")
    """How long an oddness has to last before the score of the series may reach 0.5."""
    quiet_hours: QuietHours | None = None
    """Instead of the watch's; None takes the watch's, an empty list has none."""
    band: bool = False
    """Expose value and expected band always, not only while suspicious."""

    @model_validator(mode="after")
    def _one_selector(self) -> Self:
        if (self.series is None) == (self.query is None):
            raise ValueError("give either series (a selector), or query (any PromQL) and name")
        if (self.query is None) != (self.name is None):
            raise ValueError("query and name belong together")
        if self.valid_min is not None and self.valid_max is not None and self.valid_min >= self.valid_max:
            raise ValueError("valid_min must be less than valid_max")
        return self

    @property
    def min_change_relative(self) -> float:
        """As a share of the usual value; 0 where none is set."""
        return float(self.min_change.rstrip("% ")) / 100 if self.min_change and "%" in self.min_change else 0.0

    @property
    def min_change_absolute(self) -> float:
        """In the unit of the series; 0 where none is set."""
        return float(self.min_change) if self.min_change and "%" not in self.min_change else 0.0


def _selection(value: Any) -> Any:
    return {"series": value} if isinstance(value, str) else value


class Reason(Section):
    """When a group is put to the model."""

    when: Literal["suspicious", "always", "never"] = "suspicious"
    every: Duration = 1800.0
    """A calm group is asked about this often; 0 = never."""
    cooldown: Duration = 120.0
    """The same group is not asked about more often than this."""
    max_series: Annotated[int, Field(ge=1, le=200)] = 24
    image: AutoOnOff = "auto"


class Watch(Section):
    """A named set of series judged together."""

    name: Name
    source: Name
    select: Annotated[list[Annotated[Selection, BeforeValidator(_selection)]], Field(min_length=1)]
    group_by: list[LabelName] = Field(default_factory=list)
    window: Annotated[Duration, at_least("1m")] = 3600.0
    interval: Annotated[Duration, at_least("1s")] = 60.0
    history: Annotated[Duration, at_most("60d")] = 14 * 86400.0
    """How far baselines look back beyond the window; 0: not at all."""
    settle: Annotated[Duration, longer_than_nothing] = 86400.0
    """A level that stays this long becomes normal."""
    quiet_hours: QuietHours = Field(default_factory=list)
    """When series have no score; they go on teaching their baselines."""
    reason: Reason = Reason()
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    sensitivity: Annotated[Duration, at_least("1h")] | None = None
    """How long, on average, a series may go between two false alarms; None leaves the screen as it was measured."""
    screen: Literal["local", "pushdown"] = "local"
    """Where baselines are computed: here, or by the recording rules of the source's ruler."""
    context: Annotated[str, Field(max_length=4000)] = ""

    @model_validator(mode="after")
    def _window_holds_intervals(self) -> Self:
        if self.window < 2 * self.interval:
            raise ValueError("window must be at least twice as long as interval")
        return self
