"""What happens to servers and models is counted where it belongs."""

from dataclasses import replace

import pytest
from metrics_fakes import QWEN, make_health, make_prediction, make_verdict, models_of
from prometheus_client import CollectorRegistry, generate_latest

from exporter.lmstudio.breaker import State
from exporter.lmstudio.events import UNLOAD_REASONS, HealthEvent
from exporter.lmstudio.probe import PROBE_OUTCOMES
from exporter.lmstudio.wire import Model
from exporter.metrics.instruments import Instruments, estimate_ratio
from exporter.metrics.names import MAX_MODELS


@pytest.mark.parametrize(
    ("kind", "name", "more"),
    [
        ("loaded", "lmstudio_model_loads_total", {"model": "qwen"}),
        ("unloaded", "lmstudio_model_unloads_total", {"model": "qwen", "reason": "evicted"}),
        ("context_changed", "lmstudio_model_context_changes_total", {"model": "qwen"}),
        ("server_restarted", "lmstudio_server_restarts_total", {}),
        ("version_changed", "lmstudio_server_version_changes_total", {}),
    ],
)
def test_an_event_counts_where_it_belongs(
    registry: CollectorRegistry, instruments: Instruments, kind: str, name: str, more: dict[str, str]
):
    instruments.declare_server("desk")
    instruments.models(make_health(QWEN))
    assert registry.get_sample_value(name, {"server": "desk", **more}) == 0, "known at 0 before it happens"
    model = "qwen" if "model" in more else ""
    instruments.event(HealthEvent("desk", 1.0, kind, "", model, model, "evicted" if kind == "unloaded" else None))  # type: ignore[arg-type]
    assert registry.get_sample_value(name, {"server": "desk", **more}) == 1


def test_a_model_on_disk_is_known_at_0_before_its_first_load(registry: CollectorRegistry, instruments: Instruments):
    instruments.models(make_health(replace(QWEN, loaded=False)))
    assert registry.get_sample_value("lmstudio_model_loads_total", {"server": "desk", "model": "qwen"}) == 0
    assert models_of(registry, "lmstudio_model_unloads") == set()


def test_a_disk_full_of_models_leaves_room_for_the_loaded_ones(registry: CollectorRegistry, instruments: Instruments):
    disk = [Model(f"m{number}", f"m{number}", "llm", False) for number in range(2 * MAX_MODELS)]
    instruments.models(make_health(*disk))
    assert models_of(registry, "lmstudio_model_loads") == set()
    instruments.models(make_health(*disk, QWEN))
    instruments.loaded("desk", "qwen")
    assert models_of(registry, "lmstudio_model_loads") == {"qwen"}


def test_events_that_other_series_show_count_nowhere(registry: CollectorRegistry, instruments: Instruments):
    before = generate_latest(registry)
    for kind in ("server_up", "server_down"):
        instruments.event(HealthEvent("desk", 1.0, kind, ""))  # type: ignore[arg-type]
    assert generate_latest(registry) == before


def test_the_reasons_of_unloads_are_a_closed_list(registry: CollectorRegistry, instruments: Instruments):
    instruments.models(make_health(QWEN))
    reasons = {
        line.split('reason="')[1].split('"')[0]
        for line in generate_latest(registry).decode().splitlines()
        if "unloads_total{" in line
    }
    assert reasons == set(UNLOAD_REASONS)
    with pytest.raises(ValueError, match="unknown reason 'bored'"):
        instruments.unloaded("desk", "qwen", "bored")


def test_probes_count_by_outcome(registry: CollectorRegistry, instruments: Instruments):
    instruments.declare_server("desk")
    instruments.probe("desk", "skipped_ttl")
    found = {
        outcome: registry.get_sample_value("lmstudio_probes_total", {"server": "desk", "outcome": outcome})
        for outcome in PROBE_OUTCOMES
    }
    assert found == {**dict.fromkeys(PROBE_OUTCOMES, 0), "skipped_ttl": 1}


@pytest.mark.parametrize(("state", "number"), [("closed", 0), ("half_open", 1), ("open", 2)])
def test_the_circuit_shows_as_a_number(
    registry: CollectorRegistry, instruments: Instruments, state: State, number: int
):
    instruments.circuit("desk", state)
    assert registry.get_sample_value("lmstudio_circuit_state", {"server": "desk"}) == number


def test_the_log_stream_shows_only_where_it_is_asked_for(registry: CollectorRegistry, instruments: Instruments):
    shown = []
    for up in (None, True, False, None):
        instruments.log_stream("desk", up)
        shown.append(registry.get_sample_value("lmstudio_log_stream_up", {"server": "desk"}))
    assert shown == [None, 1, 0, None]


@pytest.mark.parametrize(
    ("code", "label"), [(200, "200"), (404, "404"), (299, "other"), (-1, "other"), (70000, "other")]
)
def test_answers_through_the_proxy_count_by_status(
    registry: CollectorRegistry, instruments: Instruments, code: int, label: str
):
    instruments.proxy_response("desk", "qwen", code)
    labels = {"server": "desk", "model": "qwen", "code": label}
    assert registry.get_sample_value("lmstudio_proxy_responses_total", labels) == 1


def test_an_answer_of_no_model_takes_no_models_place(registry: CollectorRegistry, instruments: Instruments):
    instruments.proxy_response("desk", "", 200)
    labels = {"server": "desk", "model": "", "code": "200"}
    assert registry.get_sample_value("lmstudio_proxy_responses_total", labels) == 1


def test_the_proxys_state_shows_and_its_own_count_may_start_anew(registry: CollectorRegistry, instruments: Instruments):
    shown = []
    for connections, uncounted in ((1, 0), (2, 3), (1, 5), (0, 1)):
        instruments.proxy("desk", connections=connections, uncounted=uncounted)
        names = ("lmstudio_proxy_connections", "lmstudio_proxy_uncounted_total")
        shown.append(tuple(registry.get_sample_value(name, {"server": "desk"}) for name in names))
    assert shown == [(1, 0), (2, 3), (1, 5), (0, 6)]
    instruments.forget_server("desk")
    instruments.proxy("desk", connections=0, uncounted=4)
    assert registry.get_sample_value("lmstudio_proxy_uncounted_total", {"server": "desk"}) == 4


@pytest.mark.parametrize(
    ("estimated", "reported", "ratio"),
    [(1200, (1000,), 1.2), (1200, (1000, 1500), 1.2), (1200, (None,), None), (0, (1000,), None), (1200, (), None)],
)
def test_the_estimate_of_a_prompt_is_held_against_the_servers_count_of_the_first_call(
    estimated: int, reported: tuple[int | None, ...], ratio: float | None
):
    calls = tuple(make_prediction(prompt_tokens=tokens) for tokens in reported)
    verdict = replace(make_verdict(0.5, 1.0), prompt_tokens_estimated=estimated, predictions=calls)
    assert estimate_ratio(verdict) == ratio
