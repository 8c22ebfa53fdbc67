"""From windows to frames: what `as:` makes of each kind of series, and what stays the same between intervals."""

import math

import numpy as np
import pytest

from exporter.config.model import Selection
from exporter.series.labels import Series
from exporter.series.selector import Selector
from exporter.series.transforms import FrameBuilder, Pick, pick_of

NAN = math.nan
TYPED = """\
# TYPE requests counter
# HELP requests Requests served.
# UNIT requests requests
requests_total{code="200"} %(requests)d
# TYPE load gauge
# UNIT load load
load %(load)d
# TYPE latency_seconds histogram
# HELP latency_seconds How long.
# UNIT latency_seconds seconds
latency_seconds_bucket{path="/",le="0.5"} %(fast)d
latency_seconds_bucket{path="/",le="1"} %(all)d
latency_seconds_bucket{path="/",le="+Inf"} %(all)d
latency_seconds_sum{path="/"} %(sum)d
latency_seconds_count{path="/"} %(all)d
# TYPE rpc_seconds summary
# UNIT rpc_seconds seconds
rpc_seconds{quantile="0.5"} %(load)d
rpc_seconds{quantile="0.9"} %(requests)d
rpc_seconds_sum %(sum)d
rpc_seconds_count %(all)d
# TYPE build info
build_info{version="1"} 1
# TYPE phase stateset
phase{phase="up"} 1
# TYPE untyped_total unknown
untyped_total %(requests)d
# TYPE untyped unknown
untyped %(load)d
# EOF
"""
SCRAPES = [
    {"requests": 100, "load": 3, "fast": 0, "all": 0, "sum": 0},
    {"requests": 130, "load": 5, "fast": 5, "all": 10, "sum": 6},
    {"requests": 15, "load": 4, "fast": 6, "all": 20, "sum": 14},
    {"requests": 15, "load": 4, "fast": 6, "all": 20, "sum": 14},
]


def pick(selector, as_="auto"):
    return Pick(Selector.parse(selector), as_)


@pytest.fixture
def window(bench):
    filled = bench.window(interval=10.0, horizon=100.0)
    for i, scrape in enumerate(SCRAPES):
        filled.ingest((TYPED % scrape).encode(), bench.openmetrics, 10.0 * i)
    return filled


def frame_of(window, *picks, span=100.0):
    return FrameBuilder(picks, span).build(window)


def rows(frame):
    return {str(series): values.tolist() for series, values in zip(frame.series, frame.values, strict=True)}


def check(frame, expected):
    """The same series, in whatever order, with the same values."""
    found = rows(frame)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, nan_ok=True), name


def test_auto_reads_each_type_its_own_way(window):
    frame = frame_of(window, pick('{__name__=~".+"}'))
    check(
        frame,
        {
            'requests_total{code="200"}': [3, 1.5, 0],
            "load": [5, 4, 4],
            'latency_seconds_mean{path="/"}': [0.6, 0.8, NAN],
            'latency_seconds_p90{path="/"}': [0.9, 0.5 + 0.5 * 8 / 9, NAN],
            'rpc_seconds{quantile="0.5"}': [5, 4, 4],
            'rpc_seconds{quantile="0.9"}': [130, 15, 15],
            "rpc_seconds_mean": [0.6, 0.8, NAN],
            'build_info{version="1"}': [1, 1, 1],
            'phase{phase="up"}': [1, 1, 1],
            "untyped_total": [3, 1.5, 0],
            "untyped": [5, 4, 4],
        },
    )
    assert frame.times.tolist() == [10.0, 20.0, 30.0]
    assert (frame.target, frame.interval) == ("here:1", 10.0)
    assert frame.values.shape == (len(frame.series), 3)


