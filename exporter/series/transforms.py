"""The `as:` transforms: from a target's window to the frame that a watch is judged by.

What each word makes of a series, `auto` choosing among them by the type that the source gives:

- `value`: the raw values. `auto` for gauges, infos, state sets, quantiles of summaries and everything of unknown type.
- `rate`: growth per second. `auto` for counters, and for series of unknown type that end in `_total`.
- `delta`: growth since the instant before for what counts up, the plain difference for everything else.
- `mean`: of a histogram or summary `x`, the mean observation of each interval, as `x_mean`. Part of `auto`.
- `p50`, `p90`, `p99`: of a histogram `x`, the quantile of each interval's observations, as `x_p90`; of a summary the
  quantile that it exposes itself. `p90` is part of `auto` for histograms.

A histogram or summary is selected by the name of its family, with the labels that all its series have; also by
`x_bucket`. `x_count` and `x_sum` by name are counters, unless `as:` asks for a mean or a quantile.

How growth treats restarts and gaps is told in `increase.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from exporter.series.frame import FloatArray, Frame
from exporter.series.increase import LONGEST_STEP
from exporter.series.parts import Pick, pick_of
from exporter.series.plan import Plan, Planner
from exporter.series.window import StaleRowsError, TargetWindow

__all__ = ["FrameBuilder", "Pick", "pick_of"]

_LEAD = 2
"""Instants read before the span, so that its first instants have something to be compared with."""


class FrameBuilder:
    """Makes the frames of one watch. For one thread at a time, and any number of windows.

    Args:
        picks: what to take, and how; where two want the same series, the first has it.
        span: seconds that a frame reaches back.
    """

    def __init__(self, picks: Sequence[Pick], span: float) -> None:
        self._picks = tuple(picks)
        self._span = span
        self._plans: WeakKeyDictionary[TargetWindow, tuple[Planner, Plan]] = WeakKeyDictionary()

    def build(self, window: TargetWindow) -> Frame:
        """The frame as of the window's newest instant.

        The window's first instant of all is left out where values are compared with the ones before them.
        """
        while True:
            plan = self._plan_for(window)
            lead = _LEAD if plan.compares else 0
            try:
                times, values = window.raw(plan.rows, self._span, lead=lead, generation=plan.generation)
            except StaleRowsError:  # a scrape came in between
                continue
            result = np.full((len(plan.series), len(times)), np.nan)
            longest = LONGEST_STEP * window.interval
            for step in plan.steps:
                step.fill(result, values, times, longest)
            first = self._first(times, compares=plan.compares, horizon=window.horizon)
            return Frame(window.target, plan.series, plan.select, times[first:], result[:, first:], window.interval)

    def _first(self, times: FloatArray, *, compares: bool, horizon: float) -> int:
        """Which instant the frame begins with."""
        if not len(times):
            return 0
        begin = int(np.searchsorted(times, times[-1] - min(self._span, horizon)))
        return max(1, begin) if compares else begin

    def _plan_for(self, window: TargetWindow) -> Plan:
        planner, old = self._plans.get(window) or (Planner(self._picks), None)
        if old is not None and old.generation == window.generation:
            return old
        plan = planner.plan(*window.layout())
        if old is not None and plan.series == old.series and np.array_equal(plan.select, old.select):
            plan = replace(plan, series=old.series, select=old.select)
        self._plans[window] = (planner, plan)
        return plan
