"""The dashboard about LM Studio: is it there, what is loaded, how fast, how full, and what fails."""

from typing import Any

import frame
import house
import looks
import models
import speed
from house import RATE, bars, graph, grid, now, query, stat_panel, timeline
from looks import BLUE, GREEN, ORANGE, RED, UP_OR_DOWN, YELLOW, steps
from speed import MODEL, ORIGIN, SERVER


def build() -> Any:
    """The whole dashboard."""
    made = frame.dashboard(
        models.UID,
        "LM Studio",
        "Health of LM Studio servers as lmwatch sees them: availability, models, speed, saturation, failures.",
        [
            *frame.standard_variables(),
            frame.query_variable("server", "Server", f"label_values(lmstudio_up{{{house.OF_LMWATCH}}}, server)"),
            frame.query_variable("model", "Model", f"label_values(lmstudio_model_loaded{{{SERVER}}}, model)"),
            frame.query_variable("origin", "Asked by", f"label_values(lmstudio_requests_total{{{SERVER}}}, origin)"),
            frame.pages_variable(),
        ],
        _events(),
    )
    frame.row(made, "Now", *_now())
    frame.row(made, "Models", *models.panels())
    frame.row(made, "Work", *speed.work())
    frame.row(made, "Latency", *speed.latency())
    frame.row(made, "Saturation", *speed.saturation())
    frame.row(made, "Failures", *_failures())
    frame.row(made, "How lmwatch sees it", *_sight())
    return made


def _events() -> list[Any]:
    return [
        # Every downloaded model has this gauge; its counter of loads appears with the first load, already at 1.
        frame.annotation(
            "Model loaded",
            f"lmstudio_model_loaded{{{MODEL}}} == 1 and lmstudio_model_loaded{{{MODEL}}} offset {house.RATE_INTERVAL} == 0",
            colour=GREEN,
            title="{{model}} loaded on {{server}}",
            tags="server,model",
        ),
        frame.annotation(
            "Model unloaded",
            f"lmstudio_model_loaded{{{MODEL}}} == 0 and lmstudio_model_loaded{{{MODEL}}} offset {house.RATE_INTERVAL} == 1",
            colour=ORANGE,
            title="{{model}} unloaded on {{server}}",
            tags="server,model",
        ),
        frame.annotation(
            "Server restarted",
            f"increase(lmstudio_server_restarts_total{{{SERVER}}}{RATE}) > 0",
            colour=RED,
            title="{{server}} restarted",
            tags="server",
        ),
        frame.annotation(
            "Alerts",
            'ALERTS{alertname=~"LMStudio.*",alertstate="firing"}',
            colour=RED,
            title="{{alertname}}",
            tags="severity,server,model",
        ),
    ]


def _now() -> list[Any]:
    return [
        stat_panel(
            "LM Studio",
            "Up if every chosen server gave a well-formed list of models at the last poll.",
            f"min(lmstudio_up{{{SERVER}}})",
            unit="none",
            none="Not watched",
        ).mappings([looks.states_mapping(UP_OR_DOWN)]),
        stat_panel(
            "Models loaded",
            "Loaded instances on the chosen servers.",
            f'sum(max by (server) (lmstudio_models{{{SERVER},state="loaded"}}))',
            unit="short",
            none="Not told",
            colours=steps(ORANGE, (1, BLUE)),
        ),
        stat_panel(
            "Tokens per second",
            "Output tokens per second of decode time in the last completed predictions, averaged over models and origins.",
            f"avg(lmstudio_tokens_per_second{{{ORIGIN}}})",
            unit="short",
            none=looks.NO_TRAFFIC,
        ),
        stat_panel(
            "First token, p95",
            "Time from sending a request to its first token that 95 % of requests stay below.",
            f"histogram_quantile(0.95, sum by (le) (rate(lmstudio_request_time_to_first_token_seconds_bucket{{{ORIGIN}}}{RATE})))",
            unit="s",
            none=looks.NO_TRAFFIC,
        ),
        stat_panel(
            "Requests",
            "Requests put to models per second, failed ones included.",
            f"sum(rate(lmstudio_requests_total{{{ORIGIN}}}{RATE}))",
            unit="reqps",
            none=looks.NO_TRAFFIC,
        ),
        stat_panel(
            "Failing",
            "Share of the requests that brought no usable answer; those that were cancelled do not count.",
            f"""(sum(rate(lmstudio_request_failures_total{{{ORIGIN},reason!="cancelled"}}{RATE})) or vector(0))
            / (sum(rate(lmstudio_requests_total{{{ORIGIN}}}{RATE})) > 0)""",
            unit="percentunit",
            none=looks.NO_TRAFFIC,
            colours=steps(GREEN, (0.01, YELLOW), (0.1, RED)),
        ),
        stat_panel(
            "Waiting",
            "Requests that wait for models, by LM Studio's word; known where its websocket tells.",
            f"sum(max by (server, model) (lmstudio_model_queued_requests{{{MODEL}}}))",
            unit="short",
            none="Not told",
            colours=steps(GREEN, (1, YELLOW), (8, RED)),
        ),
        stat_panel(
            "Fullest context",
            "Largest share of the loaded context that a model's last prediction took, prompt and output together.",
            f"max(lmstudio_context_used_ratio{{{ORIGIN}}})",
            unit="percentunit",
            none=looks.NO_TRAFFIC,
            colours=steps(GREEN, (0.75, YELLOW), (0.9, RED)),
        ),
    ]