@pytest.mark.parametrize(
    ("selector", "as_", "expected"),
    [
        ("requests_total", "value", {'requests_total{code="200"}': [100, 130, 15, 15]}),
        ("requests_total", "rate", {'requests_total{code="200"}': [3, 1.5, 0]}),
        ("requests_total", "delta", {'requests_total{code="200"}': [30, 15, 0]}),
        ("load", "delta", {"load": [2, -1, 0]}),
        ("load", "rate", {"load": [0.2, 0.4, 0]}),
        ("untyped_total", "delta", {"untyped_total": [30, 15, 0]}),
        ("load", "p90", {}),
        ("latency_seconds", "value", {}),
        ("latency_seconds", "mean", {'latency_seconds_mean{path="/"}': [0.6, 0.8, NAN]}),
        ("latency_seconds_count", "mean", {'latency_seconds_mean{path="/"}': [0.6, 0.8, NAN]}),
        ("latency_seconds_bucket", "p50", {'latency_seconds_p50{path="/"}': [0.5, 0.5 + 0.5 * 4 / 9, NAN]}),
        ("latency_seconds", "p99", {'latency_seconds_p99{path="/"}': [0.99, 0.5 + 0.5 * 8.9 / 9, NAN]}),
        (
            "latency_seconds_bucket",
            "auto",
            {
                'latency_seconds_mean{path="/"}': [0.6, 0.8, NAN],
                'latency_seconds_p90{path="/"}': [0.9, 0.5 + 0.5 * 8 / 9, NAN],
            },
        ),
        ('latency_seconds_bucket{le="0.5"}', "auto", {'latency_seconds_bucket{le="0.5",path="/"}': [0.5, 0.1, 0]}),
        ('latency_seconds{path="/other"}', "auto", {}),
        ("latency_seconds_count", "auto", {'latency_seconds_count{path="/"}': [1, 1, 0]}),
        ("latency_seconds_sum", "value", {'latency_seconds_sum{path="/"}': [0, 6, 14, 14]}),
        ("rpc_seconds", "p90", {"rpc_seconds_p90": [100, 130, 15, 15]}),
        ("rpc_seconds", "p99", {}),
        ('rpc_seconds{quantile="0.5"}', "auto", {'rpc_seconds{quantile="0.5"}': [3, 5, 4, 4]}),
        ("rpc_seconds_count", "auto", {"rpc_seconds_count": [1, 1, 0]}),
        ('{__name__=~"no.*"}', "auto", {}),
    ],
)
def test_what_as_makes_of_a_series(window, selector, as_, expected):
    check(frame_of(window, pick(selector, as_)), expected)


def test_units_types_and_help_of_what_comes_out(window):
    frame = frame_of(window, pick('{__name__=~".+"}'), pick("latency_seconds_count"))
    said = {series.name: (series.type, series.unit, series.help) for series in frame.series}
    assert said["requests_total"] == ("gauge", "requests/s", "Requests served.")
    assert said["load"] == ("gauge", "load", "")
    assert said["latency_seconds_mean"] == ("gauge", "seconds", "How long.")
    assert said["latency_seconds_p90"] == ("gauge", "seconds", "How long.")
    assert said["latency_seconds_count"] == ("gauge", "/s", "How long.")
    assert said["build_info"][0] == "info"


def test_a_gauge_alone_keeps_its_first_instant_and_its_raw_description(window):
    frame = frame_of(window, pick("load"))
    assert frame.times.tolist() == [0.0, 10.0, 20.0, 30.0]
    assert frame.series[0] is next(series for series in window.series if series.name == "load")


def test_of_two_picks_that_want_a_series_the_first_has_it(window):
    frame = frame_of(
        window,
        pick("latency_seconds", "mean"),
        pick("requests_total", "value"),
        pick('{__name__=~"requests.*|latency_seconds"}'),
    )
    assert [(index, series.name) for index, series in zip(frame.select, frame.series, strict=True)] == [
        (0, "latency_seconds_mean"),
        (1, "requests_total"),
        (2, "latency_seconds_p90"),
    ]
    assert rows(frame)['requests_total{code="200"}'] == [130, 15, 15]


def test_of_a_computed_series_and_an_exposed_one_of_its_name_the_first_pick_has_it_else_the_exposed_one(bench):
    window = bench.window(interval=10.0, horizon=100.0)
    for at in (0, 10):
        body = f"# TYPE x summary\nx_sum {at}\nx_count {at * 2}\n# TYPE x_mean gauge\nx_mean 100\n"
        window.ingest(body.encode(), bench.text, float(at))
    together = frame_of(window, pick('{__name__=~"x|x_mean"}'))
    assert len(together.series) == 1
    check(together, {"x_mean": [100, 100]})
    apart = frame_of(window, pick("x"), pick("x_mean"))
    assert apart.select.tolist() == [0]
    check(apart, {"x_mean": [0.5]})


