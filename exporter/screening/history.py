"""What is remembered of a target's series: hourly summaries of days, the hour that runs, and what they say about now."""

import math

import numpy as np

from exporter.screening.archive import (
    BEGAN,
    CALM_SINCE,
    COUNT,
    HIGH,
    HIGH_LONG,
    LEAST,
    LOW,
    LOW_LONG,
    MOST,
    ODD_SINCE,
    SUM,
    SURPRISED,
    Archive,
    blank_running,
)
from exporter.screening.expected import HOURS, Expected, expect, season_band
from exporter.screening.past import Past
from exporter.screening.policy import BoolArray
from exporter.screening.slots import (
    LONG_HIGH,
    LONG_LOW,
    MAXIMUM,
    MEAN,
    MEAN_HIGH,
    MEAN_LOW,
    MINIMUM,
    SLOT_SECONDS,
    SURPRISE,
    Code,
    slot_seconds,
    summary_of,
)
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Series

DAY = 86400.0
_REFRESHED_WITHIN = 0.25
"""Share of a slot over which what is expected is worked out anew, some rows an interval: a large target stalls nothing."""
_MOST_SURPRISE = 60.0
"""Nats that are remembered at most: one long absence must not make a series' window blind for days."""
_ABSENT_SECONDS = DAY
"""A series that is gone for longer is forgotten."""
_LEAST_OF_FIRST = 0.25
"""Share of its values that the first slot of a series needs to teach: the mean of one value is as extreme as the value."""
_LARGEST = 1e300
"""Values from this on are infinite in effect: one of them would be all that is left of days, so they are as good as none."""


