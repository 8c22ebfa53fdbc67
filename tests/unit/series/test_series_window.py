"""The window: instants, retention, clocks, timestamps, rows, threads, memory."""

import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import BadDataError
from exporter.series.labels import Series
from exporter.series.window import StaleRowsError

NAN = math.nan


def exposition(values, stamps=()):
    stamps = dict(stamps)
    return "".join(
        f"{name} {value!r}{f' {round(stamps[name] * 1000)}' if name in stamps else ''}\n"
        for name, value in values.items()
    ).encode()


def put(window, at, stamps=(), **values):
    return window.ingest(exposition(values, stamps), "text/plain", at)


def held(window, span=math.inf):
    """Everything the window holds: the times, and the values by series."""
    times, values = window.raw(np.arange(len(window.series)), span)
    return times.tolist(), {str(series): row.tolist() for series, row in zip(window.series, values, strict=True)}


def test_values_stand_at_the_instants_of_their_scrapes(bench):
    window = bench.window()
    assert put(window, 100.0, a=1, b=2).new_series == 2
    assert put(window, 115.0, a=3, c=4).new_series == 1
    times, values = held(window)
    assert times == [100.0, 115.0]
    assert np.array_equal([values[name] for name in "abc"], [[1, 3], [2, NAN], [NAN, 4]], equal_nan=True)


def test_an_empty_window_holds_nothing(bench):
    window = bench.window()
    assert held(window) == ([], {})
    assert window.series == ()


def test_counts_what_an_exposition_brought(bench):
    window = bench.window()
    ingested = window.ingest(b"a 1\na 2\nb 3 99000\nc 4\n", "text/plain", 100.0)
    assert (ingested.samples, ingested.new_series, ingested.duplicates, ingested.out_of_order) == (4, 3, 1, 0)


def test_a_failed_scrape_is_an_instant_without_values(bench):
    window = bench.window()
    put(window, 100.0, a=1)
    window.miss(115.0)
    put(window, 130.0, a=2)
    times, values = held(window)
    assert times == [100.0, 115.0, 130.0]
    assert np.array_equal(values["a"], [1, NAN, 2], equal_nan=True)


def test_a_failure_at_the_instant_of_a_success_takes_nothing_away(bench):
    window = bench.window()
    put(window, 100.0, a=1)
    window.miss(100.0)
    assert held(window) == ([100.0], {"a": [1.0]})


def test_of_two_scrapes_at_one_instant_the_later_counts(bench):
    window = bench.window()
    put(window, 100.0, a=1, b=1)
    put(window, 100.0, a=2)
    times, values = held(window)
    assert times == [100.0]
    assert np.array_equal([values["a"], values["b"]], [[2], [NAN]], equal_nan=True)


def test_a_scrape_after_a_failure_at_the_same_instant_fills_it(bench):
    window = bench.window()
    window.miss(100.0)
    put(window, 100.0, a=1)
    assert held(window) == ([100.0], {"a": [1.0]})


def test_a_clock_set_back_by_less_than_an_interval_stays_at_the_instant(bench):
    window = bench.window()
    put(window, 100.0, a=1)
    put(window, 115.0, a=2)
    put(window, 101.0, a=3)
    assert held(window) == ([100.0, 115.0], {"a": [1.0, 3.0]})


def test_a_clock_set_back_further_takes_the_past_along(bench):
    """Spacing stays true: the scrape counts as one interval after the last one."""
    window = bench.window()
    put(window, 10_000.0, a=1)
    put(window, 10_015.0, a=2)
    put(window, 5_000.0, a=3)
    put(window, 5_015.0, a=4)
    assert held(window) == ([4970.0, 4985.0, 5000.0, 5015.0], {"a": [1.0, 2.0, 3.0, 4.0]})


def test_a_clock_set_forward_leaves_a_gap(bench):
    window = bench.window()
    put(window, 100.0, a=1)
    put(window, 220.0, a=2)
    assert held(window) == ([100.0, 220.0], {"a": [1.0, 2.0]})


