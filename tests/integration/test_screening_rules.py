"""The shipped screening rules by the programs that load them, and that each record is tested and documented."""

import re
import subprocess

import promql_parser
import pytest
import yaml
from real_programs import ROOT, program

pytestmark = pytest.mark.integration

RULES = ROOT / "rules" / "screening.rules.yml"
CASES = ROOT / "rules" / "tests" / "screening_test.yml"
RECORDS = {
    rule["record"]: rule["expr"]
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
}  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["promtool", "check", "rules", str(RULES)], id="promtool check rules"),
        pytest.param(["promtool", "test", "rules", str(CASES)], id="promtool test rules"),
        pytest.param(["vmalert", "-dryRun", f"-rule={RULES}"], id="vmalert -dryRun"),
    ],
)
def test_programs_take_them(command):
    command = [program(command[0]), *command[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("record", RECORDS)
def test_each_record_is_read_tested_and_documented(record):
    assert promql_parser.parse(RECORDS[record])
    tested = {case["expr"] for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["promql_expr_test"]}
    assert any(re.search(rf"{record}(?![\w:])", expression) for expression in tested)
    page = (ROOT / "docs" / "screening-rules.md").read_text()
    assert f"`{record}`" in page or f"`{record.removeprefix('lmwatch:input')}`" in page


def test_each_record_that_is_read_is_written():
    """A name that nothing records gives no error in PromQL, only nothing."""
    read = {name for expression in RECORDS.values() for name in re.findall(r"lmwatch:input:\w+", expression)}
    assert read <= RECORDS.keys()
