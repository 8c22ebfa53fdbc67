import json
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lmstudio_fake
import pytest
from fake_lms import FakeLms, until
from lmstudio_fake import hang, html, json_reply
from pydantic import SecretStr

from exporter.config.model import Server
from exporter.lmstudio.lms import (
    INFO_VARIABLE,
    LocalApi,
    LocalLmStudio,
    find_lms,
    is_this_host,
    lm_studio_home,
    port_of,
)

STATUS, GREETING = "/lms-status", "/lmstudio-greeting"
ALIVE = json_reply({"package": "lm-studio", "version": "0.4.24"})
GREETS = json_reply({"lmstudio": True})
UNEXPECTED = json_reply({"error": "Unexpected endpoint or method. (GET /lms-status)"})


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    (home / ".lmstudio" / ".internal").mkdir(parents=True)
    return home


@pytest.fixture
def local_api():
    """LM Studio's local API server."""
    yield from lmstudio_fake.serving()


@pytest.fixture
def studio(fake, home):
    """Makes the check for a server at the address of `fake`; closes it at the end."""
    made = []

    def make(*ports, **settings):
        made.append(LocalLmStudio(Server(**({"name": "desk", "url": fake.url} | settings)), home, ports))
        return made[-1]

    yield make
    for one in made:
        one.close()


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def publish(home, name, port):
    (home / ".lmstudio" / ".internal" / name).write_text(json.dumps({"host": "127.0.0.1", "pid": 1, "port": port}))


def publish_all(home, fake, local_api):
    publish(home, "http-server.json", local_api.server_port)
    publish(home, "http-server-config.json", fake.server_port)


def test_it_runs_if_the_published_port_answers_and_the_server_greets(studio, fake, local_api, home):
    publish_all(home, fake, local_api)
    local_api.always("GET", STATUS, ALIVE)
    fake.always("GET", GREETING, GREETS)
    assert studio().runs()


def test_the_process_is_found_whatever_the_server_is(studio, local_api, home):
    """Process up and HTTP API up are two facts."""
    publish(home, "http-server.json", local_api.server_port)
    local_api.always("GET", STATUS, ALIVE)
    check = studio(url=f"http://127.0.0.1:{closed_port()}")
    info = home / ".lmstudio" / ".internal" / "http-server.json"
    assert check.find() == LocalApi(local_api.server_port, info, "lm-studio", "0.4.24")
    assert not check.runs()


def test_it_does_not_run_if_nothing_listens_where_lms_would_look(studio, fake, home):
    """A stale file is left behind when LM Studio is killed; `lms` would start LM Studio then."""
    publish(home, "http-server.json", closed_port())
    publish(home, "http-server-config.json", fake.server_port)
    fake.always("GET", GREETING, GREETS)
    assert not studio().runs()


@pytest.mark.parametrize("answer", [UNEXPECTED, html(500), json_reply([]), json_reply({"package": "x"})])
def test_another_program_on_the_published_port_is_not_lm_studio(studio, fake, local_api, home, answer):
    publish_all(home, fake, local_api)
    local_api.always("GET", STATUS, answer)
    local_api.always("GET", GREETING, answer)
    fake.always("GET", GREETING, GREETS)
    assert not studio().runs()


def test_an_older_local_api_only_greets(studio, fake, local_api, home):
    publish_all(home, fake, local_api)
    local_api.always("GET", STATUS, UNEXPECTED)
    local_api.always("GET", GREETING, GREETS)
    fake.always("GET", GREETING, GREETS)
    assert studio().runs()


def test_without_a_published_port_the_well_known_ones_are_asked(studio, fake, local_api):
    local_api.always("GET", STATUS, ALIVE)
    fake.always("GET", GREETING, GREETS)
    check = studio(closed_port(), local_api.server_port)
    assert check.runs()
    assert check.environ({"A": "b"}) == {"A": "b"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"port": "1234"}', '{"port": 0}', '{"port": 70000}', '{"port": true}']
)
def test_a_broken_file_publishes_nothing(studio, fake, home, text):
    (home / ".lmstudio" / ".internal" / "http-server.json").write_text(text)
    fake.always("GET", GREETING, GREETS)
    assert not studio().runs()


def test_its_http_server_may_be_off_while_its_own_chats_go_on(studio, local_api, home):
    port = closed_port()
    publish(home, "http-server.json", local_api.server_port)
    publish(home, "http-server-config.json", port)
    local_api.always("GET", STATUS, ALIVE)
    assert studio(url=f"http://127.0.0.1:{port}").runs()


def test_a_server_on_another_port_of_this_host_is_another_one(studio, fake, local_api, home):
    """A tunnel to a remote LM Studio greets as well, but `lms` would show what the local one does."""
    publish_all(home, fake, local_api)
    publish(home, "http-server-config.json", closed_port())
    local_api.always("GET", STATUS, ALIVE)
    fake.always("GET", GREETING, GREETS)
    assert not studio().runs()
    assert studio(log_stream="on").runs()


def test_what_is_no_lm_studio_has_no_log_stream_of_one(studio, fake, local_api, home):
    """llama.cpp's server on LM Studio's usual port, while LM Studio's own HTTP server is off."""
    publish_all(home, fake, local_api)
    local_api.always("GET", STATUS, ALIVE)
    fake.always("GET", GREETING, json_reply({"error": {"code": 404}}, status=404))
    assert not studio().runs()
    assert not studio(log_stream="on").runs()