def test_the_horizon_counts_in_time_and_in_instants(bench):
    window = bench.window(interval=15, horizon=60)
    for i in range(20):
        put(window, 15.0 * i, a=i)
    assert held(window) == ([225.0, 240.0, 255.0, 270.0, 285.0], {"a": [15.0, 16.0, 17.0, 18.0, 19.0]})
    for i in range(20):
        put(window, 285.5 + i, a=i)
    assert held(window) == ([299.5, 300.5, 301.5, 302.5, 303.5, 304.5], {"a": [14.0, 15.0, 16.0, 17.0, 18.0, 19.0]})


def test_the_span_is_counted_from_the_newest_instant_and_the_lead_comes_before_it(bench):
    window = bench.window(interval=15, horizon=60)
    for i in range(20):
        put(window, 15.0 * i, a=i)
    row = np.array([0])
    assert window.raw(row, 30)[0].tolist() == [255.0, 270.0, 285.0]
    assert window.raw(row, 29)[0].tolist() == [270.0, 285.0]
    assert window.raw(row, 30, lead=2)[0].tolist() == [225.0, 240.0, 255.0, 270.0, 285.0]
    assert window.raw(row, 60, lead=9)[0].tolist() == [210.0, 225.0, 240.0, 255.0, 270.0, 285.0]


def test_what_is_handed_out_is_a_copy(bench):
    window = bench.window()
    put(window, 100.0, a=1)
    times, values = window.raw(np.array([0]), 60)
    times[:], values[:] = -1, -1
    assert held(window) == ([100.0], {"a": [1.0]})


def test_a_broken_exposition_leaves_the_window_as_it_was(bench):
    window = bench.window()
    put(window, 100.0, a=1)
    before = held(window), window.generation, window.series
    for body in (b"a 1\nb 2\nc x\n", b"a 1"):
        with pytest.raises(BadDataError):
            window.ingest(body, "text/plain", 115.0)
    assert (held(window), window.generation, window.series) == before
    assert put(window, 115.0, a=2, b=3).new_series == 1


def test_the_generation_changes_only_with_the_rows(bench):
    window = bench.window(interval=15, horizon=30)
    put(window, 0.0, a=1, b=1)
    generation, series = window.layout()
    put(window, 15.0, a=2, b=2)
    put(window, 30.0, b=3)
    window.miss(45.0)
    assert window.generation == generation
    assert window.series is series
    put(window, 60.0, b=1, c=1)
    assert window.generation != generation
    with pytest.raises(StaleRowsError):
        window.raw(np.array([0]), 30, generation=generation)


def test_a_series_described_anew_keeps_its_values(bench):
    window = bench.window()
    window.ingest(b"# TYPE a gauge\na 1\n", "text/plain", 0.0)
    generation = window.generation
    window.ingest(b"# TYPE a counter\na 2\n", "text/plain", 15.0)
    assert window.generation != generation
    assert window.series == (Series("a", (), "counter"),)
    assert held(window)[1] == {"a": [1.0, 2.0]}


def test_series_absent_for_the_whole_horizon_are_dropped_and_the_others_keep_their_values(bench):
    window = bench.window(interval=15, horizon=60)
    for i in range(4):
        put(window, 15.0 * i, **{f"s{n}": 10 * n + i for n in range(8)})
    for i in range(4, 12):
        put(window, 15.0 * i, s1=10 + i, s6=60 + i)
    times, values = held(window)
    assert times == [105.0, 120.0, 135.0, 150.0, 165.0]
    assert values == {"s1": [17.0, 18.0, 19.0, 20.0, 21.0], "s6": [67.0, 68.0, 69.0, 70.0, 71.0]}


def test_all_series_of_a_target_that_stays_away_are_dropped(bench):
    window = bench.window(interval=15, horizon=60)
    put(window, 0.0, a=1, b=1)
    for i in range(1, 8):
        window.miss(15.0 * i)
    assert window.series == ()
    assert put(window, 120.0, a=1).new_series == 1