def test_series_are_sorted_by_pick_name_and_labels(bench):
    window = bench.window()
    window.ingest(b'b 1\na{x="2"} 1\na{x="10"} 1\nc 1\n', bench.text, 0.0)
    frame = frame_of(window, pick("c"), pick('{__name__=~".+"}'))
    assert list(map(str, frame.series)) == ["c", 'a{x="10"}', 'a{x="2"}', "b"]


def test_a_rate_at_the_first_instant_of_the_span_looks_back_before_it(window):
    frame = frame_of(window, pick("requests_total"), span=10.0)
    assert frame.times.tolist() == [20.0, 30.0]
    assert rows(frame) == {'requests_total{code="200"}': [1.5, 0]}


def test_a_missing_scrape_is_bridged_by_the_next_rate(bench):
    window = bench.window(interval=10.0, horizon=100.0)
    for at, body in (
        (0, b"x_total 1\n"),
        (10, None),
        (20, b"x_total 5\n"),
        (30, None),
        (40, None),
        (50, b"x_total 9\n"),
        (60, b"x_total 19\n"),
    ):
        if body is None:
            window.miss(at)
        else:
            window.ingest(body, bench.text, at)
    check(frame_of(window, pick("x_total")), {"x_total": [NAN, 0.2, NAN, NAN, NAN, 1.0]})
    check(frame_of(window, pick("x_total"), span=40.0), {"x_total": [0.2, NAN, NAN, NAN, 1.0]})


def test_untyped_sources_have_histograms_by_name_when_asked_for(bench):
    window = bench.window(interval=10.0, horizon=100.0)
    for at, count in ((0.0, 0), (10.0, 10)):
        window.ingest(
            b'x_bucket{le="1"} %d\nx_bucket{le="+Inf"} %d\nx_sum %d\nx_count %d\n' % ((count,) * 4), bench.text, at
        )
    check(frame_of(window, pick("x", "p90"), pick("x", "mean")), {"x_p90": [0.9], "x_mean": [1]})
    check(frame_of(window, pick("x_count")), {"x_count": [0, 10]})


@pytest.mark.parametrize(
    "body",
    [
        b'x_bucket{le="1"} 1\n',
        b'x_bucket{le="+Inf"} 1\n',
        b'x_bucket{le="1"} 1\nx_bucket{le="2"} 1\n',
        b'x_bucket 1\nx_bucket{le="odd"} 1\n',
        b"x_sum 1\n",
    ],
)
def test_half_a_histogram_gives_nothing(bench, body):
    window = bench.window()
    window.ingest(b"# TYPE x histogram\n" + body, bench.text, 0.0)
    assert frame_of(window, pick("x"), pick("x", "p50")).series == ()


def test_histograms_with_different_buckets_stand_side_by_side(bench):
    window = bench.window(interval=10.0, horizon=100.0)
    body = '# TYPE x histogram\nx_bucket{{i="1",le="+Inf"}} {0}\nx_bucket{{i="1",le="2"}} {0}\nx_bucket{{i="2",le="4"}} {0}\nx_bucket{{i="2",le="8"}} {0}\nx_bucket{{i="2",le="+Inf"}} {0}\n'
    for at, count in ((0.0, 0), (10.0, 10)):
        window.ingest(body.format(count).encode(), bench.text, at)
    check(frame_of(window, pick("x", "p50")), {'x_p50{i="1"}': [1], 'x_p50{i="2"}': [2]})


