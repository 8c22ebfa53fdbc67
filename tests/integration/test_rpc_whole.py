"""lmwatch as a process beside a stand-in for LM Studio: what only the websocket tells arrives in /metrics, and comes back."""

import re
import threading
import urllib.request

import pytest
from lmwatch_process import lmwatch
from real_programs import eventually

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_faults import Fault

pytestmark = pytest.mark.integration

CONFIG = """
servers:
  - {{name: desk, url: "{url}", poll_interval: 1s, rpc: {rpc}}}
"""


class Gate:
    """Holds the model before each token until it is opened."""

    def __init__(self):
        self.event = threading.Event()

    def __call__(self, seconds):
        assert self.event.wait(60)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.event.set()


@pytest.fixture
def studio(gate):
    with StudioServer([ScriptedEngine(lambda _: "one two three", pause=gate)]) as server:
        yield server


def status(metrics):
    """The status that the only model has; None where none is exposed."""
    found = re.search(r'^lmstudio_model_status\{.*status="(\w+)"\} 1\.0$', metrics, re.MULTILINE)
    return found and found[1]


def version(metrics):
    found = re.search(r'^lmstudio_server_info\{.*version="([^"]*)"\} 1\.0$', metrics, re.MULTILINE)
    return found and found[1]


def ask(studio):
    body = b'{"model": "scripted-1b", "messages": [{"role": "user", "content": "?"}]}'
    with urllib.request.urlopen(f"{studio.url}/v1/chat/completions", body, timeout=60) as answer:
        answer.read()


def upgrades(studio):
    return sum("upgrade" in request.headers for request in studio.received)


def test_what_a_model_does_is_seen_while_it_does_it(studio, gate, tmp_path):
    with lmwatch(CONFIG.format(url=studio.url, rpc="auto"), tmp_path) as watch:
        eventually(lambda: status(watch.metrics()) == "idle", what="the model is idle")
        assert version(watch.metrics()) == "0.4.24"
        asking = threading.Thread(target=ask, args=(studio,))
        asking.start()
        eventually(lambda: status(watch.metrics()) == "processing_prompt", what="the model is at work")
        assert re.search(r"^lmstudio_model_queued_requests\{.*\} 1\.0$", watch.metrics(), re.MULTILINE)
        gate.event.set()
        asking.join(60)
        eventually(lambda: status(watch.metrics()) == "idle", what="the model is idle again")
        assert upgrades(studio) == 3, "one connection a namespace, kept"


def test_a_dead_websocket_and_a_restarted_server_come_back_without_help(studio, tmp_path):
    with lmwatch(CONFIG.format(url=studio.url, rpc="auto"), tmp_path) as watch:
        eventually(lambda: status(watch.metrics()) == "idle", what="the model's state is known")
        studio.faults.inject(Fault("rpc_dead"), times=None)
        eventually(lambda: status(watch.metrics()) is None, what="the state is absent, not stale")
        assert '\nlmstudio_up{server="desk"} 1.0\n' in watch.metrics()
        studio.faults.clear()
        eventually(lambda: status(watch.metrics()) == "idle", what="the state is known again")
        studio.stop()
        eventually(lambda: '\nlmstudio_up{server="desk"} 0.0\n' in watch.metrics(), what="the server is down")
        assert status(watch.metrics()) is None
        studio.start()
        eventually(lambda: status(watch.metrics()) == "idle", what="the state is known after a restart")
        assert watch.log.count("the websocket") <= 3


@pytest.mark.parametrize("rpc", ["auto", "off"])
def test_where_it_is_refused_or_off_nothing_is_missing_but_what_only_it_tells(studio, tmp_path, rpc):
    studio.faults.inject(Fault("rpc_refused"), times=None)
    with lmwatch(CONFIG.format(url=studio.url, rpc=rpc), tmp_path) as watch:
        eventually(lambda: 'lmstudio_model_loaded{model="scripted-1b",server="desk"} 1.0' in watch.metrics(), what="up")
        polls = len(studio.received)
        eventually(lambda: len(studio.received) > polls + 2, what="further polls")
        assert status(watch.metrics()) is None
        assert version(watch.metrics()) == ""
        assert upgrades(studio) == (1 if rpc == "auto" else 0)
        assert watch.log.count("the websocket") == upgrades(studio)
