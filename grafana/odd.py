"""What is odd now: figures, and tables that lead from a score to the verdict on lmwatch's own pages."""

from typing import Any

import house
import looks
import shared
from house import grid, now, stat_panel
from looks import GREEN, RED, steps

from exporter.screening.result import THRESHOLD

UID = "lmwatch-anomalies"
"""Of the dashboard they stand on."""
WATCH = 'watch=~"$watch"'
SERIES = f'{WATCH},metric=~"$metric"'
THRESHOLDS = f"max by (watch) (lmwatch_watch_threshold{{{house.OF_LMWATCH},{WATCH}}})"
_SCORES = f"lmwatch_anomaly_score{{{SERIES}}}"
_FIELDS = "__data.fields"


def panels() -> list[Any]:
    """Figures, the odd series, the groups."""
    return [
        stat_panel(
            "Odd series",
            "Series whose score is at or above the threshold of their watch.",
            f"sum({_SCORES} >= bool on (watch) group_left () {THRESHOLDS})",
            unit="short",
            none="No scores",
            colours=steps(GREEN, (1, RED)),
        ).span(6),
        stat_panel(
            "Highest score",
            "The highest score of any series, screen and model combined. 0.5 is the boundary.",
            f"max({_SCORES})",
            unit="none",
            none="No scores",
            colours=steps(GREEN, (THRESHOLD, RED)),
        )
        .decimals(2)
        .span(6),
        shared.watches_not_well(f"{house.OF_LMWATCH},{WATCH}").span(6),
        stat_panel(
            "Newest verdict",
            "Time since the model last reached a verdict on any group.",
            f"time() - max(lmwatch_verdict_timestamp_seconds{{{WATCH}}})",
            unit="s",
            none="No verdict yet",
        ).span(6),
        _series(),
        _groups(),
    ]


def _series() -> Any:
    here = f"/d/{UID}/anomalies?${{__url_time_range}}&${{datasource:queryparam}}"
    return (
        grid(
            "What is odd now",
            "Series at or above the threshold of their watch, the highest score first. The score leads to the newest verdict on the "
            "series' group, on lmwatch's own pages; the metric to this dashboard for that metric alone.",
            [now(f"topk(100, {_SCORES} >= on (watch) group_left () {THRESHOLDS})")],
            columns={"Value": "score", "watch": "watch", "metric": "metric", "instance": "instance", "job": "job"},
            none="Nothing is odd",
        )
        .override_by_name(
            "score",
            [
                *_scored(),
                looks.linked(
                    ("Newest verdict", verdict("metric", "instance", "job", of=_FIELDS)), ("Watch", _of_watch(_FIELDS))
                ),
            ],
        )
        .override_by_name(
            "metric",
            [
                looks.linked(
                    (
                        "This metric alone",
                        f"{here}&var-watch=${{{_FIELDS}.watch:percentencode}}&var-metric=${{{_FIELDS}.metric:percentencode}}",
                    )
                )
            ],
        )
    )


def _groups() -> Any:
    return (
        grid(
            "Groups",
            "The newest verdict on each group: what the model gives it as a whole, what the screen gives it, and how old the verdict is.",
            [
                now(f"lmwatch_group_anomaly_score{{{WATCH}}}", ref="A"),
                now(f"lmwatch_screen_group_anomaly_score{{{WATCH}}}", ref="B"),
                now(f"time() - lmwatch_verdict_timestamp_seconds{{{WATCH}}}", ref="C"),
            ],
            columns={
                "watch": "watch",
                "instance": "instance",
                "job": "job",
                "Value #A": "model",
                "Value #B": "screen",
                "Value #C": "age",
            },
            none="No groups yet",
        )
        .override_by_name("model", _scored())
        .override_by_name("screen", _scored())
        .override_by_name(
            "age", [looks.has_unit("s"), looks.linked(("Newest verdict", verdict("instance", "job", of=_FIELDS)))]
        )
    )


def verdict(*labels: str, of: str) -> str:
    """The address of the newest verdict on the group that a series with these labels belongs to."""
    named = "&".join(f"{name}=${{{of}.{name}:percentencode}}" for name in ("watch", *labels))
    return f"${{pages:raw}}/verdicts/latest?{named}"


def _of_watch(of: str) -> str:
    return f"${{pages:raw}}/watches/${{{of}.watch:percentencode}}"


def _scored() -> list[Any]:
    """A column of scores: red from the boundary on."""
    return [
        looks.styled("decimals", 2),
        looks.styled("custom.cellOptions", {"type": "color-text"}),
        looks.styled("thresholds", steps(GREEN, (THRESHOLD, RED)).build()),
    ]