class History:
    """Follows one target. Not safe to use from several threads.

    Args:
        interval: seconds between instants.
        span: seconds that it reaches back.
    """

    def __init__(self, interval: float, span: float) -> None:
        self._length = slot_seconds(interval)
        self._interval = interval
        self._slots = max(2, math.ceil(span / self._length)) + 1
        per_day = DAY / self._length
        self._per_day = int(per_day) if per_day.is_integer() else 0
        self.archive = Archive.empty(self._slots)
        self._series: tuple[Series, ...] = ()
        self._joined = np.zeros(0, np.bool_)
        self._expected = Expected.empty(0)
        self._band = np.empty((2, 0))
        self._at_once = False
        self._refreshed = 0

    def restore(self, archive: Archive) -> bool:
        """Go on from what was kept; False, and nothing is changed, where it was made for another length or span."""
        if archive.kept.shape[1:] != self.archive.kept.shape[1:]:
            return False
        self.archive = archive
        self._series = ()
        self._joined = np.zeros(len(archive.identities), np.bool_)
        self._expected = Expected.empty(len(archive.identities))
        self._refreshed = 0
        self._at_once = True
        self._find_band()
        return True

    def advance(self, series: tuple[Series, ...], times: FloatArray, values: FloatArray) -> Past:
        """Take in what is new in a frame, and say what is known about its newest instant.

        Args:
            series: the rows.
            times: `[instants]`.
            values: `[rows × instants]`; earlier instants may have been taken in before.
        """
        if series is not self._series:
            self._follow(series)
        if times.size and times[-1] < self.archive.seen - self._length:
            self._set_back(float(times[-1]) - self._interval)
        rows = len(series)
        self._absorb(times, values)
        self._refresh(rows, times)
        means = self._means(rows)
        running = self.archive.running[:, :rows]
        for mean, low, high in zip(means, (LOW, LOW_LONG), (HIGH, HIGH_LONG), strict=True):
            np.fmin(running[low], mean, out=running[low])
            np.fmax(running[high], mean, out=running[high])
        expected = self._expected.rows(slice(rows))
        return Past(
            expected=expected,
            code=self.archive.code.rows(slice(rows)),
            means=means,
            season_low=self._band[0, :rows],
            season_high=self._band[1, :rows],
            days=expected.count * self._length / DAY,
            slot_hours=self._length / SLOT_SECONDS,
        )

    def learn(self, surprise: FloatArray, alarmed: BoolArray, over: BoolArray) -> None:
        """Be told what became of the newest instant.

        Args:
            surprise: `[rows]` of the detectors that look at the window alone, in nats; NaN for none.
            alarmed: `[rows]`: whether an episode goes on; the slot that runs does not teach before it is over.
            over: `[rows]`: whether an episode ended now, or has lasted long enough to be what is normal.
        """
        rows, archive = len(surprise), self.archive
        if archive.slot < 0:
            return
        so_far = archive.running[SURPRISED, :rows]
        np.fmax(so_far, np.minimum(surprise, _MOST_SURPRISE), out=so_far)
        archive.unsettled[:rows, archive.slot % self._slots] |= alarmed
        if over.any():
            archive.unsettled[np.flatnonzero(over)] = False

    def _absorb(self, times: FloatArray, values: FloatArray) -> None:
        archive = self.archive
        numbers = np.floor_divide(times, self._length).astype(np.int64)
        new = times > archive.seen
        for number in np.unique(numbers[new]).tolist():
            if archive.slot < 0:
                archive.slot = number
            if number > archive.slot:
                self._close(values[:, numbers == archive.slot])
                self._open(number)
            fresh = _finite(values[:, new & (numbers == number)])
            known = ~np.isnan(fresh)
            running = archive.running[:, : len(values)]
            running[SUM] += np.where(known, fresh, 0.0).sum(axis=1)
            running[COUNT] += np.count_nonzero(known, axis=1)
            np.fmin(running[LEAST], np.fmin.reduce(fresh, axis=1), out=running[LEAST])
            np.fmax(running[MOST], np.fmax.reduce(fresh, axis=1), out=running[MOST])
        if new.any():
            archive.seen = float(times[-1])
            present = ~np.isnan(values[:, new]).all(axis=1)
            archive.last_seen[: len(values)][present] = archive.seen

    def _set_back(self, seen: float) -> None:
        """Take what is known as if the newest instant of it had been at this time (Unix seconds): the clock was set back.

        Otherwise nothing would be learned until the clock is again where it was.
        """
        archive = self.archive
        slot, jump = int(seen // self._length), seen - archive.seen
        archive.kept = np.roll(archive.kept, slot - archive.slot, axis=2)
        archive.unsettled = np.roll(archive.unsettled, slot - archive.slot, axis=1)
        archive.episode[[BEGAN, CALM_SINCE, ODD_SINCE]] += jump
        archive.last_seen += jump
        archive.slot, archive.seen = slot, seen
        self._refreshed = 0
        self._find_band()

    def _close(self, values: FloatArray) -> None:
        """Summarise the slot that ran: what was counted as it ran, and the quantiles of those values that are still there."""
        archive, rows = self.archive, len(values)
        column = archive.slot % self._slots
        archive.kept[:, :, column] = np.nan
        if values.shape[1]:
            summary = summary_of(_finite(values))
            running = archive.running[:, :rows]
            mean = np.divide(running[SUM], running[COUNT], out=summary[MEAN].copy(), where=running[COUNT] > 0)
            too_few = running[COUNT] < _LEAST_OF_FIRST * self._length / self._interval
            mean[self._joined[:rows] & too_few] = np.nan
            summary[:, np.isnan(mean)] = np.nan
            summary[MEAN] = mean
            summary[MINIMUM] = np.where(np.isnan(mean), np.nan, np.fmin(summary[MINIMUM], running[LEAST]))
            summary[MAXIMUM] = np.where(np.isnan(mean), np.nan, np.fmax(summary[MAXIMUM], running[MOST]))
            archive.code = _first(archive.code, rows, archive.code.rows(slice(rows)).learned(summary))
            code = archive.code.rows(slice(rows))
            archive.kept[:rows, : MEAN + 1, column] = code.write(summary).T
            archive.kept[:rows, MEAN_LOW, column] = np.where(np.isfinite(running[LOW]), running[LOW], code.write(mean))
            archive.kept[:rows, MEAN_HIGH, column] = np.where(
                np.isfinite(running[HIGH]), running[HIGH], code.write(mean)
            )
            for field, extreme in ((LONG_LOW, running[LOW_LONG]), (LONG_HIGH, running[HIGH_LONG])):
                archive.kept[:rows, field, column] = np.where(np.isfinite(extreme), extreme, np.nan)
            archive.kept[:rows, SURPRISE, column] = running[SURPRISED]

    def _open(self, number: int) -> None:
        """Begin a slot; those that nobody saw are empty."""
        archive = self.archive
        skipped = min(number - archive.slot, self._slots)
        columns = [(number - back) % self._slots for back in range(skipped)]
        archive.kept[:, :, columns] = np.nan
        archive.unsettled[:, columns] = False
        archive.running = blank_running(len(archive.identities))
        archive.slot = number
        self._joined = np.zeros(len(archive.identities), np.bool_)
        self._refreshed = 0
        self._find_band()

    def _order(self) -> IntArray:
        """[slots]: the columns of the slots before the one that runs, the oldest first."""
        return (self.archive.slot + 1 + np.arange(self._slots - 1, dtype=np.intp)) % self._slots

    def _refresh(self, rows: int, times: FloatArray) -> None:
        """Work out anew what is expected of some rows more."""
        if self._refreshed >= rows or not times.size:
            return
        share = self._share(float(times[-1])) / _REFRESHED_WITHIN
        until = rows if self._at_once else min(rows, math.ceil(rows * min(share, 1.0)))
        self._at_once = False
        order = self._order()
        # What was handed out earlier stays as it was.
        self._expected = self._expected.taken(np.arange(len(self._expected.count)))
        for first in range(self._refreshed, until, _BLOCK):
            block = slice(first, min(first + _BLOCK, until))
            kept = self.archive.kept[block][:, :, order]
            if np.isnan(kept[:, MEAN]).all():
                self._expected.put(block, Expected.empty(len(kept)))
                continue
            usable = ~self.archive.unsettled[block][:, order]
            self._expected.put(block, expect(kept, usable, self.archive.code.rows(block), self._per_day))
        self._refreshed = max(until, self._refreshed)

    def _share(self, time: float) -> float:
        """How much of the slot that runs has passed, the newest instant's interval included; more than 0, at most 1."""
        return min(1.0, (time % self._length + self._interval) / self._length)

    def _means(self, rows: int) -> FloatArray:
        """[hours × rows]: the means of the last hours, the slot that runs taken for as much as has passed of it."""
        archive = self.archive
        if archive.slot < 0:
            return np.full((len(HOURS), rows), np.nan)
        running = archive.running[:, :rows]
        counted = running[COUNT] > 0
        now = archive.code.rows(slice(rows)).write(running[SUM] / np.maximum(running[COUNT], 1))
        weight_now = np.where(counted, self._share(archive.seen), 0.0)
        rest = 1.0 - self._share(archive.seen)
        found = []
        for hours in HOURS:
            full = archive.kept[:rows, MEAN][
                :, [(archive.slot - back) % self._slots for back in range(1, min(hours + 1, self._slots))]
            ]
            weights = np.ones(full.shape[1])
            if full.shape[1] == hours:
                weights[-1] = rest
            weight = np.where(np.isnan(full), 0.0, weights)
            total = weight.sum(axis=1) + weight_now
            value = (np.where(np.isnan(full), 0.0, full) * weight).sum(axis=1) + np.where(
                counted, now, 0.0
            ) * weight_now
            found.append(np.where(2 * total >= hours, value / np.maximum(total, 1e-9), np.nan))
        return np.stack(found)

    def _follow(self, series: tuple[Series, ...]) -> None:
        """Bring the rows into the order of these series; those that are absent stay behind them for a while."""
        archive = self.archive
        known = {identity: row for row, identity in enumerate(archive.identities)}
        wanted = [(one.name, one.labels) for one in series]
        present = set(wanted)
        stays = archive.last_seen > archive.seen - _ABSENT_SECONDS
        wanted += [
            identity for row, identity in enumerate(archive.identities) if identity not in present and stays[row]
        ]
        rows = np.array([known.get(identity, -1) for identity in wanted], dtype=np.intp)
        whole = self._refreshed >= len(self._series) > 0
        # Of those that were known, the ones that joined in the slot that runs; a new one joins now.
        self._joined = np.append(self._joined, True)[rows]
        self.archive = archive.taken(wanted, rows)
        self._expected = self._expected.taken(rows)
        self._series = series
        self._refreshed = len(series) if whole else 0
        self._find_band()

    def _find_band(self) -> None:
        """What is usual at this time of the day."""
        order = self._order()
        means, usable = self.archive.kept[:, MEAN, order], ~self.archive.unsettled[:, order]
        self._band = np.stack(season_band(means, usable, self._per_day))


_BLOCK = 32
"""Rows that are worked out at once: their points fit a core's cache."""


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.abs(values) < _LARGEST, values, np.nan)


def _first(code: Code, rows: int, learned: Code) -> Code:
    """The code with other first rows."""
    return Code(
        np.concatenate([learned.offset, code.offset[rows:]]), np.concatenate([learned.scale, code.scale[rows:]])
    )
