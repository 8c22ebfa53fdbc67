"""Labelled data: time series, and when they were really at fault."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray
from exporter.series.labels import Series

Layout = Literal["nab", "smd", "nezha"]


@dataclass(frozen=True, slots=True)
class LabelledWindow:
    """A time in which something was wrong."""

    start: float
    """Unix seconds, inclusive."""
    end: float
    """Unix seconds, inclusive."""
    culprits: tuple[int, ...] = ()
    """Which series of the case show it, by index; empty where the labels do not say."""


@dataclass(frozen=True, eq=False)
class Case:
    """Series that are judged together, with the windows that a person labelled."""

    name: str
    series: tuple[Series, ...]
    group_by: tuple[str, ...]
    """The labels that divide the series into groups; none: all are one group."""
    times: FloatArray
    """[instants]: Unix seconds, strictly increasing."""
    values: FloatArray
    """[series × instants]: NaN where there is no value."""
    interval: float
    """Seconds between instants, as a rule."""
    judged_from: int
    """The first instant that counts; those before are there to learn from."""
    windows: tuple[LabelledWindow, ...]
    """In order of time, not overlapping."""

    @property
    def label(self) -> BoolArray:
        """[instants]: whether an instant lies inside a labelled window."""
        inside = [(window.start <= self.times) & (self.times <= window.end) for window in self.windows]
        found: BoolArray = np.zeros(self.times.size, dtype=np.bool_)
        for one in inside:
            found |= one
        return found


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that was injected on purpose, into one group of a case."""

    at: float
    """Unix seconds when it was injected, as reported."""
    group: str
    """The value of the label that names groups: the pod."""
    kind: str
    metric: str
    """The metric that should show it; "" where that is not among the metrics of the case."""


@dataclass(frozen=True, eq=False)
class Experiment:
    """A case whose labels say which group was at fault, and when, instead of windows."""

    case: Case
    faults: tuple[Fault, ...]
    phase: tuple[float, float]
    """First and last Unix second of the time in which faults were injected: ranks are compared inside it only."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """One folder of labelled data."""

    name: str
    layout: Layout
    cases: tuple[Case, ...]
    experiments: tuple[Experiment, ...] = ()
    """Where the labels name groups; `cases` is empty then."""
