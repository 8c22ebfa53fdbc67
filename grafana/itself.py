"""The dashboard about lmwatch itself: does it see, does the model judge, what does that cost, do alerts get out."""

from typing import Any

import bridge
import frame
import house
import judging
import looks
import shared
from house import RATE, bars, graph, grid, now, query, stat_panel, timeline
from judging import WATCH
from looks import BLUE, GREEN, ORANGE, RED, UP_OR_DOWN, steps

UID = "lmwatch-self"
LMWATCH = house.OF_LMWATCH
SOURCE = f'{LMWATCH},source=~"$source"'


def build() -> Any:
    """The whole dashboard."""
    made = frame.dashboard(
        UID,
        "lmwatch itself",
        "Whether lmwatch collects, judges and delivers, and what the model's judgement costs.",
        [
            *frame.standard_variables(),
            frame.query_variable("watch", "Watch", f"label_values(lmwatch_watch_state{{{LMWATCH}}}, watch)"),
            frame.query_variable("source", "Source", f"label_values(lmwatch_source_up{{{LMWATCH}}}, source)"),
        ],
        [
            frame.annotation(
                "Configuration loaded",
                f"changes(lmwatch_config_last_reload_success_timestamp_seconds{{{LMWATCH}}}{RATE}) > 0",
                colour=BLUE,
                title="Configuration loaded by {{instance}}",
                tags="instance",
            ),
            frame.annotation(
                "Restarts",
                f"changes(process_start_time_seconds{{{LMWATCH}}}{RATE}) > 0",
                colour=ORANGE,
                title="{{instance}} restarted",
                tags="instance",
            ),
            frame.annotation(
                "Alerts",
                'ALERTS{alertname=~"LMWatch.*",alertstate="firing"}',
                colour=RED,
                title="{{alertname}}",
                tags="severity,watch,source",
            ),
        ],
    )
    frame.row(made, "Now", *_now())
    frame.row(made, "What it sees", *_sources())
    frame.row(made, "What the model says", *judging.analyses())
    frame.row(made, "What that costs", *judging.cost())
    frame.row(made, "Alerts that go out", *bridge.alerts())
    frame.row(made, "Alerts that come in", *bridge.webhook())
    frame.row(made, "The program", *_program())
    return made


def _now() -> list[Any]:
    return [
        stat_panel(
            "lmwatch",
            "Up if Prometheus could scrape every chosen lmwatch.",
            f"min(up{{{LMWATCH}}})",
            unit="none",
            none="Not scraped",
        ).mappings([looks.states_mapping(UP_OR_DOWN)]),
        stat_panel(
            "Configuration",
            "Whether the last attempt to load the configuration succeeded. After one that failed the older goes on.",
            f"min(lmwatch_config_last_reload_successful{{{LMWATCH}}})",
            unit="none",
            none="Not scraped",
        ).mappings([looks.states_mapping({0: ("Refused", RED), 1: ("Loaded", GREEN)})]),
        stat_panel(
            "Sources down",
            "Targets whose last collection failed.",
            f"sum(lmwatch_source_up{{{SOURCE}}} == bool 0)",
            unit="short",
            none="No sources",
            colours=steps(GREEN, (1, RED)),
        ),
        shared.watches_not_well(WATCH),
        stat_panel(
            "Heartbeat",
            "Time since a model was last right about the anomaly that lmwatch plants for itself.",
            f"time() - min(lmwatch_heartbeat_success_timestamp_seconds{{{LMWATCH}}})",
            unit="s",
            none="Off, or no model is asked",
            colours=steps(GREEN, (900, ORANGE), (1800, RED)),
        ),
        stat_panel(
            "Alerts firing",
            "Alerts that lmwatch itself pushes and that are firing; those of Prometheus' rules are not among them.",
            f"sum(lmwatch_alerts_firing{{{LMWATCH}}})",
            unit="short",
            none="Nothing is pushed",
            colours=steps(GREEN, (1, ORANGE)),
        ),
        stat_panel(
            "Analyses per hour",
            "Verdicts of the model that can be used, at the present rate.",
            f'sum(rate(lmwatch_analyses_total{{{WATCH},outcome="ok"}}{RATE})) * 3600',
            unit="short",
            none="No watches",
        ),
        stat_panel(
            "Jobs missed",
            "Scheduled jobs that could not start when they were due, per hour at the present rate.",
            f"sum(rate(lmwatch_jobs_missed_total{{{LMWATCH}}}{RATE})) * 3600",
            unit="short",
            none="Not scraped",
            colours=steps(GREEN, (1, ORANGE)),
        ),
    ]


