"""Panels about the models of the servers: which are there, which are loaded, what they do."""

from typing import Any

import house
import looks
from house import RATE, bars, graph, grid, now, query, timeline
from looks import BLUE, GREEN, GREY, PURPLE, YELLOW
from speed import MODEL

from exporter.lmstudio.wire import MODEL_STATUSES

UID = "lmwatch-lmstudio"
"""Of the dashboard they stand on."""
_BY = "by (server, model)"
_STATUS_COLOURS = {
    "idle": GREEN,
    "processing_prompt": "light-blue",
    "generating": BLUE,
    "computing_embedding": PURPLE,
    "loading": YELLOW,
    "unknown": GREY,
}


def panels() -> list[Any]:
    """Loaded or not over time, a table of all, what came and went."""
    return [
        *_over_time(),
        _listed(),
        bars(
            "Loads and unloads",
            "Models that became loaded, and unloaded by reason. Unexpected: gone and not due.",
            [
                query(f"sum(increase(lmstudio_model_loads_total{{{MODEL}}}{RATE})) > 0", "loaded", ref="A"),
                query(
                    f"sum by (reason) (increase(lmstudio_model_unloads_total{{{MODEL}}}{RATE})) > 0",
                    "unloaded: {{reason}}",
                    ref="B",
                ),
            ],
            none="Nothing was loaded or unloaded",
        ),
        graph(
            "Unloaded when idle for",
            "Time until LM Studio unloads an idle model; nothing where it stays.",
            [query(f"min {_BY} (lmstudio_model_ttl_remaining_seconds{{{MODEL}}})", "{{server}} {{model}}")],
            unit="s",
            none="No model is due",
        ),
    ]


def _over_time() -> list[Any]:
    status = house.coded("lmstudio_model_status", "status", MODEL_STATUSES, MODEL, _BY)
    return [
        timeline(
            "Loaded models",
            "Which models were loaded when. Models that were not loaded in the time shown are left out.",
            [
                query(
                    f"max {_BY} (lmstudio_model_loaded{{{MODEL}}}) and {_BY.replace('by', 'on')} "
                    f"max {_BY} (max_over_time(lmstudio_model_loaded{{{MODEL}}}[$__range])) > 0",
                    "{{server}} {{model}}",
                )
            ],
            {0: ("Not loaded", GREY), 1: ("Loaded", GREEN)},
            none="No model was loaded",
        ),
        timeline(
            "What models do",
            "The state of each loaded model. Idle and unknown differ where the websocket tells, or the server's API does.",
            [query(status, "{{server}} {{model}}")],
            looks.looks(MODEL_STATUSES, _STATUS_COLOURS),
            none="No model is loaded",
        ),
    ]


def _listed() -> Any:
    here = f"/d/{UID}/lm-studio?${{__url_time_range}}&${{datasource:queryparam}}&var-server=${{__data.fields.server:percentencode}}"
    return (
        grid(
            "Models",
            "Every model that the servers list. A click on a name shows this dashboard for that model alone, or lmwatch's own page.",
            [
                now(
                    f"max by (server, model, kind, quantization, architecture) (lmstudio_model_info{{{MODEL}}})",
                    ref="A",
                ),
                now(f"max {_BY} (lmstudio_model_loaded{{{MODEL}}})", ref="B"),
                now(f"max {_BY} (lmstudio_model_size_bytes{{{MODEL}}})", ref="C"),
                now(f"max {_BY} (lmstudio_model_context_length_tokens{{{MODEL}}})", ref="D"),
                now(f"max {_BY} (lmstudio_model_max_context_length_tokens{{{MODEL}}})", ref="E"),
                now(f"max {_BY} (lmstudio_model_parallel_slots{{{MODEL}}})", ref="F"),
            ],
            columns={
                "server": "server",
                "model": "model",
                "Value #B": "loaded",
                "kind": "kind",
                "architecture": "architecture",
                "quantization": "quantization",
                "Value #C": "size",
                "Value #D": "context",
                "Value #E": "longest context",
                "Value #F": "parallel",
            },
            hidden=["Value #A"],
            none="No models are listed",
        )
        .override_by_name("size", [looks.has_unit("bytes")])
        .override_by_name("loaded", [looks.in_words({0: ("no", GREY), 1: ("yes", GREEN)})])
        .override_by_name(
            "model",
            [
                looks.linked(
                    ("This model alone", f"{here}&var-model=${{__data.fields.model:percentencode}}"),
                    ("Pages of lmwatch", "${pages:raw}/"),
                )
            ],
        )
    )
