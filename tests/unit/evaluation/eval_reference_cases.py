"""Cases for the reference detectors: calm series, and one with a planted fault."""

import numpy as np

from exporter.evaluation.labelled import Case
from exporter.series.labels import Series

START = 1.7e9


def case_of(values, interval=300.0, times=None, name="made up"):
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    rows, instants = values.shape
    return Case(
        name=name,
        series=tuple(Series("load", (("row", str(row)),)) for row in range(rows)),
        group_by=(),
        times=START + interval * np.arange(instants) if times is None else np.asarray(times, dtype=np.float64),
        values=values,
        interval=interval,
        judged_from=0,
        windows=(),
    )


def calm(rows, instants, seed=1, middle=100.0, spread=3.0):
    return np.random.default_rng(seed).normal(middle, spread, size=(rows, instants))
