"""A verdict to begin with: tests say what they are about, the rest says nothing."""

from dataclasses import replace
from typing import Any

from exporter.reasoning.verdict import Verdict


def plain_verdict(**changes: Any) -> Verdict:
    """An empty verdict with some of its parts filled; what is no part of a verdict is an error."""
    empty = Verdict(
        id="v1",
        watch="w",
        group=(),
        at=0.0,
        outcome="ok",
        model="qwen",
        server="desk",
        group_score=None,
        summary="",
        cause="",
        next_steps="",
        findings=(),
        problems=(),
        facts=(),
        prompt="",
        answer="",
        shown=1,
        dropped=0,
        prompt_tokens_estimated=10,
        predictions=(),
    )
    return replace(empty, **changes)