def test_for_a_server_on_another_host_nobody_is_asked(studio, fake, local_api, home):
    publish_all(home, fake, local_api)
    assert not studio(url=f"http://192.0.2.1:{fake.server_port}", log_stream="on").runs()
    assert local_api.requests == []


def test_the_token_goes_to_the_server_only(studio, fake, local_api, home):
    publish_all(home, fake, local_api)
    local_api.always("GET", STATUS, ALIVE)
    fake.always("GET", GREETING, GREETS)
    assert studio(api_token=SecretStr("sk-lm-secret")).runs()
    assert "Authorization" not in local_api.requests[0][3]
    assert fake.requests[0][3]["Authorization"] == "Bearer sk-lm-secret"


def test_lms_is_pinned_to_what_was_found(studio, fake, local_api, home):
    """Newer versions of `lms` start nothing when an instance is pinned."""
    publish_all(home, fake, local_api)
    local_api.always("GET", STATUS, ALIVE)
    fake.always("GET", GREETING, GREETS)
    check = studio()
    assert check.environ({}) == {}
    check.runs()
    assert check.environ({}) == {INFO_VARIABLE: str(home / ".lmstudio" / ".internal" / "http-server.json")}
    assert check.environ({INFO_VARIABLE: "mine"}) == {INFO_VARIABLE: "mine"}


def test_closing_ends_a_look_that_is_under_way(studio, fake, local_api, home):
    publish_all(home, fake, local_api)
    local_api.always("GET", STATUS, hang)
    fake.always("GET", GREETING, GREETS)
    check = studio()
    with ThreadPoolExecutor(1) as thread:
        looking = thread.submit(check.runs)
        until(lambda: local_api.requests)
        check.close()
        assert looking.result(timeout=2) is False
    assert not check.runs()


def test_the_home_is_where_the_pointer_says(home, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (home / ".lmstudio-home-pointer").write_text(f"{elsewhere}\n")
    assert lm_studio_home(home) == elsewhere


@pytest.mark.parametrize("pointer", ["", "relative", "/no/such/folder", "\x00"])
def test_a_useless_pointer_is_ignored(home, pointer):
    (home / ".lmstudio-home-pointer").write_text(pointer)
    assert lm_studio_home(home) == home / ".lmstudio"


def test_the_older_folder_is_the_home_where_it_exists(home):
    (home / ".cache" / "lm-studio").mkdir(parents=True)
    assert lm_studio_home(home) == home / ".cache" / "lm-studio"


@pytest.mark.parametrize("folder", [".lmstudio/bin", ".cache/lm-studio/bin"])
def test_lms_is_found_where_lm_studio_installs_it(home, folder):
    fake = FakeLms(home / folder)
    assert find_lms({}, home) == fake.path
    assert find_lms({"PATH": "/nonexistent"}, home) == fake.path


def test_lms_on_the_path_comes_first(home, tmp_path):
    FakeLms(home / ".lmstudio" / "bin")
    on_path = FakeLms(tmp_path / "bin")
    assert find_lms({"PATH": os.pathsep.join(["", "/nonexistent", str(tmp_path / "bin")])}, home) == on_path.path


def test_the_windows_name_is_known_too(home):
    fake = FakeLms(home / ".lmstudio" / "bin")
    windows = fake.path.rename(fake.path.with_suffix(".exe"))
    assert find_lms({}, home) == windows


def test_no_lms(home, monkeypatch):
    """Neither a folder, nor a file that cannot be run, nor one in the working directory is the command."""
    (home / ".lmstudio" / "bin" / "lms").mkdir(parents=True)
    (home / ".cache" / "lm-studio" / "bin").mkdir(parents=True)
    (home / ".cache" / "lm-studio" / "bin" / "lms").write_text("")
    FakeLms(home / "here")
    monkeypatch.chdir(home / "here")
    assert find_lms({}, home) is None
    assert find_lms({"PATH": ""}, home) is None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "localhost",
        "LOCALHOST",
        "studio.localhost",
        "localhost.",
        "0.0.0.0",
        socket.gethostname(),
    ],
)
def test_this_host(host):
    assert is_this_host(f"http://{host}:1234")


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "lmstudio.example", "localhost.example", "1.2.3.4.5"])
def test_other_hosts(host):
    assert not is_this_host(f"http://{host}:1234")


def test_the_ipv6_loopback_is_this_host():
    if not Path("/proc/net/if_inet6").exists() or not Path("/proc/net/if_inet6").read_text():
        pytest.skip("this machine has no IPv6")
    assert is_this_host("http://[::1]:1234")


@pytest.mark.parametrize(
    ("url", "port"), [("http://a:1234", 1234), ("http://a", 80), ("https://a/lm", 443), ("https://a:1234/lm", 1234)]
)
def test_the_port_of_a_url(url, port):
    assert port_of(url) == port


def test_the_fake_runs_with_this_python(tmp_path):
    assert FakeLms(tmp_path / "bin").path.read_text().startswith(f"#!{sys.executable} ")
