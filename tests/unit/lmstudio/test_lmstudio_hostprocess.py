"""Is LM Studio's process up on this host: its local port, its files, and when nothing can be said."""

import json
import os
import subprocess
import sys

import pytest
from lmstudio_fake import html, json_reply, serving
from rpc_raw import raw_server

from exporter.config.model import Server
from exporter.lmstudio.hostprocess import EVERY_SECONDS, HostProcess, ProcessState
from exporter.lmstudio.wire import ServerHealth

STATUS, GREETING = "/lms-status", "/lmstudio-greeting"
SAYS = json_reply({"package": "lmstudio", "version": "0.4.24+3"})


@pytest.fixture
def local():
    """LM Studio's local server."""
    yield from serving()


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".lmstudio" / ".internal").mkdir(parents=True)
    return tmp_path


def write(home, name, document):
    file = home / ".lmstudio" / ".internal" / name
    file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")


def health(up=False, api="v1"):
    return ServerHealth("desk", "http://127.0.0.1:1234", up, api if up else None, "", (), 0.01, 1.0)


@pytest.fixture
def look(clock, home):
    """Makes lookers and closes them."""
    made = []

    def make(url="http://127.0.0.1:1234", ports=(), files=True):
        one = HostProcess(Server(name="desk", url=url), clock, home=home if files else None, ports=ports)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def port_of(server):
    return int(server.url.rpartition(":")[2])


