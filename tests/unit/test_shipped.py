"""The files that ship with lmwatch, and the command that hands them out."""

from pathlib import Path

import pytest

from exporter import shipped
from exporter.cli import main
from exporter.errors import BadDataError
from exporter.shipped import RUNBOOK_PREFIX, Shipped

ROOT = Path(__file__).parents[2]


def test_the_rules_are_the_files_of_the_checkout_without_their_tests():
    found = shipped.rules()
    assert [one.name for one in found] == sorted(path.name for path in (ROOT / "rules").glob("*.yml"))
    assert all(one.text == (ROOT / "rules" / one.name).read_text("utf-8") for one in found)


def test_a_summary_is_the_first_comment():
    assert Shipped("a.yml", "# What it is.\n# More.\ngroups: []\n").summary == "What it is."
    assert Shipped("a.yml", "groups: []\n").summary == ""
    assert all(one.summary for one in shipped.rules())


def test_runbooks_can_be_linked_elsewhere():
    moved = shipped.with_runbooks_at("https://wiki.example/lmwatch", shipped.rules())
    for before, after in zip(shipped.rules(), moved, strict=True):
        assert after.text.count("https://wiki.example/lmwatch#") == before.text.count(f"{RUNBOOK_PREFIX}#")
        assert RUNBOOK_PREFIX not in after.text
    assert "'https://wiki.example/lmwatch#lmstudiodown'" in shipped.pick(moved, "lmstudio.rules.yml").text


def test_an_unknown_file_is_an_error_that_names_the_others():
    with pytest.raises(BadDataError, match=r"no file 'x\.yml' .* there are lmstudio\.rules\.yml, lmwatch\.rules\.yml"):
        shipped.pick([Shipped("lmstudio.rules.yml", ""), Shipped("lmwatch.rules.yml", "")], "x.yml")


def test_the_command_lists_the_files(capsys: pytest.CaptureFixture[str]):
    assert main(["rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [one.name for one in shipped.rules()]
    assert lines[0].endswith(shipped.rules()[0].summary)


def test_the_command_prints_a_file_byte_for_byte(capsys: pytest.CaptureFixture[str]):
    assert main(["rules", "lmwatch.rules.yml"]) == 0
    assert capsys.readouterr().out == (ROOT / "rules" / "lmwatch.rules.yml").read_text("utf-8")


def test_the_command_writes_the_files_over_older_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "prometheus" / "rules"
    folder.mkdir(parents=True)
    (folder / "lmwatch.rules.yml").write_text("old")
    assert main(["rules", "--output", str(folder), "--runbook-url", "https://wiki.example/r"]) == 0
    names = [one.name for one in shipped.rules()]
    assert capsys.readouterr().out.splitlines() == [str(folder / name) for name in names]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert "'https://wiki.example/r#lmwatchdown'" in (folder / "lmwatch.rules.yml").read_text("utf-8")


def test_the_command_writes_one_file_alone(tmp_path: Path):
    assert main(["rules", "lmstudio.rules.yml", "--output", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["lmstudio.rules.yml"]


@pytest.mark.parametrize("arguments", [["x.yml"], ["--output", "FILE"], ["x.yml", "--output", "FILE"]])
def test_what_cannot_be_done_is_said_and_exits_1(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").write_text("")
    typed = [str(tmp_path / "file") if argument == "FILE" else argument for argument in arguments]
    assert main(["rules", *typed]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert typed[0] in printed.err or typed[1] in printed.err


def test_the_dashboards_are_handed_out_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    files = {path.name: path.read_bytes() for path in (ROOT / "grafana" / "dashboards").glob("*.json")}
    assert main(["dashboards"]) == 0
    assert [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()] == [
        ["lmwatch-anomalies.json", "Anomalies"],
        ["lmwatch-lmstudio.json", "LM Studio"],
        ["lmwatch-self.json", "lmwatch itself"],
    ]
    assert main(["dashboards", "lmwatch-self.json"]) == 0
    assert capsys.readouterr().out.encode() == files["lmwatch-self.json"]
    assert main(["dashboards", "--output", str(tmp_path)]) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