def test_a_timestamp_that_is_shown_again_is_no_new_sample(bench):
    window = bench.window()
    for at, stamp in ((100.0, 95.0), (115.0, 95.0), (130.0, 125.0)):
        put(window, at, {"a": stamp}, a=at)
    assert np.array_equal(held(window)[1]["a"], [100, NAN, 130], equal_nan=True)


def test_a_timestamp_shown_again_at_the_same_instant_keeps_its_value(bench):
    window = bench.window()
    put(window, 100.0, {"a": 95.0}, a=1, b=1)
    put(window, 100.0, {"a": 95.0}, a=1, b=2)
    assert held(window)[1] == {"a": [1.0], "b": [2.0]}


def test_a_timestamp_before_the_last_one_is_dropped_and_counted(bench):
    window = bench.window()
    put(window, 100.0, {"a": 95.0}, a=1)
    ingested = put(window, 115.0, {"a": 94.0}, a=2, b=1)
    assert (ingested.samples, ingested.out_of_order, ingested.out_of_bounds) == (2, 1, 0)
    assert np.array_equal(held(window)[1]["a"], [1, NAN], equal_nan=True)


@pytest.mark.parametrize(
    ("stamp", "taken"), [(849.0, False), (850.0, True), (1600.0, True), (1601.0, False), (-1e12, False)]
)
def test_timestamps_older_than_the_horizon_or_far_in_the_future_are_dropped(bench, stamp, taken):
    window = bench.window(interval=15, horizon=150)
    ingested = put(window, 1000.0, {"a": stamp}, a=1)
    assert (ingested.out_of_bounds, ingested.out_of_order) == (0 if taken else 1, 0)
    assert np.array_equal(held(window)[1]["a"], [1 if taken else NAN], equal_nan=True)


def test_timestamps_of_a_target_whose_clock_was_set_back_with_ours_go_on(bench):
    window = bench.window()
    put(window, 10_000.0, {"a": 9_999.0}, a=1)
    put(window, 5_000.0, {"a": 4_999.0}, a=2)
    put(window, 5_015.0, {"a": 5_014.0}, a=3)
    assert held(window)[1]["a"] == [1.0, 2.0, 3.0]


def test_however_a_nan_is_written_it_is_no_value(bench):
    window = bench.window()
    window.ingest(b"a NaN\nb nan\nc 1\n", "text/plain", 0.0)
    assert np.isnan(window.raw(np.arange(3), 60)[1][:, 0]).tolist() == [True, True, False]


def test_of_a_target_that_renames_its_series_each_time_only_so_many_absent_ones_stay(bench):
    window = bench.window(interval=15, horizon=3600)
    for scrape in range(12):
        put(window, 15.0 * scrape, **{f"s{scrape}_{i}": i for i in range(1500)})
        assert len(window.series) == 1500 * min(2, scrape + 1)
    kept = {series.name.partition("_")[0] for series in window.series}
    assert kept == {"s10", "s11"}
    assert window.nbytes < 3000 * 242 * 8 * 1.3


def test_memory_is_at_most_twelve_bytes_for_each_series_and_instant(bench):
    window = bench.window(interval=15, horizon=900)
    for i in range(130):
        put(window, 15.0 * i, **{f"s{n}": i for n in range(400 + i)})
    assert window.nbytes / (len(window.series) * (900 / 15 + 1)) < 12
    for i in range(130, 260):
        put(window, 15.0 * i, **{f"s{n}": i for n in range(130)})
    assert len(window.series) == 130
    assert window.nbytes / (len(window.series) * (900 / 15 + 1)) < 12


