"""The dashboard about what lmwatch found: what is odd now, how it came to it, and what screen and model each say.

Scores carry the job and instance of the series they are about, so they are chosen by watch; the watches are those of
the chosen lmwatch.
"""

from typing import Any

import frame
import house
import looks
import odd
import shared
from house import graph, query, timeline
from looks import GREEN, GREY, ORANGE, PURPLE, RED, YELLOW
from odd import SERIES, WATCH

from exporter.screening.result import KINDS, THRESHOLD

CHOSEN = "${series:raw}"
_KIND_COLOURS = {
    "spike": RED,
    "drop": looks.BLUE,
    "level_shift": ORANGE,
    "drift": YELLOW,
    "flatline": GREY,
    "missing": "dark-red",
    "oscillation": PURPLE,
    "seasonal_break": "light-blue",
}


def build() -> Any:
    """The whole dashboard."""
    made = frame.dashboard(
        odd.UID,
        "Anomalies",
        "What lmwatch found in the watched metrics: scores of the statistical screen and of the model, and how they came about.",
        [
            *frame.standard_variables(),
            frame.query_variable(
                "watch",
                "Watch",
                f'label_values(lmwatch_watch_threshold{{{house.OF_LMWATCH},watch!="lmwatch_heartbeat"}}, watch)',
            ),
            frame.query_variable("metric", "Metric", f"label_values(lmwatch_anomaly_score{{{WATCH}}}, metric)"),
            frame.query_variable(
                "series",
                "Series",
                f"query_result(last_over_time(lmwatch_series_value{{{SERIES}}}[$__range]))",
                several=False,
            ).regex(r"/\{(.*)\} /"),
            frame.pages_variable(),
        ],
        [
            frame.annotation(
                "Alerts",
                'ALERTS{alertname=~"LMWatch.*|LMStudio.*",alertstate="firing"}',
                colour=RED,
                title="{{alertname}}",
                tags="severity,watch,metric",
            ),
            frame.written_annotations(),
        ],
    )
    frame.row(made, "Now", *odd.panels())
    frame.row(made, "Scores", *_scores())
    frame.row(made, "One series", *_one_series())
    frame.row(made, "Screen and model", *_screen_and_model())
    return made


def _scores() -> list[Any]:
    labels = "__field.labels"
    return [
        _between_0_and_1(
            graph(
                "Scores",
                "Scores of the series, screen and model combined: what the rules alert on; the 50 highest at each moment. The line "
                "is the boundary, 0.5; a watch's own threshold may lie elsewhere.",
                [query(f"topk(50, lmwatch_anomaly_score{{{SERIES}}})")],
                unit="none",
                none="No scores",
            )
        )
        .data_links(
            [
                house.board.DashboardLink("Newest verdict")
                .url(odd.verdict("metric", "instance", "job", of=labels))
                .target_blank(True)
            ]
        )
        .span(24),
        house.spread(
            "How scores spread",
            "How many series have which score.",
            f"lmwatch_anomaly_score{{{SERIES}}}",
            size=0.05,
            unit="none",
            none="No scores",
        ),
        _between_0_and_1(
            graph(
                "Scores of groups",
                "Scores of groups as a whole: by the model, and by the screen; of each the 50 highest at each moment.",
                [
                    query(f"topk(50, lmwatch_group_anomaly_score{{{WATCH}}})", ref="A"),
                    query(f"topk(50, lmwatch_screen_group_anomaly_score{{{WATCH}}})", ref="B"),
                ],
                unit="none",
                none="No groups yet",
            )
        ),
        timeline(
            "Kinds",
            "What kind of anomaly a series shows while it shows one.",
            [query(house.coded("lmwatch_anomaly_kind", "kind", KINDS, SERIES, "without (kind)"))],
            looks.looks(KINDS, _KIND_COLOURS),
            none="Nothing is odd",
        ),
        shared.watch_states(f"{house.OF_LMWATCH},{WATCH}"),
    ]


def _between_0_and_1(panel: Any) -> Any:
    return looks.line_at(panel.min(0).max(1).decimals(2), THRESHOLD)


def _one_series() -> list[Any]:
    edges = [looks.styled("custom.lineWidth", 0), looks.styled("custom.fillOpacity", 0), looks.coloured(GREEN)]
    return [
        graph(
            "Value and expected band",
            "The chosen series in its own unit, and the band that its newest value was expected in. Known while the series is "
            "suspicious, and always for those with band: true.",
            [
                query(f"lmwatch_series_value{{{CHOSEN}}}", "value", ref="A"),
                query(f"lmwatch_series_expected_lower{{{CHOSEN}}}", "expected from", ref="B"),
                query(f"lmwatch_series_expected_upper{{{CHOSEN}}}", "expected to", ref="C"),
            ],
            unit="short",
            none="No series is suspicious or marked band: true",
            floor=None,
        )
        .override_by_name("value", [looks.coloured("blue"), looks.styled("custom.lineWidth", 2)])
        .override_by_name("expected from", edges)
        .override_by_name(
            "expected to",
            [
                looks.styled("custom.lineWidth", 0),
                looks.styled("custom.fillBelowTo", "expected from"),
                looks.styled("custom.fillOpacity", 20),
                looks.coloured(GREEN),
            ],
        )
        .span(24)
        .height(9),
        _between_0_and_1(
            graph(
                "Score of the series",
                "Scores of the chosen series: combined, by the screen alone, and by the model alone.",
                [
                    query(f"lmwatch_anomaly_score{{{CHOSEN}}}", "combined", ref="A"),
                    query(f"lmwatch_screen_anomaly_score{{{CHOSEN}}}", "screen", ref="B"),
                    query(f"lmwatch_llm_anomaly_score{{{CHOSEN}}}", "model", ref="C"),
                ],
                unit="none",
                none="No scores",
            )
        )
        .override_by_name("combined", [looks.coloured(RED), looks.styled("custom.lineWidth", 2)])
        .override_by_name("screen", [looks.coloured("blue")])
        .override_by_name("model", [looks.coloured(PURPLE)])
        .span(24),
    ]


def _screen_and_model() -> list[Any]:
    return [
        _between_0_and_1(
            graph(
                "Screen against model, on average",
                "Mean score of the series that the model was shown: by the screen, and by the model.",
                [
                    query(
                        f"avg by (watch) (lmwatch_screen_anomaly_score{{{SERIES}}} and lmwatch_llm_anomaly_score{{{SERIES}}})",
                        "screen, {{watch}}",
                        ref="A",
                    ),
                    query(f"avg by (watch) (lmwatch_llm_anomaly_score{{{SERIES}}})", "model, {{watch}}", ref="B"),
                ],
                unit="none",
                none="The model has said nothing yet",
            )
        ),
        graph(
            "Model less screen",
            "How far the model's score lies above (or below) that of the screen, for each series that it was shown.",
            [query(f"lmwatch_llm_anomaly_score{{{SERIES}}} - lmwatch_screen_anomaly_score{{{SERIES}}}")],
            unit="none",
            none="The model has said nothing yet",
        )
        .min(-1)
        .max(1)
        .decimals(2),
        graph(
            "Confidence",
            "The model's own confidence in its scores.",
            [query(f"lmwatch_llm_confidence_ratio{{{SERIES}}}")],
            unit="percentunit",
            none="The model has said nothing yet",
        ).max(1),
        graph(
            "Age of verdicts",
            "Time since the newest verdict on a group; the 50 oldest at each moment.",
            [query(f"topk(50, time() - lmwatch_verdict_timestamp_seconds{{{WATCH}}})")],
            unit="s",
            none="No verdict yet",
        ),
    ]