@pytest.mark.parametrize(
    "later", [("1", "4", "+Inf"), ("1.0", "2.0", "+Inf"), ("1", "+Inf"), ("0.5", "1", "2", "+Inf")]
)
def test_quantiles_go_on_when_a_histogram_changes_its_buckets(bench, later):
    """The buckets that are gone stay in the window for its whole horizon, without values."""
    window = bench.window(interval=10.0, horizon=100.0)
    for at in range(8):
        bounds, count = (("1", "2", "+Inf"), 10 * at) if at < 4 else (later, 10 * (at - 4))
        rows = [f'x_bucket{{le="{bound}"}} {0 if bound == "0.5" else count}\n' for bound in bounds]
        window.ingest(("# TYPE x histogram\n" + "".join(rows)).encode(), bench.text, 10.0 * at)
    p50 = 0.75 if "0.5" in later else 0.5
    check(frame_of(window, pick("x", "p50")), {"x_p50": [0.5] * 3 + [NAN] + [p50] * 3})


def test_a_frame_of_an_empty_window_is_empty(bench):
    for picks in ([], [pick("x")]):
        frame = frame_of(bench.window(), *picks)
        assert frame.values.shape == (0, 0)
        assert (len(frame.times), frame.series, len(frame.select)) == (0, (), 0)


def test_series_and_select_stay_the_same_objects_while_the_series_are_the_same(window, bench):
    builder = FrameBuilder([pick("load"), pick("requests_total")], 100.0)
    first = builder.build(window)
    window.ingest((TYPED % SCRAPES[0]).encode(), bench.openmetrics, 40.0)
    second = builder.build(window)
    assert (second.series is first.series, second.select is first.select) == (True, True)
    assert second.times[-1] == 40.0

    generation = window.generation
    window.ingest((TYPED % SCRAPES[0]).replace("# EOF", "unwatched 1\n# EOF").encode(), bench.openmetrics, 50.0)
    third = builder.build(window)
    assert window.generation != generation
    assert (third.series is first.series, third.select is first.select) == (True, True)

    more = (TYPED % SCRAPES[0]).replace("load 3", 'load 3\nload{core="1"} 4')
    window.ingest(more.encode(), bench.openmetrics, 60.0)
    fourth = builder.build(window)
    assert [str(series) for series in fourth.series] == ["load", 'load{core="1"}', 'requests_total{code="200"}']
    assert np.array_equal(fourth.values[1], [NAN] * 5 + [4], equal_nan=True)


def test_rows_that_moved_are_followed(bench):
    window = bench.window(interval=10.0, horizon=40.0)
    builder = FrameBuilder([pick('{__name__=~"[a-h]"}')], 40.0)
    everything = {name: ord(name) for name in "abcdefgh"}
    for i in range(3):
        window.ingest("".join(f"{name} {value}\n" for name, value in everything.items()).encode(), bench.text, 10.0 * i)
        builder.build(window)
    for i in range(3, 12):
        window.ingest("".join(f"{name} {everything[name]}\n" for name in "ceh").encode(), bench.text, 10.0 * i)
        frame = builder.build(window)
        for series, values in zip(frame.series, frame.values, strict=True):
            assert set(values[~np.isnan(values)]) <= {everything[series.name]}
    assert [series.name for series in frame.series] == ["c", "e", "h"]


def test_one_builder_serves_several_windows(bench):
    builder = FrameBuilder([pick('{__name__=~".+"}', "value")], 100.0)
    windows = [bench.window(), bench.window()]
    windows[0].ingest(b"a 1\n", bench.text, 0.0)
    windows[1].ingest(b"b 2\n", bench.text, 0.0)
    for _ in range(2):
        assert [rows(builder.build(window)) for window in windows] == [{"a": [1.0]}, {"b": [2.0]}]


def test_a_selection_of_the_configuration_becomes_a_pick():
    chosen = pick_of(Selection.model_validate({"series": 'up{job="x"}', "as": "rate"}))
    assert chosen == pick('up{job="x"}', "rate")
    assert pick_of(Selection.model_validate({"query": "sum(up)", "name": "ups"})) == Pick(None, "auto")
    with pytest.raises(ValueError, match="position 3"):
        pick_of(Selection.model_validate({"series": "up[5m]"}))


def test_a_pick_without_a_selector_takes_nothing(window):
    assert frame_of(window, Pick(None, "auto")).series == ()


def test_derived_series_carry_the_labels_of_the_family(window):
    frame = frame_of(window, pick("latency_seconds", "p90"))
    assert frame.series == (Series("latency_seconds_p90", (("path", "/"),), "gauge", "How long.", "seconds"),)
