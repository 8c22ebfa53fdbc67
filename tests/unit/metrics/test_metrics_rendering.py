import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_fakes import NAN, make_board, make_picture, make_table
from prometheus_client.parser import text_string_to_metric_families

from exporter.metrics.catalogue import row
from exporter.metrics.rendering import RENDERED_FAMILIES, WatchRenderer
from exporter.series.labels import Series, labels_of

A = Series("load", labels_of({"instance": "a"}))
B = Series("load", labels_of({"instance": "b"}))


def test_lines_hold_watch_metric_and_the_series_own_labels():
    rendered = WatchRenderer().render(make_picture(make_table((A, B), anomaly=[0.25, 1.0])))
    assert rendered["lmwatch_anomaly_score"] == (
        b'lmwatch_anomaly_score{watch="w",metric="load",instance="a",job=""} 0.25\n'
        b'lmwatch_anomaly_score{watch="w",metric="load",instance="b",job=""} 1.0\n'
    )


def test_a_series_without_a_target_says_so_lest_prometheus_attaches_lmwatchs():
    rendered = WatchRenderer().render(make_picture(make_table((Series("up", ()),), screen=[0.5])))
    assert (
        rendered["lmwatch_screen_anomaly_score"]
        == b'lmwatch_screen_anomaly_score{watch="w",metric="up",instance="",job=""} 0.5\n'
    )


def test_a_missing_score_is_no_line_and_a_family_without_lines_is_left_out():
    rendered = WatchRenderer().render(make_picture(make_table((A, B), anomaly=[NAN, 0.5])))
    assert (
        rendered["lmwatch_anomaly_score"] == b'lmwatch_anomaly_score{watch="w",metric="load",instance="b",job=""} 0.5\n'
    )
    assert set(rendered) == {"lmwatch_anomaly_score", "lmwatch_duplicate_series"}


def test_infinite_values_are_spelled_as_prometheus_spells_them():
    rendered = WatchRenderer().render(make_picture(make_table((A, B), value=[math.inf, -math.inf])))
    assert [line.split()[-1] for line in rendered["lmwatch_series_value"].splitlines()] == [b"+Inf", b"-Inf"]


def test_an_active_finding_shows_its_kind():
    rendered = WatchRenderer().render(make_picture(make_table((A, B), kind=["", "drift"])))
    assert (
        rendered["lmwatch_anomaly_kind"]
        == b'lmwatch_anomaly_kind{watch="w",metric="load",instance="b",job="",kind="drift"} 1\n'
    )


def test_of_series_with_equal_labels_the_first_is_exposed_and_the_others_are_counted():
    """Over all tables of a watch, and in every family the same one wins."""
    first = make_table((A,), anomaly=[0.1], screen=[NAN], kind=["spike"])
    second = make_table((B, A), anomaly=[0.2, 0.9], screen=[0.2, 0.9], kind=["", "drop"])
    rendered = WatchRenderer().render(make_picture(first, second))
    assert b'instance="a",job=""} 0.1' in rendered["lmwatch_anomaly_score"]
    assert rendered["lmwatch_anomaly_score"].count(b"\n") == 2
    assert b'instance="a"' not in rendered["lmwatch_screen_anomaly_score"]
    assert b"drop" not in rendered["lmwatch_anomaly_kind"]
    assert rendered["lmwatch_duplicate_series"] == b'lmwatch_duplicate_series{watch="w"} 1\n'


def test_a_series_that_differs_only_in_type_or_unit_is_a_duplicate():
    twin = Series("load", A.labels, "gauge", "Load.", "1")
    rendered = WatchRenderer().render(make_picture(make_table((A, twin), anomaly=[0.1, 0.2])))
    assert rendered["lmwatch_duplicate_series"].endswith(b" 1\n")


class CountedSeries:
    """Counts how often its labels are read."""

    name = "load"
    reads = 0

    @property
    def labels(self):
        CountedSeries.reads += 1
        return (("instance", "a"),)


def test_label_text_is_made_once_while_the_series_stay_the_same():
    CountedSeries.reads = 0
    series = (CountedSeries(),)
    renderer = WatchRenderer()
    renderer.render(make_picture(make_table(series, anomaly=[0.1])))
    reads = CountedSeries.reads
    second = renderer.render(make_picture(make_table(series, anomaly=[0.7])))
    # A table that joins costs its own labels only.
    renderer.render(make_picture(make_table(series, anomaly=[0.7]), make_table((B,), anomaly=[0.1])))
    assert reads == CountedSeries.reads > 0
    assert second["lmwatch_anomaly_score"].endswith(b" 0.7\n")


def test_other_series_in_the_next_picture_get_their_own_labels():
    renderer = WatchRenderer()
    renderer.render(make_picture(make_table((A,), anomaly=[0.1])))
    rendered = renderer.render(make_picture(make_table((B,), anomaly=[0.1])))
    assert b'instance="b"' in rendered["lmwatch_anomaly_score"]
    assert b'instance="a"' not in rendered["lmwatch_anomaly_score"]


def test_one_renderer_serves_several_watches():
    renderer = WatchRenderer()
    table = make_table((A,), anomaly=[0.1])
    for name in ("one", "two", "one"):
        block = renderer.render(make_picture(table, name=name))["lmwatch_anomaly_score"]
        assert block == f'lmwatch_anomaly_score{{watch="{name}",metric="load",instance="a",job=""}} 0.1\n'.encode()
    renderer.forget("one")
    renderer.forget("one")


def test_a_watch_without_tables_shows_no_duplicates_and_nothing_else():
    rendered = WatchRenderer().render(make_picture(name='a"b'))
    assert rendered == {"lmwatch_duplicate_series": b'lmwatch_duplicate_series{watch="a\\"b"} 0\n'}


def test_a_label_value_that_is_no_utf8_costs_only_its_odd_character():
    rendered = WatchRenderer().render(make_picture(make_table((Series("x", (("a", "1\ud8002"),)),), anomaly=[0.1])))
    assert b'a="1?2"' in rendered["lmwatch_anomaly_score"]


def test_every_rendered_family_is_a_gauge_of_the_catalogue():
    assert {row(family).type for family in RENDERED_FAMILIES} == {"gauge"}
    assert set(make_board().rendered["nodes"]) == set(RENDERED_FAMILIES)


VALUE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1, max_size=12)


@given(name=VALUE, value=VALUE, score=st.floats(0, 1))
def test_whatever_stands_in_labels_a_parser_reads_it_back(name: str, value: str, score: float):
    series = Series(name, labels_of({"instance": value, "watch": value}))
    block = WatchRenderer().render(make_picture(make_table((series,), anomaly=[score])))["lmwatch_anomaly_score"]
    assert block.count(b"\n") == 1
    (family,) = text_string_to_metric_families(block.decode())
    (sample,) = family.samples
    assert sample.labels == {"watch": "w", "metric": name, "instance": value, "exported_watch": value, "job": ""}
    assert sample.value == score


@pytest.mark.parametrize("count", [5000])
def test_thousands_of_series_are_all_there(count: int):
    series = tuple(Series("cpu", labels_of({"instance": str(number)})) for number in range(count))
    scores = np.linspace(0, 1, count)
    block = WatchRenderer().render(make_picture(make_table(series, anomaly=scores)))["lmwatch_anomaly_score"]
    lines = block.splitlines()
    assert len(set(lines)) == count
    assert [float(line.rsplit(b" ", 1)[1]) for line in lines] == scores.tolist()
