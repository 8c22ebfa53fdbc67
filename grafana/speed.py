"""Panels about what models do: how much, how fast, how full. Chosen by server, model and who asked."""

from typing import Any

import house
import looks
from house import RATE, graph, query

SERVER = f'{house.OF_LMWATCH},server=~"$server"'
MODEL = f'{SERVER},model=~"$model"'
ORIGIN = f'{MODEL},origin=~"$origin"'


def work() -> list[Any]:
    """How much is asked and answered."""
    tokens = (
        ("A", "lmstudio_prompt_tokens_total", "prompt"),
        ("B", "lmstudio_cached_prompt_tokens_total", "prompt, from the cache"),
        ("C", "lmstudio_output_tokens_total", "output"),
        ("D", "lmstudio_reasoning_tokens_total", "output, reasoning"),
    )
    return [
        graph(
            "Tokens per second of a prediction",
            "Output tokens per second of decode time in the last completed prediction.",
            [
                query(
                    f"avg by (server, model, origin) (lmstudio_tokens_per_second{{{ORIGIN}}})",
                    "{{server}} {{model}} ({{origin}})",
                )
            ],
            unit="short",
        ),
        graph(
            "Tokens processed",
            "Tokens per second over all requests. What came from the cache is part of the prompt, reasoning part of the output.",
            [query(f"sum(rate({name}{{{ORIGIN}}}{RATE}))", legend, ref=ref) for ref, name, legend in tokens],
            unit="short",
        ),
        house.stacked(
            graph(
                "Requests by origin",
                "Who asked: lmwatch's analyses, its probes, or others (traffic), whom it knows from the log stream and its proxy.",
                [query(f"sum by (origin) (rate(lmstudio_requests_total{{{ORIGIN}}}{RATE}))", "{{origin}}")],
                unit="reqps",
            )
        ),
        graph(
            "How answers end",
            "Completed answers by what ended them; length is the request's own limit, context_length the model's.",
            [
                query(
                    f"sum by (finish_reason) (rate(lmstudio_request_finishes_total{{{ORIGIN}}}{RATE})) > 0",
                    "{{finish_reason}}",
                )
            ],
            unit="reqps",
        ),
    ]


def latency() -> list[Any]:
    """How long it takes."""
    first, token = "lmstudio_request_time_to_first_token_seconds", "lmstudio_request_time_per_output_token_seconds"
    return [
        house.heat("Time to first token", "How the times from request to first token spread.", first, ORIGIN),
        house.quantiles("Time to first token, quantiles", "Time from request to first token.", first, ORIGIN),
        house.heat("Time per output token", "How the decode times per output token spread.", token, ORIGIN),
        house.quantiles("Time per output token, quantiles", "Decode time per output token.", token, ORIGIN),
        house.quantiles(
            "Whole requests",
            "How long completed requests took, waiting in LM Studio's queue included.",
            "lmstudio_request_duration_seconds",
            ORIGIN,
        ),
        graph(
            "Last time to first token",
            "Time from request to first token in the last completed prediction, which shows rare requests as well.",
            [
                query(
                    f"max by (server, model, origin) (lmstudio_time_to_first_token_seconds{{{ORIGIN}}})",
                    "{{server}} {{model}} ({{origin}})",
                )
            ],
            unit="s",
        ),
    ]


def saturation() -> list[Any]:
    """How full it is."""
    by = "by (server, model)"
    return [
        looks.line_at(
            graph(
                "Context used",
                "Share of the loaded context that the last prediction took, prompt and output together. The line is at 90 %.",
                [
                    query(
                        f"max by (server, model, origin) (lmstudio_context_used_ratio{{{ORIGIN}}})",
                        "{{server}} {{model}} ({{origin}})",
                    )
                ],
                unit="percentunit",
            ).max(1),
            0.9,
        ),
        graph(
            "Context in tokens",
            "Tokens of the last prediction, beside the context that the model is loaded with.",
            [
                query(f"max {by} (lmstudio_context_used_tokens{{{ORIGIN}}})", "used, {{server}} {{model}}", ref="A"),
                query(
                    f"max {by} (lmstudio_model_context_length_tokens{{{MODEL}}})",
                    "loaded with, {{server}} {{model}}",
                    ref="B",
                ),
            ],
            unit="short",
        ),
        graph(
            "Queue",
            "Requests that wait for a model, by LM Studio's word, beside how many it works on at once.",
            [
                query(
                    f"max {by} (lmstudio_model_queued_requests{{{MODEL}}})", "waiting, {{server}} {{model}}", ref="A"
                ),
                query(f"max {by} (lmstudio_model_parallel_slots{{{MODEL}}})", "at once, {{server}} {{model}}", ref="B"),
            ],
            unit="short",
            none="Not told: no websocket",
        ),
        house.quantiles(
            "Prompt tokens",
            "Prompt tokens of single requests, by the server's count.",
            "lmstudio_request_prompt_tokens",
            ORIGIN,
            unit="short",
        ),
    ]
