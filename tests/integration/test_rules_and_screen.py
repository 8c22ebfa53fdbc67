"""The shipped rules, worked out by a real Prometheus, beside the local screen with a history of the same values.

Nothing here depends on the time at which it runs: the rules are asked for one past instant, and the clock of the history is
set so that this instant lies in any minute of an hour.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from real_programs import ROOT, Prometheus
from recorded_past import DAY, HOUR, PER_HOUR, STEP, backfill, plant

from exporter.config.model import Selection
from exporter.screening.baseline import Settings, baseline_of
from exporter.screening.beyond import beyond
from exporter.screening.history import History
from exporter.screening.policy import policy_of
from exporter.screening.tails import log_boundary
from exporter.series.labels import Series

pytestmark = pytest.mark.integration

SERIES, LIFTED, DAYS = 60, 12, 5.0
AT = 1_770_000_030.0
"""Half a minute after a sample: no sample lies at the end of a range, which belongs to it before Prometheus 3."""
WINDOW = 90
RULES = yaml.safe_load((ROOT / "rules" / "screening.rules.yml").read_text())
EXPRESSIONS = {rule["record"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}


@pytest.fixture(scope="module")
def past():
    return plant(AT, series=SERIES, lifted=LIFTED, days=DAYS)


@pytest.fixture(scope="module")
def prometheus(past, tmp_path_factory):
    """A real Prometheus with what was recorded of each hour of this past."""
    folder = tmp_path_factory.mktemp("known") / "prometheus"
    server = Prometheus("scrape_configs: []\n", folder)
    backfill(past, folder / "data")
    yield server.start()
    server.stop()


def spelled_out(record):
    """The expression of a record with those of the records that it reads in their place, but of ranges, which are backfilled."""
    newest = r"last_over_time\((lmwatch:input:\w+)\[2h\]\)|(lmwatch:input:\w+\b)(?!\[)"
    return re.sub(newest, lambda found: f"({spelled_out(found[1] or found[2])})", EXPRESSIONS[record])


def said(prometheus, record):
    """[series]: what a ruler would record now, had it just evaluated both groups."""
    found = np.full(SERIES, np.nan)
    for sample in prometheus.query(spelled_out(record), AT):
        found[int(sample["metric"]["series"])] = float(sample["value"][1])
    return found


def shifted(past, minute):
    """[instants]: the times of the past, were its last minute this one of an hour."""
    return past.times - past.times[-1] % HOUR + minute * STEP


def remembered_at(past, minute):
    """What a history kept here says; it begins with a whole hour and, like the rules, is not taught by the last 12."""
    times = shifted(past, minute)
    series = tuple(Series("x", (("series", str(row)),)) for row in range(SERIES))
    history = History(STEP, 14 * DAY)
    first, *hours = np.flatnonzero(times % HOUR == 0).tolist()  # a piece is of one hour, as where a history is filled
    for end in sorted({*range(first + PER_HOUR, times.size, 30), *hours, times.size}):
        seen = slice(max(first, end - WINDOW), end)
        remembered = history.advance(series, times[seen], past.values[:, seen])
        young = np.full(SERIES, times[end - 1] > times[-1] - 12 * HOUR)
        history.learn(np.full(SERIES, np.nan), young, np.zeros(SERIES, dtype=np.bool_))
    return remembered


def put_together(past, minute):
    """[series]: the mean of the last hour as a history has it: the hour that runs, and a share of all of the one before.

    Of a lift l minutes ago, r of them in the hour that runs, it lacks (l - r) r / 60 minutes: an eighth of half an hour at most.
    """
    runs = minute + 1
    before = past.values[:, -runs - PER_HOUR : -runs].mean(axis=1)
    return (past.values[:, -runs:].sum(axis=1) + (PER_HOUR - runs) * before) / PER_HOUR


def local_oddness(past, remembered, minute):
    """[series]: what `beyond` says, 1 at the boundary."""
    boundary = log_boundary(STEP, 30.0)
    baseline = baseline_of(
        past.values[:, -WINDOW:],
        shifted(past, minute)[-WINDOW:],
        policy_of([Selection(series="x")], np.zeros(SERIES, dtype=np.intp)),
        Settings(judged=1),
        remembered=remembered,
        boundary=boundary,
    )
    return beyond(baseline).log_tail / boundary


def test_bands_means_and_ranges_are_those_of_the_local_screen(prometheus, past):
    """All but rounding to 4 bytes, at the last minute of an hour of the clock: then the hours of the rules are those of the history."""
    remembered = remembered_at(past, 59)
    code, expected = remembered.code, remembered.expected
    local = {
        "days14d": remembered.days,
        "upper_band": code.read(expected.high[0]),
        "lower_band": code.read(expected.low[0]),
        "avg1h": code.read(remembered.means[0]),
        "avg6h": code.read(remembered.means[1]),
        "range14d_avg1h": expected.unit[1] * code.scale,
        "range14d_avg6h": expected.unit[2] * code.scale,
    }
    for name, values in local.items():
        np.testing.assert_allclose(said(prometheus, f"lmwatch:input:{name}"), values, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("minute", [15, 30, 45, 59])
def test_the_rules_say_what_the_local_screen_says(prometheus, past, minute):
    """Of series that were lifted half an hour ago, with the mean of the last hour as it is in place of the one put together here.

    What is left comes of ranges that are made of two quantiles an hour instead of seven, and of extremes of means that are
    seen at other minutes.
    """
    remembered = remembered_at(past, minute)
    code, hour = remembered.code, past.values[:, -PER_HOUR:].mean(axis=1)
    np.testing.assert_allclose(code.read(remembered.means[0]), put_together(past, minute), rtol=1e-5)
    means = np.stack([code.write(hour), remembered.means[1]])
    local = local_oddness(past, replace(remembered, means=means), minute)
    found = said(prometheus, "lmwatch:input:beyond")
    assert (local[:LIFTED] > 0.1).all()
    ratio = found[:LIFTED] / local[:LIFTED]
    # Over all 60 minutes of an hour it is 0.954 to 1.014.
    assert ((ratio > 0.94) & (ratio < 1.03)).all(), np.c_[past.height, found, local][:LIFTED]
    assert (np.abs(found[LIFTED:]) < 1).all(), np.c_[found, local][LIFTED:]
    assert (local[LIFTED:] < 1).all(), np.c_[found, local][LIFTED:]
