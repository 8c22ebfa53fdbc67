"""Models that come, go, crash and are in use: seen for what they are, and left alone when they should be."""

import threading

import pytest
from health_bench import MODEL, OF_A_LOADED_MODEL, PROBE, benches, chat, engine, post, studios

from exporter.clock import ManualClock
from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_faults import Fault
from exporter.lmstudio.wire import MODEL_STATUSES

pytestmark = pytest.mark.integration

BIG = "scripted-70b"


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000.0)


@pytest.fixture
def make_studio(clock):
    yield from studios(clock)


@pytest.fixture
def make_bench(clock):
    yield from benches(clock)


def test_a_time_to_live_that_runs_out(make_studio, make_bench, clock):
    studio = make_studio(DownloadedModel.of(engine()), ttl_seconds=60.0)
    bench = make_bench(desk=studio.url)
    bench.poll()
    chat(studio, MODEL)
    bench.poll()
    assert bench.happened() == [("loaded", MODEL, None)]
    assert bench.value("lmstudio_model_ttl_remaining_seconds", model=MODEL) == 60
    assert bench.probe() == "probed"
    # No time passes on this clock, so the probe has no speed.
    assert bench.series_of(MODEL) >= OF_A_LOADED_MODEL - {"lmstudio_tokens_per_second"}
    for _ in range(6):
        clock.advance(10)
        bench.poll()
    assert bench.happened() == [("unloaded", MODEL, "ttl")]
    assert bench.value("lmstudio_model_unloads_total", model=MODEL, reason="ttl") == 1
    assert bench.value("lmstudio_model_loaded", model=MODEL) == 0
    assert bench.series_of(MODEL) & OF_A_LOADED_MODEL == set()
    assert bench.value("lmstudio_requests_total", **PROBE) == 1, "what was counted stays"
    assert bench.probe() == "skipped_not_loaded"
    assert studio.loaded == (), "a probe loads nothing"


def test_a_model_that_makes_room_for_another(make_studio, make_bench, clock):
    studio = make_studio(DownloadedModel.of(engine()), DownloadedModel.of(engine(BIG)))
    bench = make_bench(desk=studio.url)
    bench.poll()
    chat(studio, MODEL)
    bench.poll()
    clock.advance(10)
    chat(studio, BIG)
    bench.poll()
    assert bench.happened() == [("loaded", MODEL, None), ("unloaded", MODEL, "evicted"), ("loaded", BIG, None)]
    assert bench.value("lmstudio_model_unloads_total", model=MODEL, reason="evicted") == 1
    assert bench.value("lmstudio_model_loads_total", model=BIG) == 1
    assert bench.series_of(MODEL) & OF_A_LOADED_MODEL == set()
    assert bench.probe() == "probed"
    assert bench.predictions[-1].model == BIG


def test_a_model_that_crashes_and_is_loaded_again_with_another_context(make_studio, make_bench, clock):
    studio = make_studio(engine(context_length=16384))
    bench = make_bench(desk=studio.url)
    bench.poll()
    studio.faults.inject(Fault("crashed"))
    assert bench.probe() == "failed"
    clock.advance(10)
    bench.poll()
    assert bench.happened() == [("unloaded", MODEL, "unexpected")]
    assert bench.value("lmstudio_model_unloads_total", model=MODEL, reason="unexpected") == 1
    assert bench.series_of(MODEL) & OF_A_LOADED_MODEL == set()
    chat(studio, MODEL)
    clock.advance(10)
    bench.poll()
    assert bench.happened() == [("loaded", MODEL, None), ("context_changed", MODEL, None)]
    assert bench.value("lmstudio_model_context_changes_total", model=MODEL) == 1
    assert bench.value("lmstudio_model_context_length_tokens", model=MODEL) == 4096
    assert bench.probe() == "probed"


def test_a_second_instance_comes_and_goes(make_studio, make_bench, clock):
    studio = make_studio()
    bench = make_bench(desk=studio.url)
    bench.poll()
    loaded = post(studio, "/api/v1/models/load", {"model": MODEL, "context_length": 8192})["instance_id"]
    bench.poll()
    clock.advance(10)
    post(studio, "/api/v1/models/unload", {"instance_id": loaded})
    bench.poll()
    assert bench.happened() == [("loaded", f"{MODEL}:2", None), ("unloaded", f"{MODEL}:2", "unexpected")]
    assert bench.series_of(f"{MODEL}:2") == {
        "lmstudio_model_loads_total",
        "lmstudio_model_unloads_total",
        "lmstudio_model_context_changes_total",
    }


def test_before_0_4_24_nothing_is_known_of_times_to_live(make_studio, make_bench, clock):
    """A v0 server: what vanishes may have been unloaded for many reasons."""
    studio = make_studio(api_level="v0")
    bench = make_bench(desk=studio.url)
    bench.poll()
    assert bench.probe() == "probed"
    studio.unload(MODEL)
    for _ in range(13):
        clock.advance(10)
        bench.poll()
    assert bench.happened() == [("unloaded", MODEL, "unknown")]
    assert bench.probe() == "skipped_not_loaded"


def test_a_model_that_somebody_else_uses_is_not_probed(make_studio, make_bench):
    """Only the websocket tells that it is at work."""
    begun, go_on = threading.Event(), threading.Event()

    def pause(_):
        begun.set()
        assert go_on.wait(60)

    studio = make_studio(engine(pause=pause))
    bench = make_bench(desk=studio.url, rpc="on")
    bench.poll()
    assert bench.value("lmstudio_rpc_up") == 1
    assert bench.value("lmstudio_model_status", model=MODEL, status="idle") == 1
    client = threading.Thread(target=lambda: chat(studio, MODEL))
    client.start()
    try:
        assert begun.wait(60)
        assert bench.probe() in ("skipped_busy", "skipped_queue")
        shown = {state: bench.value("lmstudio_model_status", model=MODEL, status=state) for state in MODEL_STATUSES}
    finally:
        go_on.set()
        client.join(60)
    assert sum(shown.values()) == 1, "one status at a time"
    assert shown["processing_prompt"] or shown["generating"]
    assert bench.probe() == "probed"
    assert bench.value("lmstudio_model_status", model=MODEL, status="idle") == 1


def test_the_websocket_tells_the_time_to_live_and_the_last_use(make_studio, make_bench, clock):
    studio = make_studio(DownloadedModel.of(engine()), ttl_seconds=600.0)
    bench = make_bench(desk=studio.url, rpc="on")
    chat(studio, MODEL)
    used = clock.now()
    clock.advance(60)
    bench.poll()
    assert bench.value("lmstudio_model_ttl_seconds", model=MODEL) == 600
    assert bench.value("lmstudio_model_ttl_remaining_seconds", model=MODEL) == pytest.approx(540, abs=1)
    assert bench.value("lmstudio_model_last_used_timestamp_seconds", model=MODEL) == pytest.approx(used, abs=1)
