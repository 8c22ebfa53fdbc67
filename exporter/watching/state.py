"""Which state a watch is in, and why. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporter.board import WatchStateName
from exporter.config.model import Watch
from exporter.reasoning.verdict import Verdict
from exporter.screening.baseline import Settings, guard_of
from exporter.screening.result import ScreenResult
from exporter.series.frame import Frame
from exporter.watching.tables import Members


@dataclass(frozen=True, eq=False)
class Screened:
    """The newest screening of a watch."""

    at: float
    """Unix seconds."""
    results: tuple[ScreenResult, ...] = ()
    """One for each target."""
    members: tuple[Members, ...] = ()
    """What is known of the series of each result."""
    troubles: tuple[str, ...] = ()
    """What the source could not deliver, in words."""
    history: str = ""
    """What history lacks, in words."""


def watch_state(
    watch: Watch,
    screened: Screened,
    verdicts: Sequence[Verdict],
    *,
    model_usable: bool,
    now: float,
) -> tuple[WatchStateName, str]:
    """The state and its reason in words; the worst that holds wins.

    Args:
        watch: the configuration.
        screened: the newest screening.
        verdicts: the newest verdict of each group.
        model_usable: whether some server could judge now.
        now: Unix seconds.
    """
    if not screened.results:
        if screened.troubles:
            return "failed", "; ".join(screened.troubles[:3])
        return "warming", "no series yet: nothing collected, or nothing matches the selectors"
    age = now - max(float(result.frame.times[-1]) for result in screened.results)
    if age > 3 * max(watch.interval, *(result.frame.interval for result in screened.results)):
        return "stale", f"the newest value is {age:.0f} s old"
    if all(np.isnan(result.score).all() for result in screened.results):
        return "warming", _joined(_wanting(watch, screened), screened.history)
    trouble = "" if watch.reason.when == "never" else _model_trouble(verdicts, model_usable=model_usable)
    if trouble:
        return "degraded", _joined(f"{trouble}: scores are the screen's alone", screened.history)
    return "ok", _joined(*screened.troubles[:3], screened.history)


def _wanting(watch: Watch, screened: Screened) -> str:
    """What scores wait for."""
    if watch.screen == "pushdown":
        return "the ruler has no baseline yet: it needs 36 hours of values"
    most, needed = max(
        _values_and_need(result.frame, of.settings)
        for result, of in zip(screened.results, screened.members, strict=True)
    )
    return f"no series has more than {most} values in the window, scores need about {needed}"


def _values_and_need(frame: Frame, settings: Settings) -> tuple[int, int]:
    """How many values the fullest series of a target has, and from how many on it has a score."""
    there = ~np.isnan(frame.values)
    answered = int(np.count_nonzero(there.any(axis=0)))
    return int(there.sum(axis=1).max(initial=0)), guard_of(answered, settings.judged) + settings.min_history


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))


def _model_trouble(verdicts: Sequence[Verdict], *, model_usable: bool) -> str:
    if not model_usable:
        return "no model can be asked"
    failed = [verdict for verdict in verdicts if verdict.outcome in ("llm_error", "timeout", "invalid")]
    if not failed or len(failed) < len(verdicts):
        return ""
    newest = max(failed, key=lambda verdict: verdict.at)
    return f"the model gave no usable answer ({newest.problems[0] if newest.problems else newest.outcome})"
