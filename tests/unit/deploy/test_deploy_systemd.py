"""The unit starts what there is, and keeps to its corner of the machine."""

import re
import shlex

from deploy_stack import ROOT

from exporter.cli import _parser

FOLDER = ROOT / "deploy/systemd"


def directives(name: str) -> dict[str, list[str]]:
    """Every setting of a unit file with its values, in order."""
    found: dict[str, list[str]] = {}
    for line in (FOLDER / name).read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            key, equals, value = line.partition("=")
            assert equals, line
            found.setdefault(key, []).append(value)
    return found


UNIT = directives("lmwatch.service")


def test_the_sections_are_those_of_a_service() -> None:
    text = (FOLDER / "lmwatch.service").read_text()
    assert re.findall(r"^\[(\w+)\]$", text, re.MULTILINE) == ["Unit", "Service", "Install"]


def test_its_command_line_is_one_that_lmwatch_takes() -> None:
    [default] = re.findall(r'^LMWATCH_ARGS="(.*)"$', (FOLDER / "lmwatch.default").read_text(), re.MULTILINE)
    program, command, variable = UNIT["ExecStart"][0].split()
    assert program.endswith("/lmwatch")
    assert variable == "$LMWATCH_ARGS"
    assert UNIT["EnvironmentFile"] == ["-/etc/default/lmwatch"]
    arguments = _parser().parse_args([command, *shlex.split(default)])
    assert arguments.listen == ["127.0.0.1:9917"]
    assert str(arguments.config).startswith(f"/etc/{UNIT['ConfigurationDirectory'][0]}/")


def test_it_is_told_to_reload_by_the_signal_that_reloads() -> None:
    assert UNIT["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert UNIT["Type"] == ["notify"]


def test_it_writes_to_its_state_directory_alone() -> None:
    assert UNIT["ProtectSystem"] == ["strict"]
    assert UNIT["DynamicUser"] == ["yes"]
    assert UNIT["StateDirectory"] == ["lmwatch"]
    assert "ReadWritePaths" not in UNIT


def test_raising_the_limit_of_open_files_stays_allowed() -> None:
    """It calls setrlimit at its start: systemd's group of system calls @resources holds it."""
    assert UNIT["SystemCallFilter"] == ["@system-service", "~@privileged"]


def test_the_drop_in_for_the_log_stream_opens_what_lms_needs_and_no_more() -> None:
    drop_in = directives("log-stream.conf")
    assert drop_in["ProtectHome"] == ["read-only"]
    assert drop_in["DynamicUser"] == ["no"]
    assert set(drop_in) - {"User"} <= set(UNIT)
