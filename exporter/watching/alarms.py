"""When the screen called which series anomalous, as far back as the window of a watch goes. In memory only."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exporter.screening.result import KINDS, THRESHOLD, Alarm, Kind, ScreenResult
from exporter.series.labels import Series


@dataclass(frozen=True, eq=False)
class _Known:
    """How the last screening of a target ended."""

    series: tuple[Series, ...]
    on: npt.NDArray[np.bool_]


class Alarms:
    """Remembers the alarms of one watch. One thread writes; any may read.

    Args:
        span: seconds for which an alarm that ended is remembered.
    """

    def __init__(self, span: float) -> None:
        self._span = span
        self._known: dict[str, _Known] = {}
        self._alarms: dict[Series, tuple[Alarm, ...]] = {}

    def note(self, results: tuple[ScreenResult, ...], at: float) -> None:
        """Take in one screening of all targets, at this time in Unix seconds."""
        alarms = dict(self._alarms)
        known = {}
        followed: set[Series] = set()
        for result in results:
            on = result.score >= THRESHOLD
            for row in np.flatnonzero(on | self._was_on(result)).tolist():
                series = result.frame.series[row]
                followed.add(series)
                alarms[series] = _followed(alarms.get(series, ()), on=bool(on[row]), kind=_kind(result, row), at=at)
            known[result.frame.target] = _Known(result.frame.series, on)
        for series in {series for series, told in alarms.items() if told[-1].ended is None} - followed:
            # It is gone, so that nothing else would ever end its alarm.
            alarms[series] = _followed(alarms[series], on=False, kind=None, at=at)
        self._known = known
        self._alarms = {
            series: kept
            for series, told in alarms.items()
            if (kept := tuple(one for one in told if one.ended is None or one.ended > at - self._span))
        }

    def of(self, series: Series) -> tuple[Alarm, ...]:
        """The alarms of a series, the oldest first."""
        return self._alarms.get(series, ())

    def _was_on(self, result: ScreenResult) -> npt.NDArray[np.bool_]:
        known = self._known.get(result.frame.target)
        if known is not None and known.series is result.frame.series:
            return known.on
        last = {series for series, told in self._alarms.items() if told[-1].ended is None}
        return np.fromiter((series in last for series in result.frame.series), np.bool_, len(result.frame.series))


def _followed(told: tuple[Alarm, ...], *, on: bool, kind: Kind | None, at: float) -> tuple[Alarm, ...]:
    going_on = told[-1] if told and told[-1].ended is None else None
    if going_on is None:
        return (*told, Alarm(at, None, kind)) if on else told
    newest = replace(going_on, kind=kind or going_on.kind) if on else replace(going_on, ended=at)
    return told if newest == going_on else (*told[:-1], newest)


def _kind(result: ScreenResult, row: int) -> Kind | None:
    code = int(result.kind[row])
    return KINDS[code] if code >= 0 else None
