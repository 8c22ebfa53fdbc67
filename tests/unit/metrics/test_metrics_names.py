"""Models come and go, and have any name: their series end with them, and there is a limit to them."""

from dataclasses import replace

import pytest
from metrics_fakes import CALL, QWEN, make_health, make_prediction, models_of, names_with
from prometheus_client import CollectorRegistry

from exporter.lmstudio.wire import Model, ServerHealth
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.instruments import Instruments
from exporter.metrics.names import KEPT_SECONDS, MAX_LENGTH, MAX_MODELS, MAX_UNLISTED


def test_what_was_last_seen_of_a_model_ends_with_it_and_what_was_counted_stays(
    registry: CollectorRegistry, instruments: Instruments
):
    instruments.models(make_health(QWEN))
    instruments.prediction("probe", make_prediction(), 4000)
    instruments.estimate("desk", "qwen", 1.0)
    instruments.models(make_health(replace(QWEN, loaded=False), at=10.0))
    gauges = {entry.name for entry in CATALOGUE if entry.type == "gauge"}
    assert not names_with(registry, 'model="qwen"') & gauges
    assert registry.get_sample_value("lmstudio_requests_total", CALL | {"origin": "probe"}) == 1


@pytest.mark.parametrize("late", [make_health(up=False, at=10.0), make_health(at=10.0)])
def test_last_values_end_with_the_server_and_with_the_listing_too(
    registry: CollectorRegistry, instruments: Instruments, late: ServerHealth
):
    instruments.models(make_health(QWEN))
    instruments.prediction("probe", make_prediction(), 4000)
    instruments.models(late)
    assert models_of(registry, "lmstudio_tokens_per_second") == set()


def test_a_figure_that_comes_in_after_the_unload_ends_at_the_next_poll(
    registry: CollectorRegistry, instruments: Instruments
):
    gone = make_health(replace(QWEN, loaded=False), at=10.0)
    instruments.models(make_health(QWEN))
    instruments.models(gone)
    instruments.prediction("traffic", make_prediction(), 4000)
    instruments.models(replace(gone, polled_at=20.0))
    assert models_of(registry, "lmstudio_tokens_per_second") == set()


def test_an_alias_that_the_server_does_not_list_keeps_its_last_values(
    registry: CollectorRegistry, instruments: Instruments
):
    instruments.prediction("analysis", make_prediction(model="alias"), None)
    instruments.models(make_health(QWEN))
    assert models_of(registry, "lmstudio_tokens_per_second") == {"alias"}


def test_the_last_values_of_an_alias_end_with_the_server(registry: CollectorRegistry, instruments: Instruments):
    instruments.prediction("analysis", make_prediction(model="alias"), None)
    instruments.models(make_health(up=False, at=10.0))
    assert models_of(registry, "lmstudio_tokens_per_second") == set()
    assert models_of(registry, "lmstudio_requests") == {"alias"}


def test_the_counters_of_a_model_that_was_deleted_end_an_hour_later(
    registry: CollectorRegistry, instruments: Instruments
):
    instruments.models(make_health(QWEN))
    instruments.prediction("analysis", make_prediction(), 4000)
    instruments.unloaded("desk", "qwen", "unexpected")
    instruments.models(make_health(at=10.0))
    instruments.models(make_health(at=9.0 + KEPT_SECONDS))
    assert models_of(registry, "lmstudio_requests") == {"qwen"}
    instruments.models(make_health(at=10.0 + KEPT_SECONDS))
    assert names_with(registry, 'model="qwen"') == set()


def test_an_outage_forgets_no_counter(registry: CollectorRegistry, instruments: Instruments):
    instruments.models(make_health(QWEN))
    instruments.prediction("analysis", make_prediction(), 4000)
    instruments.models(make_health(up=False, at=10.0))
    instruments.models(make_health(up=False, at=10.0 + 2 * KEPT_SECONDS))
    assert models_of(registry, "lmstudio_requests") == {"qwen"}


def test_an_instance_keeps_its_counters_while_its_model_is_on_disk(
    registry: CollectorRegistry, instruments: Instruments
):
    second = replace(QWEN, id="qwen:2")
    instruments.models(make_health(QWEN, second))
    instruments.prediction("analysis", make_prediction(model="qwen:2"), 4000)
    downloaded = replace(QWEN, loaded=False)
    instruments.models(make_health(downloaded, at=10.0))
    instruments.models(make_health(downloaded, at=10.0 + KEPT_SECONDS))
    assert models_of(registry, "lmstudio_requests") == {"qwen:2"}


def test_names_that_clients_invent_are_counted_together_beyond_a_limit(
    registry: CollectorRegistry, instruments: Instruments
):
    for number in range(3 * MAX_MODELS):
        instruments.request_failed("desk", f"invented-{number}", "traffic", "model_not_found")
    names = models_of(registry, "lmstudio_requests")
    assert len(names) == MAX_UNLISTED + 1
    labels = CALL | {"model": "other", "origin": "traffic"}
    assert registry.get_sample_value("lmstudio_requests_total", labels) == 3 * MAX_MODELS - MAX_UNLISTED


def test_a_model_that_the_server_lists_finds_room_beside_invented_names(
    registry: CollectorRegistry, instruments: Instruments
):
    for number in range(MAX_UNLISTED + 1):
        instruments.request_failed("desk", f"invented-{number}", "traffic", "model_not_found")
    instruments.models(make_health(QWEN))
    instruments.prediction("analysis", make_prediction(), 4000)
    assert "qwen" in models_of(registry, "lmstudio_tokens_per_second")


def test_a_server_with_any_number_of_loaded_models_has_a_limited_number_of_series(
    registry: CollectorRegistry, instruments: Instruments
):
    crowd = [Model(f"m{number}", f"m{number}", "llm", True) for number in range(2 * MAX_MODELS)]
    instruments.models(make_health(*crowd))
    for model in crowd:
        instruments.prediction("traffic", make_prediction(model=model.id), 4000)
    for family in registry.collect():
        if family.samples and "model" in family.samples[0].labels:
            assert len(models_of(registry, family.name)) <= MAX_MODELS + 1
    assert "other" not in models_of(registry, "lmstudio_tokens_per_second"), "many models have no last value together"
    assert (
        registry.get_sample_value("lmstudio_requests_total", CALL | {"model": "other", "origin": "traffic"})
        == MAX_MODELS
    )


def test_a_name_of_any_length_is_a_label_of_limited_length(registry: CollectorRegistry, instruments: Instruments):
    instruments.models(make_health(replace(QWEN, id="x" * 100_000)))
    instruments.prediction("analysis", make_prediction(model="x" * 100_000), 4000)
    assert {len(name) for name in models_of(registry, "lmstudio_requests")} == {MAX_LENGTH}


def test_a_deleted_model_makes_room_for_another(registry: CollectorRegistry, instruments: Instruments):
    crowd = [Model(f"m{number}", f"m{number}", "llm", True) for number in range(MAX_MODELS)]
    instruments.models(make_health(*crowd))
    instruments.models(make_health(QWEN, at=10.0))
    instruments.models(make_health(QWEN, at=10.0 + KEPT_SECONDS))
    instruments.prediction("analysis", make_prediction(), 4000)
    assert models_of(registry, "lmstudio_requests") == {"qwen"}
