"""Groups, snapshots and answers that the tests of reasoning share."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exporter.lmstudio.wire import ChatRequest, Model, Prediction
from exporter.reasoning.snapshot import Snapshot, build_snapshot
from exporter.screening.result import Evidence, ScreenedGroup, ScreenedSeries
from exporter.series.labels import Series, labels_of

AT = 1_763_803_440.0
"""2025-11-22 09:24:00 UTC."""
MODEL = Model(id="qwen2.5-7b", key="qwen/qwen2.5-7b", kind="llm", loaded=True, context_length=4096)


def words(text: str) -> int:
    """A token estimate that needs no table: one token for each 4 characters, rounded up."""
    return -(-len(text) // 4)


def make_series(
    name: str = "node_load1",
    *,
    labels: dict[str, str] | None = None,
    values: Sequence[float] = (1.0,) * 30 + (9.0,) * 10,
    unit: str = "",
    description: str = "",
    evidence: Sequence[str] = ("now 9, 8 times the highest of the last 14 d (1.14)",),
    score: float = 0.9,
    band: tuple[float, float] = (0.7, 1.3),
    interval: float = 15.0,
) -> ScreenedSeries:
    times = AT - interval * np.arange(len(values), dtype=np.float64)[::-1]
    return ScreenedSeries(
        series=Series(name, labels_of({"instance": "db1", **(labels or {})}), "gauge", description, unit),
        description=description,
        times=times,
        values=np.array(values, dtype=np.float64),
        interval=interval,
        score=score,
        kind="level_shift" if score >= 0.5 else None,
        expected_lower=band[0],
        expected_upper=band[1],
        evidence=tuple(Evidence("rank", text, (), score) for text in evidence),
    )


def make_group(*series: ScreenedSeries, total: int = 40, watch: str = "node-health") -> ScreenedGroup:
    return ScreenedGroup(
        watch=watch,
        key=(("instance", "db1"),),
        series=series,
        total=total,
        suspicious=sum(one.score >= 0.5 for one in series),
    )


def two_hosts() -> ScreenedGroup:
    """A load that shifted, a disk that filled, a temperature as always."""
    return make_group(
        make_series(
            description="1m load average.",
            evidence=(
                "now 9, 8 times the highest of the last 14 d (1.14)",
                "the level rose from 1 to 9 about 2.5 min ago",
            ),
            score=0.97,
        ),
        make_series(
            "node_filesystem_avail_bytes",
            labels={"mountpoint": "/"},
            values=(5e9,) * 34 + (2.1e8,) * 6,
            unit="bytes",
            description="Filesystem space available to non-root users in bytes.",
            evidence=("now 2.1e8 B (200.3 MiB), below everything in the last 14 d, at least 4.9e9",),
            score=0.8,
            band=(4.9e9, 5.1e9),
        ),
        make_series(
            "node_hwmon_temp_celsius",
            labels={"sensor": "temp1"},
            values=[40.0 + 0.5 * (index % 3) for index in range(40)],
            unit="celsius",
            evidence=(),
            score=0.1,
            band=(39.5, 41.5),
        ),
    )


def snapshot_of(
    group: ScreenedGroup | None = None,
    *,
    context: str = "Two database hosts. A backup runs at 02:00 UTC.",
    earlier: Sequence[str] = (),
    budget_tokens: int = 100_000,
    estimate: Callable[[str], int] = words,
) -> Snapshot:
    return build_snapshot(
        two_hosts() if group is None else group,
        context=context,
        earlier=earlier,
        at=AT,
        budget_tokens=budget_tokens,
        estimate=estimate,
    )


def finding(**changes: Any) -> dict[str, Any]:
    return {
        "evidence": ["E1"],
        "text": "It rose far beyond its history.",
        "kind": "level_shift",
        "score": 9,
        "confidence": 8,
        **changes,
    }


def answer(**changes: Any) -> dict[str, Any]:
    """A faultless answer to the snapshot of `two_hosts`."""
    return {
        "findings": {
            "S1": finding(),
            "S2": finding(evidence=["E4"], kind="drop", text="Free space fell to 2.1e+08."),
            "S3": finding(evidence=["E6"], kind="none", score=1, text="As expected."),
        },
        "summary": "Load rose and the disk filled.",
        "cause": "A job writes much.",
        "next_steps": "Look for what writes.",
        "score": 8,
        **changes,
    }


def predicted(text: str, request: ChatRequest | None = None, **changes: Any) -> Prediction:
    fields: dict[str, Any] = {
        "server": "desk",
        "model": MODEL.id,
        "asked_model": request.model if request else MODEL.id,
        "text": text,
        "reasoning": "",
        "finish_reason": "stop",
        "prompt_tokens": 700,
        "output_tokens": 120,
        "reasoning_tokens": None,
        "cached_prompt_tokens": None,
        "time_to_first_token_seconds": 1.5,
        "duration_seconds": 6.25,
        "tokens_per_second": 25.0,
        "timed_by": "clock",
    }
    return Prediction(**{**fields, **changes})


class ScriptedModel:
    """A model that gives prepared answers in turn; asked once more than prepared, the test fails."""

    def __init__(self, *answers: str | dict[str, Any] | Prediction | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[ChatRequest] = []

    def __call__(self, request: ChatRequest) -> Prediction:
        self.requests.append(request)
        assert self._answers, "the model was asked more often than expected"
        reply = self._answers.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Prediction):
            return reply
        return predicted(reply if isinstance(reply, str) else json.dumps(reply), request)
