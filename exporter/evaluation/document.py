"""What an evaluation found, as one JSON document."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from exporter.errors import LmwatchError
from exporter.evaluation.results import Evaluation, ModelFigures, RankedFault, Ranking, Row, SeriesResult, finite


def to_document(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON types, keys always in the same order; NaN, infinite and missing figures are null."""
    figures, ranking = evaluation.model_figures, evaluation.ranking
    return {
        "data": evaluation.data,
        "model": evaluation.model,
        "rows": [_row(row) for row in evaluation.rows],
        "series": [_series(result) for result in evaluation.series],
        "model_figures": None if figures is None else _model_figures(figures),
        "ranking": None if ranking is None else _ranking(ranking),
        "run": {
            "layout": evaluation.layout,
            "detector": evaluation.detector,
            "threshold": finite(evaluation.threshold),
            "seed": int(evaluation.seed),
            "command": evaluation.command,
            "version": evaluation.version,
        },
    }


def to_json(evaluation: Evaluation) -> str:
    """`to_document` as strict JSON in ASCII, with a line break at its end."""
    return json.dumps(to_document(evaluation), indent=2, allow_nan=False) + "\n"


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever reads half of it: beside it first, then in its place.

    What is no ordinary file, such as /dev/stdout or the /dev/fd/63 of a shell's `>(…)`, is written to directly.

    Raises:
        LmwatchError: it cannot be written; says where and why.
    """
    try:
        # Not by the resolved name: that of a pipe is none that can be opened.
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8", errors="replace")
            return
        target = path.resolve()
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            beside.write_text(text, encoding="utf-8", errors="replace")
            beside.replace(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                beside.unlink()
    except OSError as error:
        raise LmwatchError(f"{path}: cannot be written: {error.strerror or error}") from error


def _row(row: Row) -> dict[str, Any]:
    return {
        "detector": row.detector,
        "tp": int(row.tp),
        "fp": int(row.fp),
        "fn": int(row.fn),
        "f1": finite(row.f1),
        "fp_per_series_day": finite(row.fp_per_series_day),
        "vus_pr": finite(row.vus_pr),
        "median_delay": finite(row.median_delay),
        "threshold": finite(row.threshold),
        "alarm_share": finite(row.alarm_share),
    }


def _series(result: SeriesResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "windows": [
            {
                "start": finite(one.window.start),
                "end": finite(one.window.end),
                "state": one.state,
                "delay": finite(one.delay),
            }
            for one in result.windows
        ],
        "found": result.found,
        "false_alerts": result.false_alerts,
        "missed": result.missed,
        "episodes": [
            {
                "start": finite(episode.start),
                "end": finite(episode.end),
                "peak": finite(episode.peak),
                "found_window": None if episode.found_window is None else int(episode.found_window),
            }
            for episode in result.episodes
        ],
    }


def _model_figures(figures: ModelFigures) -> dict[str, Any]:
    return {
        "calls": int(figures.calls),
        "prompt_tokens": int(figures.prompt_tokens),
        "output_tokens": int(figures.output_tokens),
        "seconds": finite(figures.seconds),
        "schema_failures": int(figures.schema_failures),
        "ungrounded_share": finite(figures.ungrounded_share),
        "better": int(figures.better),
        "worse": int(figures.worse),
        "calibration": [
            {"confidence": finite(one.confidence), "right": finite(one.right), "count": int(one.count)}
            for one in figures.calibration
        ],
        "calibration_error": finite(figures.calibration_error),
    }


def _ranking(ranking: Ranking) -> dict[str, Any]:
    return {
        "rows": [
            {
                "detector": row.detector,
                "faults": int(row.faults),
                "first": int(row.first),
                "among_first": int(row.among_first),
                "cause_right": None if row.cause_right is None else int(row.cause_right),
            }
            for row in ranking.rows
        ],
        "faults": [_ranked(one) for one in ranking.faults],
    }


def _ranked(one: RankedFault) -> dict[str, Any]:
    return {
        "experiment": one.experiment,
        "at": finite(one.fault.at),
        "group": one.fault.group,
        "kind": one.fault.kind,
        "metric": one.fault.metric,
        "ranked_at": finite(one.ranked_at),
        "rank": None if one.rank is None else int(one.rank),
        "groups": int(one.groups),
        "leaders": list(one.leaders),
        "cause": one.cause,
        "cause_right": None if one.cause_right is None else bool(one.cause_right),
    }
