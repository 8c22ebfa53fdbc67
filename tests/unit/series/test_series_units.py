"""Units by the names of metrics."""

import pytest

from exporter.config.model import Selection
from exporter.series.exposition import ExpositionReader, Limits
from exporter.series.transforms import FrameBuilder, pick_of
from exporter.series.units import unit_in
from exporter.series.window import TargetWindow


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("node_memory_MemFree_bytes", "bytes"),
        ("node_network_receive_bytes_total", "bytes"),
        ("request_duration_seconds_sum", "seconds"),
        ("disk_io_time_seconds_total", "seconds"),
        ("cache_hit_ratio", "ratio"),
        ("node_load1", ""),
        ("http_requests_total", ""),
        ("request_duration_seconds_count", ""),
        ("process_start_time_seconds", ""),
        ("lmwatch_verdict_timestamp_seconds", ""),
        ("bytes", "bytes"),
        ("", ""),
    ],
)
def test_the_unit_stands_at_the_end_of_the_name(name, unit):
    assert unit_in(name) == unit


@pytest.mark.parametrize(
    ("exposition", "selection", "unit"),
    [
        pytest.param("free_bytes 1\n", {"series": "free_bytes"}, "bytes", id="by the name"),
        pytest.param(
            "free_bytes 1\n", {"series": "free_bytes", "unit": "pages"}, "pages", id="the user's word counts more"
        ),
        pytest.param("sent_bytes_total 1\n", {"series": "sent_bytes_total"}, "bytes/s", id="a rate is per second"),
        pytest.param(
            "sent_total 1\n", {"series": "sent_total", "unit": "mails/s"}, "mails/s", id="the user names the rate's"
        ),
    ],
)
def test_a_watched_series_has_a_unit(exposition, selection, unit):
    window = TargetWindow("t", ExpositionReader((), honor_labels=False, limits=Limits()), interval=15.0, horizon=60.0)
    for at in (0.0, 15.0, 30.0):
        window.ingest(exposition.encode(), "text/plain", at)
    frame = FrameBuilder([pick_of(Selection.model_validate(selection))], span=60.0).build(window)
    assert [series.unit for series in frame.series] == [unit]


def test_the_source_s_own_unit_counts_more_than_the_name():
    body = b"# TYPE free_bytes gauge\n# UNIT free_bytes blocks\nfree_bytes 1\n# EOF\n"
    window = TargetWindow("t", ExpositionReader((), honor_labels=False, limits=Limits()), interval=15.0, horizon=60.0)
    window.ingest(body, "application/openmetrics-text; version=1.0.0", 0.0)
    frame = FrameBuilder([pick_of(Selection(series="free_bytes"))], span=60.0).build(window)
    assert [series.unit for series in frame.series] == ["blocks"]
