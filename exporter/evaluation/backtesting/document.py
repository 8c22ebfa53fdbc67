"""What a backtest found, as one JSON document."""

import json
from dataclasses import asdict
from typing import Any

from exporter.evaluation.backtesting.pushes import Push
from exporter.evaluation.backtesting.results import Backtest, WatchResult
from exporter.reasoning.document import to_document as verdict_document


def to_document(backtest: Backtest) -> dict[str, Any]:
    """The backtest as JSON types, keys always in the same order."""
    return {
        "source": backtest.source,
        "from": backtest.begin,
        "to": backtest.end,
        "model": backtest.model,
        "watches": [_watch(result) for result in backtest.watches],
        "run": {
            "for_seconds": backtest.pending,
            "warm_up_seconds": backtest.warm_up,
            "seconds": round(backtest.seconds, 3),
            "command": backtest.command,
            "version": backtest.version,
        },
    }


def to_json(backtest: Backtest) -> str:
    """`to_document` as strict JSON in ASCII, with a line break at its end."""
    return json.dumps(to_document(backtest), indent=2, allow_nan=False) + "\n"


def _watch(result: WatchResult) -> dict[str, Any]:
    return {
        "name": result.watch.name,
        "notes": list(result.notes),
        "series": result.series,
        "samples": result.samples,
        "screenings": result.screenings,
        "interval_seconds": result.watch.interval,
        "states": {state: result.states[state] for state in sorted(result.states)},
        "threshold": result.watch.threshold,
        "sensitivity_seconds": result.table.seconds,
        "thresholds": [
            {"sensitivity_seconds": table.seconds, **asdict(row)} for table in result.tables for row in table.rows
        ],
        "alerts": [_push(push) for push in result.pushes],
        "verdicts": [verdict_document(verdict) for verdict in result.verdicts],
    }


def _push(push: Push) -> dict[str, Any]:
    return {
        "metric": push.subject.metric,
        "labels": dict(push.subject.labels),
        "severity": push.severity,
        "kind": push.kind,
        "pending_at": push.pending_at,
        "fired_at": push.fired_at,
        "resolved_at": push.resolved_at,
        "peak_score": round(push.peak, 4),
        "summary": push.words.summary,
        "description": push.words.description,
    }
