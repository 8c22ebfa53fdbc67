"""What a right configuration file means, and that no text breaks the reader."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.document import parse_document
from exporter.config.load import default_config, load_config, parse_config, summarise
from exporter.config.model import Config
from exporter.errors import ConfigError

TESTDATA = Path(__file__).parents[2] / "testdata" / "config"
EXAMPLE = (Path(__file__).parents[3] / "lmwatch.example.yml").read_text()


def parse(text, environ=None, directory=TESTDATA, **arguments):
    return parse_config(text, file="lmwatch.yml", directory=directory, environ=environ or {}, **arguments)


def good(name):
    return load_config(TESTDATA / f"{name}.good.yml", {})


@pytest.mark.parametrize("name", ["empty", "comments"])
def test_a_file_without_values_is_the_default_configuration(name):
    assert good(name) == default_config()


def test_by_default_only_the_local_lm_studio_is_watched():
    config = default_config()
    assert [(server.name, server.url) for server in config.servers] == [("local", "http://127.0.0.1:1234")]
    assert (config.sources, config.watches, config.journal) == ([], [], None)


def test_texts_that_yaml_1_1_takes_for_something_else_stay_texts():
    config = good("traps")
    assert config.alerting.labels == {
        "country": "NO",
        "answer": "yes",
        "day": "2026-11-22",
        "time": "12:30",
        "mode": "0644",
        "on": "off",
        "version": "1.10",
    }


def test_switches_can_be_written_as_words_or_booleans():
    server = good("traps").servers[0]
    assert (server.rpc, server.log_stream) == ("on", "off")


def test_aliases_and_merge_keys_bring_in_values_and_the_nearer_one_wins():
    desk, attic, cellar = good("aliases").servers
    assert (attic.name, attic.url, attic.probe) == ("attic", "http://127.0.0.1:1235", desk.probe)
    assert (cellar.name, cellar.url) == ("cellar", "http://127.0.0.1:1236")
    assert (cellar.probe.interval, cellar.probe.max_tokens) == (0.0, 32)


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path):
    (tmp_path / "token.txt").write_text("abc")
    path = tmp_path / "lmwatch.yml"
    path.write_text(
        """
        servers: [{name: desk, url: "http://127.0.0.1:1", api_token_file: token.txt}]
        sources: [{name: a, scrape: {file_sd: [{files: ["sd/*.yml", /etc/sd.yml]}]}}]
        journal: {path: data/lmwatch.db}
        """,
    )
    config = load_config(path, {})
    assert config.servers[0].api_token_file == tmp_path / "token.txt"
    assert config.sources[0].scrape.file_sd[0].files == [tmp_path / "sd" / "*.yml", Path("/etc/sd.yml")]
    assert config.journal.path == tmp_path / "data" / "lmwatch.db"


def test_the_default_journal_lies_beside_the_file_too(tmp_path):
    config = parse("journal: {retention: 1d}", directory=tmp_path)
    assert config.journal.path == tmp_path / "lmwatch.db"


@pytest.mark.parametrize(
    ("given_", "timeout"), [("", 10.0), (", interval: 5s", 5.0), (", interval: 5s, timeout: 2s", 2.0)]
)
def test_a_scrape_may_last_ten_seconds_or_as_long_as_its_interval(given_, timeout):
    config = parse(f"sources: [{{name: a, scrape: {{targets: ['127.0.0.1:9100']{given_}}}}}]")
    assert config.sources[0].scrape.timeout == timeout


def test_a_size_counts_in_steps_of_1024():
    text = "sources: [{{name: a, scrape: {{targets: ['127.0.0.1:9100'], body_size_limit: {}}}}}]"
    sizes = {
        size: parse(text.format(size)).sources[0].scrape.body_size_limit
        for size in ("0", "10B", "512KB", "1MiB", "2GB")
    }
    assert sizes == {"0": 0, "10B": 10, "512KB": 512 * 1024, "1MiB": 1024**2, "2GB": 2 * 1024**3}


@pytest.mark.parametrize(
    ("written", "relative", "absolute"),
    [("5%", 0.05, 0.0), ("2.5 %", 0.025, 0.0), ("5", 0.0, 5.0), ("0.5", 0.0, 0.5), ("1e-7", 0.0, 1e-7)],
)
def test_the_smallest_change_is_a_share_or_a_number(written, relative, absolute):
    config = parse(
        f"""
        sources: [{{name: a, scrape: {{targets: ["127.0.0.1:9100"]}}}}]
        watches: [{{name: b, source: a, select: [{{series: up, min_change: {written}}}]}}]
        """,
    )
    selection = config.watches[0].select[0]
    assert (selection.min_change_relative, selection.min_change_absolute) == (relative, absolute)


def test_further_checks_report_at_the_place_that_they_name():
    """A location that does not stand in the file is shown where its nearest parent stands."""
    text = "sources:\n  - name: a\n    scrape: {targets: ['127.0.0.1:9100']}\nwatches:\n  - name: b\n    source: a\n    select: [up]\n"

    def check(config: Config):
        yield ("watches", 0, "select", 0, "series"), f"no selector: {config.watches[0].select[0].series}"
        yield ("watches", 0, "name"), "too short"

    with pytest.raises(ConfigError) as caught:
        parse(text, checks=[check, lambda _: ()])
    assert str(caught.value).split("\n") == [
        "lmwatch.yml:5:11: watches[0].name: too short",
        "lmwatch.yml:7:14: watches[0].select[0].series: no selector: up",
    ]


def test_further_checks_see_only_configurations_that_are_right_otherwise():
    with pytest.raises(ConfigError, match="unknown key"):
        parse("colour: green", checks=[lambda _: pytest.fail("called")])


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    path = tmp_path / "lmwatch.yml"
    path.write_bytes(b"\xef\xbb\xbfweb:\r\n  external_url: http://lmwatch.example/\r\n")
    assert load_config(path, {}).web.external_url == "http://lmwatch.example"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused(opening):
    with pytest.raises(ConfigError, match=r"nested too deeply|not YAML|levels"):
        parse(opening * 5000)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        default_config().web.external_url = "http://elsewhere"


def test_the_summary_counts_what_the_file_configures(tmp_path):
    config = parse(
        """
        servers: [{name: desk, url: "http://127.0.0.1:1234", model: qwen3-4b}]
        sources:
          - name: nodes
            scrape: {targets: ["a:1", "b:1"], file_sd: [{files: [x.yml]}]}
          - {name: tsdb, prometheus: {url: "http://127.0.0.1:9090"}}
        watches:
          - {name: health, source: nodes, select: [up, node_load1], reason: {when: never}}
        alerting: {alertmanagers: [{url: "http://127.0.0.1:9093"}], webhook: {enabled: true}}
        journal: {path: lmwatch.db, retention: 7d}
        proxy: {listen: ":1235", server: desk}
        grafana: {url: "http://127.0.0.1:3000"}
        """,
        directory=tmp_path,
    )
    assert summarise(config).split("\n") == [
        "server desk: http://127.0.0.1:1234, model qwen3-4b, polled every 10s",
        "source nodes: scrapes 2 targets and 1 discovery every 15s",
        "source tsdb: queries http://127.0.0.1:9090",
        "watch health: 2 selectors of source nodes, 1h screened every 1m, reasoning: never",
        "alerting: 1 Alertmanager, webhook on",
        "heartbeat: every 5m",
        f"journal: {tmp_path / 'lmwatch.db'}, kept for 7d",
        "proxy: :1235 in front of server desk",
        "grafana: annotations at http://127.0.0.1:3000",
    ]


@given(st.text(max_size=60))
def test_any_text_is_a_configuration_or_an_error(text):
    try:
        outcome = parse(text)
    except ConfigError as error:
        outcome = str(error)
    assert isinstance(outcome, Config) or all(line.startswith("lmwatch.yml:") for line in outcome.split("\n"))


@given(st.data())
def test_a_damaged_example_is_a_configuration_or_an_error_with_places(data):
    """Lines of the example are taken out, repeated and swapped, characters put in."""
    lines = EXAMPLE.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        here = data.draw(st.integers(0, len(lines) - 1))
        there = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["cut", "repeat", "swap", "insert"])):
            case "cut" if len(lines) > 1:
                del lines[here]
            case "repeat":
                lines.insert(here, lines[there])
            case "swap":
                lines[here], lines[there] = lines[there], lines[here]
            case _:
                column = data.draw(st.integers(0, len(lines[here])))
                lines[here] = (
                    lines[here][:column] + data.draw(st.sampled_from(":#-[]{}'\"&*!|>%@ 0x")) + lines[here][column:]
                )
    try:
        parse("\n".join(lines))
    except ConfigError as error:
        for line in str(error).split("\n"):
            file, row, column, _ = line.split(":", 3)
            assert file == "lmwatch.yml"
            assert int(row) >= 1
            assert int(column) >= 1


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(PLAIN)
def test_values_of_a_yaml_writer_that_names_their_types_are_read_as_they_were(value):
    text = yaml.safe_dump({"value": value}, default_style='"', allow_unicode=True)
    assert parse_document(text, file="x").data == {"value": value}
