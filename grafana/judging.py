"""Panels about the model's judgement: what comes of analyses, and what they cost."""

from typing import Any

import house
import looks
from house import RATE, bars, graph, query
from looks import GREEN, GREY, ORANGE, RED, YELLOW

LMWATCH = house.OF_LMWATCH
WATCH = f'{LMWATCH},watch=~"$watch"'
ANALYSIS = f'{LMWATCH},origin="analysis"'


def analyses() -> list[Any]:
    """What became of the groups that were due."""
    family = "lmwatch_analysis_duration_seconds"
    return [
        bars(
            "Analyses by outcome",
            "Groups that were due, by what came of it. Calm: nothing was odd enough. Cooldown: asked a moment ago. Busy: no model was free.",
            [query(f"sum by (outcome) (increase(lmwatch_analyses_total{{{WATCH}}}{RATE})) > 0", "{{outcome}}")],
            none="Nothing was due",
        )
        .override_by_name("ok", [looks.coloured(GREEN)])
        .override_by_name("invalid", [looks.coloured(RED)])
        .override_by_name("llm_error", [looks.coloured("dark-red")])
        .override_by_name("timeout", [looks.coloured(ORANGE)])
        .override_by_name("ungrounded", [looks.coloured(YELLOW)])
        .override_by_name("skipped_calm", [looks.coloured(GREY)]),
        house.quantiles("Duration of analyses", "How long analyses took, calls to the model included.", family, WATCH),
        graph(
            "Prompt tokens",
            "Tokens of a watch's last prompt.",
            [query(f"max by (watch) (lmwatch_prompt_tokens{{{WATCH}}})", "{{watch}}")],
            unit="short",
            none="No prompt yet",
        ),
        bars(
            "Series that did not fit",
            "Series that were left out of a prompt because it was full: load the model with a longer context, or lower max_series.",
            [
                query(
                    f"sum by (watch) (increase(lmwatch_prompt_series_dropped_total{{{WATCH}}}{RATE})) > 0", "{{watch}}"
                )
            ],
            none="Everything fitted",
        ),
    ]


def cost() -> list[Any]:
    """Time and tokens."""
    analyses = f"sum(rate(lmwatch_analysis_duration_seconds_count{{{LMWATCH}}}{RATE})) > 0"
    return [
        graph(
            "Time of the model for an analysis",
            "Seconds that models worked for one analysis, on average: repeated questions and waiting in LM Studio's queue included.",
            [
                query(
                    f"sum(rate(lmstudio_request_duration_seconds_sum{{{ANALYSIS}}}{RATE})) / ({analyses})",
                    "seconds for an analysis",
                )
            ],
            unit="s",
        ),
        graph(
            "Tokens for an analysis",
            "Tokens for one analysis, on average. What came from the cache is part of the prompt and cost next to nothing.",
            [
                query(f"sum(rate({name}{{{ANALYSIS}}}{RATE})) / ({analyses})", legend, ref=ref)
                for ref, name, legend in (
                    ("A", "lmstudio_prompt_tokens_total", "prompt"),
                    ("B", "lmstudio_cached_prompt_tokens_total", "prompt, from the cache"),
                    ("C", "lmstudio_output_tokens_total", "output"),
                )
            ],
            unit="short",
        ),
        graph(
            "Models at work for lmwatch",
            "Share of the time that models worked for analyses and probes; above 100 % several did at once.",
            [
                query(
                    "sum by (origin) (rate(lmstudio_request_duration_seconds_sum"
                    f'{{{LMWATCH},origin=~"analysis|probe"}}{RATE}))',
                    "{{origin}}",
                )
            ],
            unit="percentunit",
        ),
        graph(
            "Estimated tokens against counted",
            "Tokens that the last prompt was estimated at over those the server counted; far from 1 the tokenizer is not the model's.",
            [query(f"max by (server, model) (lmstudio_prompt_estimate_ratio{{{LMWATCH}}})", "{{server}} {{model}}")],
            unit="none",
            none="No prompt yet",
        ).decimals(2),
    ]
