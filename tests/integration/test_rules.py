"""The shipped rules in the programs that evaluate them."""

import subprocess
from pathlib import Path

import pytest
from real_programs import ROOT, program

pytestmark = pytest.mark.integration

RULES = sorted((ROOT / "rules").glob("*.rules.yml"))
TESTS = sorted((ROOT / "rules" / "tests").glob("*.test.yml"))


def run(*arguments: object) -> str:
    """What a program prints; fails with it where the program does."""
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_wrong():
    printed = run(program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *RULES)
    assert printed.count("SUCCESS") == len(RULES) > 0


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_begin_and_end_as_their_tests_say(file: Path):
    assert "SUCCESS" in run(program("promtool"), "test", "rules", file)


def test_promtool_would_notice_an_alert_that_never_fires(tmp_path: Path):
    """The tests prove something: with a rule that cannot fire they fail."""
    broken = (ROOT / "rules" / "lmstudio.rules.yml").read_text().replace("[2m]) == 0\n", "[2m]) == 7\n", 1)
    (tmp_path / "lmstudio.rules.yml").write_text(broken)
    tests = (ROOT / "rules" / "tests" / "lmstudio.test.yml").read_text().replace("../lmstudio", "lmstudio")
    (tmp_path / "lmstudio.test.yml").write_text(tests)
    done = subprocess.run(
        [program("promtool"), "test", "rules", tmp_path / "lmstudio.test.yml"], capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"LMStudioDown" in done.stdout + done.stderr


def test_vmalert_takes_the_rules(tmp_path: Path):
    """Debian's vmalert 1.79 is older than keep_firing_for, and refuses what it does not know; newer ones know it."""
    for file in RULES:
        lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("keep_firing_for:")]
        (tmp_path / file.name).write_text("\n".join(lines))
    run(program("vmalert"), "-dryRun", f"-rule={tmp_path}/*.rules.yml")