def dead_process():
    """The id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(20)
    return ended.pid


# ---- up


def test_a_published_port_that_answers_is_the_process(local, look, home):
    local.always("GET", STATUS, SAYS)
    write(home, "http-server.json", {"host": "127.0.0.1", "pid": os.getpid(), "port": port_of(local)})
    assert look().look(health()) == ProcessState(True, "lmstudio", "0.4.24+3", os.getpid())


def test_without_files_the_well_known_ports_are_tried(local, look):
    local.always("GET", STATUS, SAYS)
    assert look(ports=(9, port_of(local)), files=False).look(health()).up


def test_an_older_version_is_known_by_its_greeting(local, look):
    local.always("GET", STATUS, json_reply({"error": "Unexpected endpoint or method. (GET /lms-status)"}))
    local.always("GET", GREETING, json_reply({"lmstudio": True}))
    assert look(ports=(port_of(local),)).look(health()) == ProcessState(True)


def test_nothing_but_these_two_is_asked_and_no_token_is_sent(local, look, home):
    local.always("GET", STATUS, html(404))
    local.always("GET", GREETING, html(404))
    look(ports=(port_of(local),)).look(health())
    assert local.paths() == [STATUS, GREETING]
    assert all("Authorization" not in headers for *_, headers in local.requests)


def test_one_that_hangs_is_up(look, home):
    """Its port takes the connection, its process is there, and it says nothing."""
    with raw_server(lambda peer: peer.hang()) as server:
        write(home, "http-server.json", {"pid": os.getpid(), "port": server.port})
        assert look().look(health()) == ProcessState(True, pid=os.getpid())
        write(home, "http-server.json", {"pid": dead_process(), "port": server.port})
        assert look().look(health()).up is False


# ---- down


def test_what_left_its_file_behind_is_down(look, home):
    write(home, "http-server.json", {"pid": dead_process(), "port": 9})
    assert look().look(health()) == ProcessState(False)


def test_a_process_id_that_another_program_has_now_does_not_mislead(look, home):
    write(home, "http-server.json", {"pid": os.getpid(), "port": 9})
    assert look().look(health()) == ProcessState(False)


def test_what_was_seen_here_and_is_gone_is_down(local, look):
    looker = look(ports=(port_of(local),))
    local.once("GET", STATUS, SAYS)
    assert looker.look(health()).up
    local.always("GET", STATUS, html(404))
    local.always("GET", GREETING, html(404))
    assert looker.look(health()) == ProcessState(False)


# ---- not known


@pytest.mark.parametrize(
    "url", ["http://192.0.2.7:1234", "http://desk.example:1234", "http://host.docker.internal:1234"]
)
def test_another_host_is_not_looked_at(local, look, home, url):
    write(home, "http-server.json", {"pid": os.getpid(), "port": port_of(local)})
    assert look(url=url, ports=(port_of(local),)).look(health()) is None
    assert local.requests == []


def test_where_nothing_speaks_for_lm_studio_nothing_is_said(look):
    assert look(ports=(9,)).look(health()) is None


def test_a_server_behind_a_tunnel_is_up_and_its_process_is_not_here(look):
    assert look(ports=(9,)).look(health(up=True)) is None


def test_another_program_is_no_lm_studio_though_one_runs_here(local, look, clock):
    local.always("GET", STATUS, SAYS)
    looker = look(ports=(port_of(local),))
    assert looker.look(health(up=True, api="openai")) is None
    clock.advance(EVERY_SECONDS)
    assert looker.look(health()) is None
    assert local.requests == []


def test_an_lm_studio_that_serves_another_port_is_another_one(local, look, home):
    local.always("GET", STATUS, SAYS)
    write(home, "http-server-config.json", {"port": 1234})
    assert look(url="http://127.0.0.1:1235", ports=(port_of(local),)).look(health()) is None
    assert look(url="http://localhost:1234", ports=(port_of(local),)).look(health()).up


def test_without_its_file_an_unusual_port_speaks_for_lm_studio_once_that_was_seen_there(local, look, clock):
    local.always("GET", STATUS, SAYS)
    looker = look(url="http://127.0.0.1:8080", ports=(port_of(local),))
    assert looker.look(health()) is None
    assert looker.look(health(up=True)).up
    assert looker.look(health()).up


@pytest.mark.parametrize(
    "document",
    ["", "{", "[]", "null", {"port": "1"}, {"port": 0}, {"port": 1 << 20}, {"pid": -1}, {"pid": 1 << 40, "port": 9}],
)
def test_files_with_anything_in_them(look, home, document):
    write(home, "http-server.json", document)
    write(home, "http-server-config.json", document if isinstance(document, str) else {})
    state = look(ports=(9,)).look(health())
    assert state is None or not state.up


# ---- cheap


def test_while_the_api_is_up_it_is_asked_once_a_minute(local, look, clock):
    local.always("GET", STATUS, SAYS)
    looker = look(ports=(port_of(local),))
    for _ in range(12):
        assert looker.look(health(up=True)).up
        clock.advance(EVERY_SECONDS / 6)
    assert len(local.requests) == 2


def test_while_the_api_is_down_each_poll_asks(local, look):
    local.always("GET", STATUS, SAYS)
    looker = look(ports=(port_of(local),))
    for _ in range(3):
        assert looker.look(health()).up
    assert len(local.requests) == 3


def test_when_the_api_comes_back_the_process_is_looked_for_at_once(local, look):
    looker = look(ports=(port_of(local),))
    local.once("GET", STATUS, SAYS, html(404), SAYS)
    local.once("GET", GREETING, html(404))
    assert [looker.look(health(up=up)).up for up in (True, False, True)] == [True, False, True]


def test_the_port_that_answered_is_asked_first_from_then_on(local, look, fake):
    fake.always("GET", STATUS, html(404))
    fake.always("GET", GREETING, html(404))
    local.always("GET", STATUS, SAYS)
    looker = look(ports=(port_of(fake), port_of(local)))
    for _ in range(3):
        assert looker.look(health()).up
    assert len(fake.requests) == 2


def test_one_that_answers_at_its_url_is_up_also_where_its_port_was_lost(local, look, clock):
    looker = look(ports=(port_of(local),))
    local.once("GET", STATUS, SAYS)
    assert looker.look(health(up=True)).up
    local.always("GET", STATUS, html(500))
    local.always("GET", GREETING, html(500))
    clock.advance(EVERY_SECONDS)
    assert looker.look(health(up=True)) == ProcessState(True)
