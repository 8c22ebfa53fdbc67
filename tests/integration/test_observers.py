"""What watches the servers, in a running lmwatch: proxy, events, probe, and what a reload does to them."""

import json
import socket
import urllib.request

import pytest
from lmwatch_process import lmwatch
from real_programs import eventually, fetch, free_port

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer

pytestmark = pytest.mark.integration

CONFIG = """
servers:
  - {{name: desk, url: "{url}", poll_interval: 1s, probe: {{interval: {probe}}}}}
{proxy}
"""


@pytest.fixture
def studio():
    with StudioServer([ScriptedEngine(lambda _: "one two three four five six seven eight nine ten")]) as server:
        yield server


def config(studio, *, probe="0s", proxy=None):
    line = "" if proxy is None else f"proxy: {{listen: '127.0.0.1:{proxy}', server: desk}}"
    return CONFIG.format(url=studio.url, probe=probe, proxy=line)


def chat(port):
    body = {"model": "scripted-1b", "messages": [{"role": "user", "content": "Count."}]}
    headers = {"Content-Type": "application/json"}
    return fetch(f"http://127.0.0.1:{port}/v1/chat/completions", data=json.dumps(body).encode(), headers=headers)


def test_what_passes_through_the_proxy_is_counted_as_traffic(studio, tmp_path):
    port = free_port()
    with lmwatch(config(studio, proxy=port), tmp_path) as watch:
        eventually(lambda: 'lmstudio_up{server="desk"} 1.0' in watch.metrics(), what="the server is up")
        status, text = chat(port)
        assert status == 200, text
        assert json.loads(text)["choices"][0]["message"]["content"].startswith("one two")
        wanted = 'lmstudio_requests_total{model="scripted-1b",origin="traffic",server="desk"} 1.0'
        eventually(lambda: wanted in watch.metrics(), what="the request is counted")
        assert 'lmstudio_proxy_responses_total{code="200",model="scripted-1b",server="desk"} 1.0' in watch.metrics()


def test_a_proxy_that_the_configuration_no_longer_names_stops_listening(studio, tmp_path):
    port = free_port()
    with lmwatch(config(studio, proxy=port), tmp_path) as watch:
        eventually(lambda: 'lmstudio_up{server="desk"} 1.0' in watch.metrics(), what="the server is up")
        assert chat(port)[0] == 200
        watch.config.write_text(config(studio))
        assert fetch(f"{watch.url}/-/reload", data=b"")[0] == 200
        with pytest.raises(urllib.error.URLError, match="refused"):
            chat(port)


def test_a_reload_to_a_proxy_that_cannot_listen_changes_nothing(studio, tmp_path):
    first, taken = free_port(), socket.create_server(("127.0.0.1", 0))
    with taken, lmwatch(config(studio, proxy=first), tmp_path) as watch:
        eventually(lambda: 'lmstudio_up{server="desk"} 1.0' in watch.metrics(), what="the server is up")
        watch.config.write_text(config(studio, proxy=taken.getsockname()[1]))
        status, text = fetch(f"{watch.url}/-/reload", data=b"")
        assert (status, "cannot listen on 127.0.0.1" in text) == (500, True)
        assert chat(first)[0] == 200
        assert "\nlmwatch_config_last_reload_successful 0.0\n" in watch.metrics()


def test_a_probe_measures_an_idle_model(studio, tmp_path):
    with lmwatch(config(studio, probe="1s"), tmp_path) as watch:
        wanted = 'lmstudio_time_to_first_token_seconds{model="scripted-1b",origin="probe",server="desk"}'
        eventually(lambda: wanted in watch.metrics(), what="the model is probed")
        assert 'lmstudio_request_failures_total{model="scripted-1b",origin="probe"' in watch.metrics()


def test_an_unload_is_counted_logged_and_kept(studio, tmp_path):
    with lmwatch(config(studio), tmp_path) as watch:
        loaded = 'lmstudio_model_loaded{model="scripted-1b",server="desk"} 1.0'
        eventually(lambda: loaded in watch.metrics(), what="the model is loaded")
        assert studio.unload(studio.loaded[0])
        counted = 'lmstudio_model_unloads_total{model="scripted-1b",reason="unexpected",server="desk"} 1.0'
        eventually(lambda: counted in watch.metrics(), what="the unload is counted")
        events = json.loads(fetch(f"{watch.url}/api/v1/events?server=desk")[1])["data"]
        assert [(event["kind"], event["model"], event["reason"]) for event in events] == [
            ("unloaded", "scripted-1b", "unexpected"),
        ]
        assert "kind=unloaded" in watch.log