def test_readers_never_see_rows_that_belong_to_others(bench):
    """While series come and go, each row read with a generation holds the values of its own series."""
    window = bench.window(interval=1, horizon=20)
    failures: list[str] = []
    done = threading.Event()

    def look():
        while not done.is_set():
            generation, series = window.layout()
            try:
                _, values = window.raw(np.arange(len(series)), 20, generation=generation)
            except StaleRowsError:
                continue
            expected = np.array([float(s.name[1:]) for s in series])
            wrong = ~(np.isnan(values) | (values == expected[:, np.newaxis])).all(axis=1)
            failures.extend(series[row].name for row in np.flatnonzero(wrong))

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(150):
        put(window, float(i), **{f"s{n}": float(n) for n in range(i % 37, i % 37 + 40)})
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []


INTERVAL, HORIZON = 10.0, 80.0
COLUMNS = 10
SAMPLE = st.tuples(st.integers(0, 99), st.sampled_from([None, None, 0, -5, -10, -20, -90, 700]))
EXPOSED = st.dictionaries(st.sampled_from("abcdef"), SAMPLE, max_size=6)
STEPS = st.lists(
    st.tuples(st.sampled_from([10, 10, 10, 10, 11, 3, 0, -4, -10, -300, 45, 200]), st.one_of(st.none(), EXPOSED)),
    max_size=40,
)


class Model:
    """The same window as slow, plain lists and dictionaries."""

    def __init__(self):
        self.instants = []  # [time, {name: value}, listed names]
        self.stamps = {}
        self.at = 1_000_000.0

    def step(self, elapsed, exposed):
        self.at += elapsed
        if self.instants and -INTERVAL < self.at - self.instants[-1][0] <= 0:
            if exposed is None:
                return
            old = self.instants.pop()
            self.instants.append([old[0], {}, old[2]])
        else:
            old = [0, {}, set()]
            if self.instants and self.at < self.instants[-1][0]:
                jump = self.at - INTERVAL - self.instants[-1][0]
                for instant in self.instants:
                    instant[0] += jump
                self.stamps = {name: stamp + jump for name, stamp in self.stamps.items()}
            self.instants.append([self.at, {}, set()])
            self.instants = self.instants[-COLUMNS:]
        for name, (value, offset) in (exposed or {}).items():
            self.instants[-1][2].add(name)
            taken = value if offset is None else self.stamped(name, value, self.at + offset, old[1].get(name))
            if taken is not None:
                self.instants[-1][1][name] = taken

    def stamped(self, name, value, stamp, old):
        last = self.stamps.get(name, -math.inf)
        last = -math.inf if last > self.at + 600 else last
        if stamp > self.at + 600 or stamp < self.at - HORIZON or stamp < last:
            return None
        self.stamps[name] = stamp
        return old if stamp == last else value

    def kept(self):
        return [instant for instant in self.instants if instant[0] >= self.instants[-1][0] - HORIZON]


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_does_what_a_slow_model_does(bench, steps):
    window = bench.window(interval=INTERVAL, horizon=HORIZON)
    model = Model()
    idle: dict[str, int] = {}
    for elapsed, exposed in steps:
        model.step(elapsed, exposed)
        if exposed is None:
            window.miss(model.at)
        else:
            stamps = {name: model.at + offset for name, (_, offset) in exposed.items() if offset is not None}
            put(window, model.at, stamps, **{name: value for name, (value, _) in exposed.items()})
        kept = model.kept()
        times, values = held(window)
        assert times == [instant[0] for instant in kept]
        expected = {name: [instant[1].get(name, NAN) for instant in kept] for name in values}
        assert repr(expected) == repr(
            {name: [v if math.isnan(v) else int(v) for v in row] for name, row in values.items()}
        )
        listed = set().union(*(instant[2] for instant in kept))
        assert listed <= values.keys()
        idle = {name: idle.get(name, 0) + 1 for name in values.keys() - listed}
        assert all(instants <= math.ceil(COLUMNS / 8) for instants in idle.values())
        for name in model.stamps.keys() - values.keys():
            del model.stamps[name]
