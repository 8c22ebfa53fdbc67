"""`lmwatch once`: collect, judge once, say it in words and by the exit code."""

import json
import subprocess

import pytest
from lmwatch_process import LMWATCH
from real_programs import free_port
from scripted_answers import anomalous

from exporter.clock import SystemClock
from exporter.embedded.plan import Plan, Planted
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.target import DemoTarget

pytestmark = pytest.mark.integration

CONFIG = """
servers: [{{name: desk, url: "{studio}"}}]
sources: [{{name: shop, scrape: {{targets: ["{target}"]}}}}]
watches: [{{name: shop, source: shop, select: [shop_queue_length], threshold: {threshold}}}]
"""


@pytest.fixture
def once(tmp_path):
    """Runs `lmwatch once` over a shop whose queue jumps at the end of the collection."""
    plan = Plan((Planted("spike", "shop_queue_length", 36.0, 30.0, "the queue jumps"),))
    with StudioServer([ScriptedEngine(anomalous)]) as studio, DemoTarget(SystemClock(), 1, plan) as target:

        def run(*flags, threshold="0.5", address=None):
            file = tmp_path / "lmwatch.yml"
            file.write_text(
                CONFIG.format(studio=studio.url, target=address or target.address, threshold=threshold),
            )
            arguments = [LMWATCH, "once", f"--config.file={file}", *flags]
            return subprocess.run(arguments, capture_output=True, text=True, check=False)

        yield run


def test_an_anomaly_is_told_in_words_and_by_exit_code_3(once):
    done = once("--collect=40s")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Something left its usual range." in done.stdout
    assert "shop_queue_length" in done.stdout


def test_what_stays_below_the_threshold_is_calm_and_json_is_one_document(once):
    done = once("--collect=15s", "--json", threshold="0.999")
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert [watch["state"] for watch in document["watches"]] == ["ok"]
    assert [verdict["outcome"] for verdict in document["verdicts"]] == ["ok"]


def test_a_target_that_cannot_be_collected_is_a_failure(once):
    done = once("--collect=1s", address=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "refused" in done.stdout
