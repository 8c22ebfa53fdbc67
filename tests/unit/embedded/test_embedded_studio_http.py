"""Connections: kept alive, closed when idle, cut when the server stops; the port that is kept."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from embedded_support import Client, chat, wait_until

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.errors import LmwatchError

MakeStudio = Callable[..., StudioServer]
GET = b"GET /lmstudio-greeting HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        yield connection


def read_greeting(connection: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b'{"lmstudio": true}'):
        data = connection.recv(4096)
        assert data, got
        got += data
    return got


def test_a_connection_serves_one_request_after_the_other(studio: StudioServer) -> None:
    with connected(studio.port) as connection:
        for _ in range(3):
            connection.sendall(GET)
            assert b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n" in read_greeting(connection)


def test_an_idle_connection_is_closed(make_studio: MakeStudio) -> None:
    studio = make_studio(keep_alive_seconds=0.1)
    with connected(studio.port) as connection:
        connection.sendall(GET)
        assert b"Keep-Alive: timeout=0.1" in read_greeting(connection)
        assert connection.recv(1) == b""


def test_a_request_may_come_in_more_slowly_than_a_connection_may_be_idle(make_studio: MakeStudio) -> None:
    studio = make_studio(keep_alive_seconds=0.05)
    with connected(studio.port) as connection:
        connection.sendall(GET[:-2])
        time.sleep(0.2)
        connection.sendall(GET[-2:])
        assert b"200 OK" in read_greeting(connection)


def test_a_client_that_wants_no_second_request_gets_none(studio: StudioServer) -> None:
    with connected(studio.port) as connection:
        connection.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert b"Connection: close" in read_greeting(connection)
        assert connection.recv(1) == b""


def test_http_1_0_gets_its_stream_without_chunks(studio: StudioServer) -> None:
    body = b'{"model":"x","stream":true,"messages":[{"role":"user","content":"x"}]}'
    head = b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
    with connected(studio.port) as connection:
        connection.sendall(head + body)
        got = b""
        while data := connection.recv(4096):
            got += data
    assert got.endswith(b"data: [DONE]\n\n")
    assert b"chunked" not in got
    assert got.count(b"Connection: close\r\n") == 1


@pytest.mark.parametrize(
    "head",
    [b"nonsense\r\n\r\n", b"POST /v1/models HTTP/1.1\r\nContent-Length: many\r\n\r\n",
     b"POST /v1/models HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
     b"POST /v1/models HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_a_400_and_the_end(studio: StudioServer, head: bytes) -> None:
    with connected(studio.port) as connection:
        connection.sendall(head)
        got = b""
        while data := connection.recv(4096):
            got += data
    assert b" 400 " in got.split(b"\r\n")[0]


def test_head_has_no_body(studio: StudioServer) -> None:
    with connected(studio.port) as connection:
        connection.sendall(b"HEAD /nothing HTTP/1.1\r\nConnection: close\r\n\r\n")
        got = b""
        while data := connection.recv(4096):
            got += data
    assert got.endswith(b"\r\n\r\n")


def test_the_port_is_kept_when_started_again(make_studio: MakeStudio) -> None:
    studio = make_studio()
    url = studio.url
    studio.stop()
    with pytest.raises(ConnectionError):
        Client(studio.port).get("/lmstudio-greeting")
    studio.start()
    assert studio.url == url
    assert Client(studio.port).get("/lmstudio-greeting").status == 200


def test_starting_twice_and_a_taken_port_are_told(studio: StudioServer, engine: ScriptedEngine) -> None:
    with pytest.raises(LmwatchError, match="runs already"):
        studio.start()
    with pytest.raises(LmwatchError, match=f"cannot listen on 127.0.0.1:{studio.port}"):
        StudioServer([engine], port=studio.port).start()


def test_stopping_cuts_open_connections(make_studio: MakeStudio) -> None:
    studio = make_studio()
    with connected(studio.port) as connection:
        connection.sendall(GET)
        read_greeting(connection)
        studio.stop()
        assert connection.recv(1) == b""
    studio.stop()


def test_many_clients_at_once(make_studio: MakeStudio) -> None:
    engine = ScriptedEngine(lambda asked: asked.messages[-1]["content"], parallel=32)
    client = Client(make_studio(engine).port)
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda n: client.post("/v1/chat/completions", chat(f"number {n}")).json, range(64))
        said = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert said == [f"number {n}" for n in range(64)]
    wait_until(lambda: len(engine.asked) == 64, "all were asked")


def test_it_listens_where_it_is_told_to_and_nowhere_else() -> None:
    with StudioServer([ScriptedEngine(["yes"])], host="127.0.0.2") as studio:
        assert studio.url == f"http://127.0.0.2:{studio.port}"
        with socket.create_connection(("127.0.0.2", studio.port), timeout=30) as connection:
            connection.sendall(GET)
            assert b"200 OK" in read_greeting(connection)
        with pytest.raises(ConnectionRefusedError), connected(studio.port):
            pass


def test_all_addresses_are_reached_by_loopback() -> None:
    assert StudioServer([], host="0.0.0.0", port=1234).url == "http://127.0.0.1:1234"


def test_a_host_of_another_machine_is_refused_with_its_name() -> None:
    with pytest.raises(LmwatchError, match=r"cannot listen on 192\.0\.2\.1:0: "):
        StudioServer([], host="192.0.2.1").start()