def _sources() -> list[Any]:
    by = "by (source, target)"
    legend = "{{source}} {{target}}"
    return [
        timeline(
            "Targets",
            "Whether the last collection from a target succeeded.",
            [query(f"min {by} (lmwatch_source_up{{{SOURCE}}})", legend)],
            UP_OR_DOWN,
            none="No sources",
        ),
        shared.watch_states(WATCH),
        graph(
            "Duration of collections",
            "How long the last collection from a target took.",
            [query(f"max {by} (lmwatch_source_scrape_duration_seconds{{{SOURCE}}})", legend)],
            unit="s",
            none="No sources",
        ),
        graph(
            "Samples",
            "Samples that the last collection from a target brought.",
            [query(f"max {by} (lmwatch_source_samples{{{SOURCE}}})", legend)],
            unit="short",
            none="No sources",
        ),
        graph(
            "Heartbeat over time",
            "Time since the planted anomaly was last found: by the screen, and by a model. The third line is how often one is planted.",
            [
                query(
                    f"time() - min(lmwatch_heartbeat_screen_success_timestamp_seconds{{{LMWATCH}}})",
                    "by the screen",
                    ref="A",
                ),
                query(f"time() - min(lmwatch_heartbeat_success_timestamp_seconds{{{LMWATCH}}})", "by a model", ref="B"),
                query(f"max(lmwatch_heartbeat_interval_seconds{{{LMWATCH}}})", "interval", ref="C"),
            ],
            unit="s",
            none="The heartbeat is off",
        ),
        graph(
            "Series with the same labels",
            "Series of a watch that are not exposed because an earlier one has the same labels.",
            [query(f"max by (watch) (lmwatch_duplicate_series{{{WATCH}}})", "{{watch}}")],
            unit="short",
            none="No watches",
        ),
    ]


def _program() -> list[Any]:
    return [
        graph(
            "Processor",
            "Processor time of lmwatch's process; 100 % is one core.",
            [query(f"sum by (instance) (rate(process_cpu_seconds_total{{{LMWATCH}}}{RATE}))", "{{instance}}")],
            unit="percentunit",
            none="Not told on this system",
        ),
        graph(
            "Memory",
            "Resident memory of lmwatch's process.",
            [query(f"sum by (instance) (process_resident_memory_bytes{{{LMWATCH}}})", "{{instance}}")],
            unit="bytes",
            none="Not told on this system",
        ),
        bars(
            "Jobs that were missed",
            "Scheduled jobs that could not start when they were due: the machine is too slow, or something hangs.",
            [query(f"sum by (pool) (increase(lmwatch_jobs_missed_total{{{LMWATCH}}}{RATE})) > 0", "{{pool}}")],
            none="None was missed",
        ),
        graph(
            "Open files",
            "File descriptors that lmwatch holds, connections included, as a share of how many it may.",
            [
                query(
                    f"max by (instance) (process_open_fds{{{LMWATCH}}} / process_max_fds{{{LMWATCH}}})",
                    "{{instance}}",
                )
            ],
            unit="percentunit",
            none="Not told on this system",
        ),
        bars(
            "Parts of the exposition that failed",
            "Parts of /metrics that could not be collected.",
            [
                query(
                    f"sum by (collector) (increase(lmwatch_collector_failures_total{{{LMWATCH}}}{RATE})) > 0",
                    "{{collector}}",
                )
            ],
            none="None failed",
        ),
        grid(
            "Versions",
            "What is running, and since when its configuration is in force.",
            [
                now(f"max by (instance, version, python_version) (lmwatch_build_info{{{LMWATCH}}})", ref="A"),
                now(
                    f"max by (instance) (lmwatch_config_last_reload_success_timestamp_seconds{{{LMWATCH}}}) * 1000",
                    ref="B",
                ),
                now(f"max by (instance) (process_start_time_seconds{{{LMWATCH}}}) * 1000", ref="C"),
            ],
            columns={
                "instance": "lmwatch",
                "version": "version",
                "python_version": "Python",
                "Value #B": "configuration loaded",
                "Value #C": "started",
            },
            hidden=["Value #A"],
            none="Not scraped",
            unit="dateTimeAsIso",
        ).span(12),
    ]
