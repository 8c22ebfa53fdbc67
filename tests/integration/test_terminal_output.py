"""Colours and progress are for terminals: what a command prints on a real pseudo-terminal, and what into a pipe."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios

import numpy as np
import pytest
from lmwatch_process import LMWATCH

pytestmark = pytest.mark.integration

RED_OR_GREEN = ("\x1b[31m", "\x1b[32m", "\x1b[1;32m", "\x1b[1;31m")


@pytest.fixture
def data(tmp_path):
    """A folder in the layout of NAB with one series, whose burst is labelled."""
    folder = tmp_path / "mine"
    (folder / "odd").mkdir(parents=True)
    values = np.random.default_rng(5).normal(10.0, 1.0, size=140)
    values[120:128] += 40.0
    times = [f"2024-03-01 {at // 12:02d}:{at % 12 * 5:02d}:00" for at in range(140)]
    rows = [f"{time},{value:.4f}" for time, value in zip(times, values, strict=True)]
    (folder / "odd" / "load.csv").write_text("\n".join(["timestamp,value", *rows, ""]))
    (folder / "windows.json").write_text(f'{{"odd/load.csv": [["{times[120]}", "{times[128]}"]]}}')
    return folder


def on_a_terminal(arguments, columns, **variables):
    """All that a command writes to a terminal so wide."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    environment = {**kept, "TERM": "xterm-256color", **variables}
    process = subprocess.Popen(
        [LMWATCH, *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    read = b""
    with contextlib.suppress(OSError):  # what a terminal says when nobody writes to it any more
        while chunk := os.read(master, 65536):
            read += chunk
    os.close(master)
    assert process.wait(120) == 0
    return read.decode()


def test_colours_and_progress_are_on_a_terminal_only_and_a_pipe_has_all_columns(data):
    arguments = ("eval", data, "--references", "none", "--jobs", "1")
    shown = on_a_terminal(arguments, 60)
    assert any(colour in shown for colour in RED_OR_GREEN)
    assert "0:00:" in shown or "-:--:--" in shown, "a bar with the time that is left"
    assert "no room for ALARM, THRESHOLD" in shown
    assert not any(colour in on_a_terminal(arguments, 60, NO_COLOR="1") for colour in RED_OR_GREEN)

    piped = subprocess.run([LMWATCH, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=120)
    assert "\x1b" not in piped.stdout + piped.stderr
    lines = piped.stdout.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert lines[2].split()[-2:] == ["ALARM", "THRESHOLD"]
    assert piped.stderr.count("\n") == 1
    assert "instants in" in piped.stderr