def _failures() -> list[Any]:
    return [
        bars(
            "Failures by reason",
            "Requests that brought no usable answer. The very first of a kind shows in the table only: nothing stood before it.",
            [
                query(
                    f"sum by (reason) (increase(lmstudio_request_failures_total{{{ORIGIN}}}{RATE})) > 0",
                    "{{reason}}",
                )
            ],
            none="No failures",
        ),
        bars(
            "Polls that failed",
            "Polls of the servers by reason; the circuit breaker counts calls to models, not these.",
            [query(f"sum by (reason) (increase(lmstudio_poll_failures_total{{{SERVER}}}{RATE})) > 0", "{{reason}}")],
            none="No failures",
        ),
        grid(
            "Last failures",
            "When requests last failed, by reason.",
            [
                now(
                    "max by (server, model, origin, reason) "
                    f"(lmstudio_request_last_failure_timestamp_seconds{{{ORIGIN}}}) * 1000"
                )
            ],
            columns={"Value": "when", "server": "server", "model": "model", "origin": "origin", "reason": "reason"},
            none="No request has failed",
            unit="dateTimeFromNow",
        ),
    ]


def _sight() -> list[Any]:
    ways = (
        ("A", "lmstudio_up", "API"),
        ("B", "lmstudio_process_up", "program"),
        ("C", "lmstudio_rpc_up", "websocket"),
        ("D", "lmstudio_log_stream_up", "log stream"),
    )
    return [
        timeline(
            "What answers",
            "The ways by which lmwatch sees a server; down where any chosen lmwatch finds it so. A way that is turned off or not there has no row.",
            [
                query(f"min by (server) ({name}{{{SERVER}}})", f"{{{{server}}}} {what}", ref=ref)
                for ref, name, what in ways
            ],
            UP_OR_DOWN,
            none="Not watched",
        ),
        timeline(
            "Circuit breaker",
            "While it is open lmwatch puts no questions to the server's models, because they kept failing.",
            [query(f"max by (server) (lmstudio_circuit_state{{{SERVER}}})", "{{server}}")],
            {0: ("Closed", GREEN), 1: ("Half open", YELLOW), 2: ("Open", RED)},
            none="Not watched",
        ),
        graph(
            "Poll duration",
            "How long the last poll of a server took, failed or not.",
            [query(f"max by (server) (lmstudio_poll_duration_seconds{{{SERVER}}})", "{{server}}")],
            unit="s",
            none="Not watched",
        ),
        bars(
            "Probes",
            "Small requests by which lmwatch measures an idle model, by outcome.",
            [query(f"sum by (outcome) (increase(lmstudio_probes_total{{{SERVER}}}{RATE})) > 0", "{{outcome}}")],
            none="No probe was due",
        ),
        graph(
            "Answers through the proxy",
            "Answers that passed through the metering proxy, by HTTP status.",
            [query(f"sum by (code) (rate(lmstudio_proxy_responses_total{{{SERVER}}}{RATE}))", "{{code}}")],
            unit="reqps",
            none="Nothing passes through the proxy",
        ),
        graph(
            "Connections of the proxy",
            "Connections of clients that the metering proxy holds open.",
            [query(f"sum by (server) (lmstudio_proxy_connections{{{SERVER}}})", "{{server}}")],
            unit="short",
            none="No proxy is configured",
        ),
    ]
