"""What `lmwatch backtest` says of mistakes, before it asks anybody for a week of values."""

import pytest

from exporter.cli import main

CONFIG = """
sources:
  - name: tsdb
    prometheus: {url: "http://127.0.0.1:9", step: 1m}
  - name: nodes
    scrape: {targets: ["127.0.0.1:9"]}
watches:
  - name: shop
    source: tsdb
    select: [{query: shop_orders, name: orders}]
  - name: hosts
    source: nodes
    select: [node_load1]
"""


def said(capsys, tmp_path, *arguments, config=CONFIG):
    """The exit code, and what stands on standard error."""
    path = tmp_path / "lmwatch.yml"
    path.write_text(config)
    try:
        code = main(["backtest", "--config.file", str(path), *arguments])
    except SystemExit as left:
        code = left.code
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--source", "tsbd"], 1, "--source tsbd: no such source, did you mean tsdb?"),
        (["--source", "nodes"], 1, "what is scraped has no past; add a source with prometheus:"),
        (["--watch", "shp"], 1, "--watch shp: no such watch on source tsdb, did you mean shop?"),
        (["--watch", "hosts"], 1, "--watch hosts: no such watch on source tsdb"),
        (["--from", "-1h", "--to", "-2h"], 1, "ends before it begins"),
        (["--from", "-500d"], 1, "longer than 366 days; replay it in parts"),
        (["--from", "-10s"], 1, "watch shop is screened each 1m; give it a longer span"),
        (["--step", "50m"], 1, "--step 50m: the window of watch shop is 1h, and has to be at least twice as long"),
        (["--sensitivity", "1m"], 1, "--sensitivity: must be at least 1h"),
        (["--model", "confg"], 1, "--model confg: no such model"),
        (["--record", "calls.jsonl"], 1, "without a model there are no calls to record"),
        (["--report", "missing/out.html"], 1, "--report missing/out.html: there is no folder missing"),
        (["--from", "yesterday"], 2, "'yesterday' is no moment; write now, -7d"),
        (["--from", "-1h"], 1, "http://127.0.0.1:9/api/v1/query_range"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(capsys, tmp_path, arguments, code, message):
    found, text = said(capsys, tmp_path, *arguments)
    assert found == code
    assert message in text


def test_without_a_source_the_only_one_is_taken_and_two_have_to_be_told_apart(capsys, tmp_path):
    two = CONFIG.replace("watches:", '  - name: other\n    prometheus: {url: "http://127.0.0.1:9"}\nwatches:')
    assert said(capsys, tmp_path, config=two) == (
        1,
        "the configuration has 2 prometheus sources; name one with --source: tsdb, other\n",
    )
    assert "add a source with prometheus:" in said(capsys, tmp_path, config="")[1]


def test_the_configured_server_is_asked_where_the_model_is_config(capsys, tmp_path):
    config = CONFIG + '\nservers: [{name: desk, url: "http://127.0.0.1:9"}]\n'
    code, text = said(capsys, tmp_path, "--model", "config", config=config)
    assert code == 1
    assert "http://127.0.0.1:9 does not answer" in text
