"""The demo, whole: real model, real sockets, planted anomalies."""

import subprocess

import pytest
from lmwatch_process import LMWATCH
from real_programs import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]


def test_the_demo_finds_and_judges_what_it_planted_and_ends_by_itself():
    """The small model judges at least one planted anomaly that the combined score found; nothing falls over."""
    listen = f"--web.listen-address=127.0.0.1:{free_port()}"
    done = subprocess.run([LMWATCH, "demo", "--for=150s", listen], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The demo did what it should." in done.stdout
    assert done.stderr == ""
