import logging
from collections.abc import Iterable
from dataclasses import replace

import pytest
from metrics_fakes import make_board, make_servers
from prometheus_client import CollectorRegistry, generate_latest

from exporter.board import Board, ReloadState, WatchPicture
from exporter.errors import BadDataError
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.metrics.catalogue import row
from exporter.metrics.collectors import BoardCollector, Part, default_parts
from exporter.metrics.families import Family
from exporter.metrics.instruments import Instruments
from exporter.metrics.names import MAX_LENGTH, MAX_MODELS


def exposed(board: Board, parts: Iterable[Part] | None = None) -> dict[str, float]:
    """Every sample line of the text format: name with labels → value."""
    registry = CollectorRegistry()
    registry.register(BoardCollector(lambda: board, parts))
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_a_dead_server_shows_up_0_and_no_models():
    samples = exposed(make_board())
    assert samples['lmstudio_up{server="attic"}'] == 0
    assert [name for name in samples if "attic" in name] == [
        'lmstudio_up{server="attic"}',
        'lmstudio_process_up{server="attic"}',
    ]


def test_a_label_value_that_utf_8_cannot_hold_costs_neither_its_sample_nor_the_scrape():
    picture = WatchPicture("w", "ok", "", 1.0, standings={(("zone", "a\ud800"),): 0.3})
    samples = exposed(replace(make_board(), watches={"w": picture}))
    assert samples['lmwatch_screen_group_anomaly_score{instance="",job="",watch="w",zone="a?"}'] == 0.3


def test_a_live_server_shows_what_it_tells():
    samples = exposed(make_board())
    assert samples['lmstudio_up{server="desk"}'] == 1
    assert samples['lmstudio_server_info{api="v1",server="desk",url="http://127.0.0.1:1234",version="0.4.24"}'] == 1
    assert samples['lmstudio_model_loaded{model="qwen",server="desk"}'] == 1
    assert samples['lmstudio_model_loaded{model="gemma",server="desk"}'] == 0
    assert samples['lmstudio_model_context_length_tokens{model="qwen",server="desk"}'] == 16384
    assert samples['lmstudio_model_status{model="qwen",server="desk",status="idle"}'] == 1
    assert samples['lmstudio_model_status{model="qwen",server="desk",status="generating"}'] == 0


def test_what_only_the_websocket_tells_shows():
    samples = exposed(make_board())
    assert samples['lmstudio_rpc_up{server="desk"}'] == 1
    assert samples['lmstudio_model_ttl_seconds{model="qwen",server="desk"}'] == 3600
    assert samples['lmstudio_model_last_used_timestamp_seconds{model="qwen",server="desk"}'] == 990.5


@pytest.mark.parametrize(("api", "process"), [(True, True), (False, True), (False, False), (True, None), (False, None)])
def test_the_process_and_its_api_are_two_facts(api: bool, process: bool | None):
    health = ServerHealth("s", "http://x", api, "v1" if api else None, "", (), 0.1, 1.0, process_up=process)
    samples = exposed(make_board(servers={"s": health}))
    assert samples['lmstudio_up{server="s"}'] == api
    assert samples.get('lmstudio_process_up{server="s"}') == process


def test_what_a_server_does_not_tell_is_no_series():
    health = ServerHealth("plain", "http://x", True, "openai", "", (Model("m", "m", "unknown", None),), 0.1, 1.0)
    samples = exposed(make_board(servers={"plain": health}))
    assert sorted(name for name in samples if 'model="m"' in name) == [
        'lmstudio_model_info{architecture="",format="",key="m",kind="unknown",model="m",publisher="",quantization="",server="plain"}',
    ]


def test_a_model_listed_twice_is_one_series_with_what_comes_first():
    twice = (Model("m", "m", "llm", True, context_length=4096), Model("m", "m", "llm", False))
    samples = exposed(make_board(servers={"s": ServerHealth("s", "http://x", True, "v1", "", twice, 0.1, 1.0)}))
    assert samples['lmstudio_model_loaded{model="m",server="s"}'] == 1


def test_the_models_in_the_list_are_counted_by_state():
    samples = exposed(make_board())
    counts = {
        state: samples[f'lmstudio_models{{server="desk",state="{state}"}}']
        for state in ("loaded", "not_loaded", "unknown")
    }
    assert counts == {"loaded": 1, "not_loaded": 1, "unknown": 0}


def test_a_server_with_thousands_of_models_shows_the_loaded_ones_and_a_limited_number_in_all():
    crowd = [Model(f"m{number}", "k", "llm", number >= 990) for number in range(1000)]
    samples = exposed(make_board(servers={"s": ServerHealth("s", "http://x", True, "v1", "", tuple(crowd), 0.1, 1.0)}))
    shown = {name: value for name, value in samples.items() if name.startswith("lmstudio_model_loaded{")}
    assert len(shown) == MAX_MODELS
    assert sum(shown.values()) == 10
    assert samples['lmstudio_models{server="s",state="not_loaded"}'] == 990


def test_texts_that_a_server_chooses_are_limited_in_length():
    endless = Model("x" * 10_000, "k" * 10_000, "llm", True, publisher="p" * 10_000)
    twin = Model("x" * 10_001, "k", "llm", False)
    samples = exposed(
        make_board(servers={"s": ServerHealth("s", "http://x", True, "v1", "v" * 10_000, (endless, twin), 0.1, 1.0)})
    )
    assert max(map(len, samples)) < 4 * MAX_LENGTH
    assert sum(name.startswith("lmstudio_model_info{") for name in samples) == 1, "cut to the same label, they are one"


def test_group_labels_that_collide_with_ours_get_a_prefix():
    samples = exposed(make_board())
    assert samples['lmwatch_group_anomaly_score{exported_watch="x",instance="db1:9100",job="",watch="nodes"}'] == 0.875
    assert (
        samples['lmwatch_verdict_timestamp_seconds{exported_watch="x",instance="db1:9100",job="",watch="nodes"}'] == 995
    )


def test_a_verdict_without_a_readable_answer_has_a_time_but_no_score():
    samples = exposed(make_board())
    assert samples['lmwatch_verdict_timestamp_seconds{instance="db2:9100",job="",watch="nodes"}'] == 990
    assert 'lmwatch_group_anomaly_score{instance="db2:9100",job="",watch="nodes"}' not in samples


def test_a_watch_shows_its_present_state_and_the_others_at_0():
    samples = exposed(make_board())
    states = {name: value for name, value in samples.items() if 'watch="shop"' in name and "state" in name}
    assert states == {
        'lmwatch_watch_state{state="warming",watch="shop"}': 1,
        'lmwatch_watch_state{state="ok",watch="shop"}': 0,
        'lmwatch_watch_state{state="degraded",watch="shop"}': 0,
        'lmwatch_watch_state{state="stale",watch="shop"}': 0,
        'lmwatch_watch_state{state="failed",watch="shop"}': 0,
    }


def test_a_watch_shows_the_threshold_that_rules_compare_its_scores_with():
    samples = exposed(make_board())
    thresholds = {name: value for name, value in samples.items() if name.startswith("lmwatch_watch_threshold")}
    assert thresholds == {
        'lmwatch_watch_threshold{watch="nodes"}': 0.5,
        'lmwatch_watch_threshold{watch="shop"}': 0.625,
    }


@pytest.mark.parametrize(
    ("url", "shown"), [("https://h/lm", ['lmwatch_web_info{external_url="https://h/lm"}']), ("", [])]
)
def test_the_address_of_the_pages_shows_where_it_is_known(url: str, shown: list[str]):
    samples = exposed(make_board(external_url=url))
    assert [name for name in samples if name.startswith("lmwatch_web_info")] == shown


@pytest.mark.parametrize("successful", [True, False])
def test_the_last_reload_shows(successful: bool):
    samples = exposed(make_board(reload=ReloadState(successful, 4711.0, "" if successful else "line 3")))
    assert samples["lmwatch_config_last_reload_successful"] == successful
    assert samples["lmwatch_config_last_reload_success_timestamp_seconds"] == 4711


def test_the_process_shows_itself():
    samples = exposed(make_board())
    assert samples["process_resident_memory_bytes"] > 1e6
    assert any(name.startswith("python_info{") for name in samples)
    assert any(name.startswith("python_gc_collections_total{") for name in samples)
    assert any(name.startswith("lmwatch_build_info{python_version=") for name in samples)


def test_a_raising_part_costs_the_others_nothing_and_is_counted(caplog: pytest.LogCaptureFixture):
    def broken(_board: Board):
        yield Family("lmstudio_up").metric
        raise BadDataError("no such thing")

    reload = next(part for part in default_parts() if part.name == "reload")
    registry = CollectorRegistry()
    registry.register(BoardCollector(make_board, [Part("broken", ("lmstudio_up",), broken), reload]))
    with caplog.at_level(logging.ERROR):
        generate_latest(registry)
        text = generate_latest(registry).decode()
    assert 'lmwatch_collector_success{collector="broken"} 0.0' in text
    assert 'lmwatch_collector_success{collector="reload"} 1.0' in text
    assert 'lmwatch_collector_failures_total{collector="broken"} 2.0' in text
    assert 'lmwatch_collector_failures_total{collector="reload"} 0.0' in text
    assert "lmwatch_config_last_reload_successful 1.0" in text
    assert "lmstudio_up" not in text, "half a part must not be exposed"
    assert "no such thing" in caplog.text


@pytest.mark.parametrize("nonsense", ["four", None])
def test_a_value_that_is_no_number_fails_in_its_part_and_not_in_the_scrape(nonsense: object):
    health = ServerHealth("s", "http://x", True, "v1", "", (Model("m", "m", "llm", nonsense),), 0.1, 1.0)  # type: ignore[arg-type]
    samples = exposed(make_board(servers={"s": health}))
    assert samples['lmwatch_collector_success{collector="models"}'] == (nonsense is None)
    assert samples['lmstudio_up{server="s"}'] == 1


def test_a_sample_must_carry_the_catalogues_labels():
    with pytest.raises(ValueError, match="argument"):
        Family("lmstudio_model_loaded").add(("desk",), 1)


def test_everything_that_is_described_is_in_the_catalogue_and_nothing_clashes():
    """A registry refuses a second collector with the same names, because they are described."""
    registry = CollectorRegistry()
    collector = BoardCollector(make_board)
    registry.register(collector)
    Instruments(registry)
    names = [part for part in default_parts() for part in part.families]
    assert len(names) == len(set(names))
    assert all(row(name) for name in names)
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(BoardCollector(make_board))


def test_everything_collected_was_described():
    collector = BoardCollector(make_board)
    assert {family.name for family in collector.collect()} <= {family.name for family in collector.describe()}


def test_a_server_that_leaves_the_board_leaves_the_exposition():
    servers = make_servers()
    assert any("attic" in name for name in exposed(make_board(servers=servers)))
    del servers["attic"]
    assert not any("attic" in name for name in exposed(make_board(servers=servers)))
