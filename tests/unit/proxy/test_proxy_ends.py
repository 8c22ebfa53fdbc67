"""How connections end: who leaves, who is told, what is tried again, and what is not."""

import json
import socket
import threading
import time

import pytest
from proxy_wire import (
    EVENTS_HEAD,
    LAST_CHUNK,
    answer,
    chunk,
    connect,
    make_proxy,
    passing,
    request,
    wait_until,
)

from exporter.clock import ManualClock
from exporter.proxy import passage
from exporter.proxy.passage import MAX_KEPT_BYTES

CHAT = json.dumps({"model": "qwen/qwen3-4b", "stream": True, "messages": []}).encode()
TOKEN = chunk(b'data: {"model":"qwen/qwen3-4b","choices":[{"delta":{"content":"a"}}]}\n\n')
FINISH = chunk(b'data: {"model":"qwen/qwen3-4b","choices":[{"delta":{},"finish_reason":"stop"}]}\n\n')
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def wait_for_the_end(line):
    """The other side closes in good order, and says nothing more."""
    assert line.sock.recv(1) == b""


class TestAClientThatLeaves:
    @pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
    @pytest.mark.parametrize("tokens", [0, 3])
    def test_ends_the_request_at_the_server(self, books, tokens, reset):
        """While the prompt is read, and while an answer streams."""
        left = threading.Event()

        def script(line):
            line.hear(len(request(CHAT)))
            if tokens:
                line.say(EVENTS_HEAD + TOKEN * tokens)
            wait_for_the_end(line)
            left.set()

        with passing(script, books) as (upstream, proxy):
            client = connect(proxy)
            client.say(request(CHAT))
            if tokens:
                client.hear(len(EVENTS_HEAD + TOKEN * tokens))
            wait_until(lambda: upstream.lines and upstream.lines[0].heard == request(CHAT), "the request arrived")
            client.reset() if reset else client.close()
            assert left.wait(10), "the server was never told"
            assert books.one_failure().reason == "cancelled"
            wait_until(lambda: proxy.connections == 0, "the thread of the connection ended")

    def test_in_the_middle_of_its_request_ends_it_too(self, books):
        left = threading.Event()

        def script(line):
            line.hear(len(request(CHAT)) - 5)
            wait_for_the_end(line)
            left.set()

        with passing(script, books) as (_, proxy):
            with connect(proxy) as client:
                client.say(request(CHAT)[:-5])
                client.sock.shutdown(socket.SHUT_WR)
                assert client.hear_all() == b""
            assert left.wait(10)
            assert books.one_failure().reason == "cancelled"

    def test_after_the_finish_reason_has_got_its_answer(self, books):
        """Clients that stop reading at the last event don't wait for the end of the chunks."""

        def script(line):
            line.hear(len(request(CHAT)))
            line.say(EVENTS_HEAD + TOKEN + FINISH)
            wait_for_the_end(line)

        with passing(script, books) as (_, proxy):
            with connect(proxy) as client:
                client.say(request(CHAT))
                client.hear(len(EVENTS_HEAD + TOKEN + FINISH))
            assert books.one_prediction().finish_reason == "stop"

    def test_from_a_websocket_ends_that(self):
        def script(line):
            line.hear_until(b"\r\n\r\n")
            line.say(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            wait_for_the_end(line)

        with passing(script) as (_, proxy):
            with connect(proxy) as client:
                client.say(b"GET /llm HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
                client.hear_until(b"\r\n\r\n")
            wait_until(lambda: proxy.connections == 0, "the tunnel ended")


class TestAServerThatDies:
    @pytest.mark.parametrize(
        "began",
        [
            EVENTS_HEAD + TOKEN + b"5\r\nda",
            EVENTS_HEAD,
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
        ],
        ids=["in a chunk", "before the first", "before the length"],
    )
    def test_in_the_middle_of_an_answer_ends_the_client_there(self, books, began):
        """The client gets what there was, and no end that the server did not send."""

        def script(line):
            line.hear(len(request(CHAT)))
            line.say(began)

        with passing(script, books) as (_, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            assert client.hear_all() == began
            assert books.one_failure().reason == "stream_cut"
            wait_until(lambda: books.responses, "the status was counted")
            assert books.responses == [("desk", "qwen/qwen3-4b", 200)]

    def test_by_a_reset_resets_the_client(self, books):
        """An answer that lasts until the connection closes would else look complete."""
        cut = threading.Event()

        def script(line):
            line.hear(len(request(CHAT)))
            line.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhalf of")
            assert cut.wait(10)
            line.reset()

        with passing(script, books) as (_, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear_until(b"half of")
            cut.set()
            with pytest.raises(ConnectionResetError):
                client.sock.recv(1)
            assert books.one_failure().reason == "stream_cut"

    def test_by_a_reset_after_the_answer_lets_the_client_have_it(self, books):
        """A server that refuses a body and closes without reading it resets; the refusal must not be lost by that."""
        refusal = answer(b"no", "text/plain", "Connection: close", status="413 Too Large")

        def script(line):
            line.hear_until(b"\r\n\r\n")
            line.say(refusal)
            line.reset()

        with passing(script, books) as (_, proxy), connect(proxy) as client:
            client.say(request(CHAT)[:-5])
            assert client.hear_all() == refusal
            assert books.one_failure().reason == "invalid_request"

    def test_before_the_answer_was_never_reached(self, books):
        def script(line):
            line.hear(len(request(CHAT)))

        with passing(script, books) as (upstream, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            assert client.hear_all() == b""
            assert books.one_failure().reason == "unreachable"
            assert len(upstream.lines) == 1, "a new connection that breaks is no stale one: nothing is sent twice"
            assert books.responses == []

    def test_after_the_last_event_has_answered(self, books):
        """Without a length, the end of the connection is the end of the answer."""

        def script(line):
            line.hear(len(request(CHAT)))
            line.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            line.say(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n')

        with passing(script, books) as (_, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear_all()
            assert books.one_prediction().model == "qwen/qwen3-4b"


class TestAnIdleConnection:
    def test_is_used_again(self):
        def script(line):
            for _ in range(3):
                line.hear(len(request(CHAT)))
                line.say(answer(b"{}"))

        with passing(script) as (upstream, proxy), connect(proxy) as client:
            for _ in range(3):
                client.say(request(CHAT))
                assert client.hear(len(answer(b"{}"))) == answer(b"{}")
            assert len(upstream.lines) == 1

    def test_that_the_server_closes_is_closed_a_little_later(self):

        def script(line):
            line.hear(len(request(CHAT)))
            line.say(answer(b"{}"))

        with passing(script) as (_, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            assert client.hear_all() == answer(b"{}")

    @pytest.mark.parametrize("how", ["close", "reset"])
    def test_that_the_server_closes_is_replaced_for_the_next_request(self, monkeypatch, how):
        """As LM Studio does after five seconds; a request that is on its way at that moment is not lost."""
        monkeypatch.setattr(passage, "GRACE_SECONDS", 60.0)

        def script(line):
            line.hear(len(request(CHAT)))
            line.say(answer(b"{}"))
            line.reset() if how == "reset" else line.close()

        with passing(script) as (upstream, proxy), connect(proxy) as client:
            for number in range(1, 4):
                client.say(request(CHAT))
                assert client.hear(len(answer(b"{}"))) == answer(b"{}")
                assert len(upstream.lines) == number

    @pytest.mark.parametrize(
        ("asked", "answered"),
        [
            (request(CHAT), answer(b"{}", "application/json", "Connection: close")),
            (request(CHAT, "/v1/chat/completions", "Connection: Keep-Alive, Close"), answer(b"{}")),
            (b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
            (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        ],
    )
    def test_that_was_to_be_closed_is_closed_at_once(self, monkeypatch, asked, answered):
        """The client may wait for that."""
        monkeypatch.setattr(passage, "GRACE_SECONDS", 3600.0)

        def script(line):
            line.hear(len(asked))
            line.say(answered)

        with passing(script) as (_, proxy), connect(proxy) as client:
            client.say(asked)
            assert client.hear_all() == answered

    @pytest.mark.parametrize("how", ["close", "reset"])
    def test_that_breaks_under_the_next_request_is_replaced_once(self, books, how):
        def script(line):
            line.hear(len(request(CHAT)))
            if len(upstream.lines) > 1:
                line.say(answer(b'{"choices":[{"message":{"content":"new"}}]}'))
                line.hear_all()
                return
            line.say(answer(b'{"choices":[{"message":{"content":"old"}}]}'))
            line.hear(len(request(CHAT)))
            line.reset() if how == "reset" else line.close()

        with passing(script, books, clock=ManualClock()) as (upstream, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear_until(b'"old"}}]}')
            client.say(request(CHAT))
            client.hear_until(b'"new"}}]}')
            assert [line.heard for line in upstream.lines] == [request(CHAT) * 2, request(CHAT)]
            wait_until(lambda: len(books.predictions) == 2, "both were counted")
            assert not books.failures

    def test_that_breaks_twice_is_not_replaced_again(self, books):
        def script(line):
            line.hear(len(request(CHAT)))
            if len(upstream.lines) == 1:
                line.say(answer(b'{"choices":[{"message":{"content":"old"}}]}'))
                line.hear(len(request(CHAT)))

        with passing(script, books, clock=ManualClock()) as (upstream, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear_until(b'"old"}}]}')
            client.say(request(CHAT))
            assert client.hear_all() == b""
            assert len(upstream.lines) == 2
            wait_until(lambda: books.reasons == ["unreachable"], "the second was counted as lost")

    def test_that_breaks_later_is_a_break(self, books):
        """Somebody may have worked on the request meanwhile: it is not sent twice."""
        clock = ManualClock()

        def script(line):
            line.hear(len(request(CHAT)))
            line.say(answer(b'{"choices":[{"message":{"content":"old"}}]}'))
            line.hear(len(request(CHAT)))
            clock.advance(5)

        with passing(script, books, clock=clock) as (upstream, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear_until(b'"old"}}]}')
            client.say(request(CHAT))
            assert client.hear_all() == b""
            assert len(upstream.lines) == 1

    def test_that_breaks_under_a_large_request_is_a_break(self):
        large = request(b"x" * (MAX_KEPT_BYTES + 1))

        def script(line):
            line.hear(len(request(CHAT)))
            line.say(answer(b"{}"))
            line.hear(len(large))
            line.reset()

        with passing(script) as (upstream, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear(len(answer(b"{}")))
            client.say(large)
            with pytest.raises(ConnectionResetError):
                client.sock.recv(1)
            assert len(upstream.lines) == 1

    def test_that_breaks_after_an_answer_began_is_a_break(self):
        def script(line):
            line.hear(len(request(CHAT)))
            line.say(answer(b"{}"))
            line.hear(len(request(CHAT)))
            line.say(b"HTTP/1.1 200")

        with passing(script) as (upstream, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear(len(answer(b"{}")))
            client.say(request(CHAT))
            assert client.hear_all() == b"HTTP/1.1 200"
            assert len(upstream.lines) == 1


class TestAServerThatIsNotThere:
    @pytest.fixture
    def nowhere(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

    @pytest.fixture
    def proxy(self, nowhere, books):
        proxy = make_proxy(nowhere, books)
        proxy.start()
        yield proxy
        proxy.stop(0)

    def test_is_reported_with_502_in_openai_s_shape(self, proxy, books, nowhere):
        with connect(proxy) as client:
            client.say(request(CHAT))
            head, _, body = client.hear_all().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert b"\r\nContent-Length: %d\r\n" % len(body) in head
        error = json.loads(body)["error"]
        assert error["message"].startswith(f"lmwatch: server 'desk' at {nowhere} cannot be reached: ")
        assert (error["type"], error["code"]) == ("server_error", "upstream_unreachable")
        assert books.one_failure().reason == "unreachable"
        assert books.failures[0][:2] == ("desk", "qwen/qwen3-4b")
        assert books.responses == [("desk", "qwen/qwen3-4b", 502)]

    def test_is_reported_to_a_client_that_is_still_sending(self, proxy, books):
        """The model is named in a body that comes after the answer is certain."""
        with connect(proxy) as client:
            client.say(request(CHAT)[:-20])
            client.hear_until(b"\r\n\r\n")
            client.say(request(CHAT)[-20:])
            client.hear_all()
        assert books.one_failure().reason == "unreachable"
        assert books.failures[0][1] == "qwen/qwen3-4b"

    def test_is_no_failure_of_a_model_where_none_was_asked(self, proxy, books):
        with connect(proxy) as client:
            client.say(b"GET /v1/models HTTP/1.1\r\n\r\n")
            assert client.hear_all().startswith(b"HTTP/1.1 502")
        wait_until(lambda: books.responses == [("desk", "", 502)], "the status was counted")
        assert not books.failures

    def test_that_vanished_meanwhile_is_reported_too(self, books):
        """The idle connection turns out to be closed, and there is no new one."""

        def script(line):
            line.hear(len(request(CHAT)))
            upstream.stop_listening()
            line.say(answer(b"{}"))
            line.hear(len(request(CHAT)))
            line.reset()

        with passing(script, books, clock=ManualClock()) as (upstream, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear(len(answer(b"{}")))
            client.say(request(CHAT))
            assert client.hear_all().startswith(b"HTTP/1.1 502")

    def test_is_tried_anew_with_the_next_connection(self, books):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
        proxy = make_proxy(f"http://127.0.0.1:{address[1]}", books)
        proxy.start()
        try:
            with connect(proxy) as client:
                client.say(request(CHAT))
                assert client.hear_all().startswith(b"HTTP/1.1 502")
            with socket.create_server(address) as listener, connect(proxy) as client:
                client.say(request(CHAT))
                with listener.accept()[0] as server:
                    assert server.recv(10) == request(CHAT)[:10]
        finally:
            proxy.stop(0)


def test_a_client_that_says_nothing_does_not_bother_the_server(books):
    with passing(lambda line: line.hear_all(), books) as (upstream, proxy):
        with connect(proxy):
            wait_until(lambda: proxy.connections == 1, "the client was accepted")
        wait_until(lambda: proxy.connections == 0, "the client left")
        assert not upstream.lines


class TestStopping:
    def test_lets_an_answer_under_way_end(self, books):
        """The connection ends with it; no new one is accepted meanwhile."""
        stopping = threading.Event()

        def script(line):
            line.hear(len(request(CHAT)))
            line.say(EVENTS_HEAD + TOKEN)
            assert stopping.wait(10)
            line.say(FINISH + LAST_CHUNK)
            line.hear_all()

        with passing(script, books) as (_, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear(len(EVENTS_HEAD + TOKEN))
            thread = threading.Thread(target=proxy.stop, args=(10,))
            address = proxy.address
            thread.start()
            wait_until(lambda: not proxy.address, "the proxy stopped listening")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))
            stopping.set()
            assert client.hear_all() == FINISH + LAST_CHUNK
            thread.join(10)
            assert not thread.is_alive()
            assert books.one_prediction()

    def test_cuts_off_what_does_not_end_in_time(self, books):
        def script(line):
            line.hear(len(request(CHAT)))
            line.say(EVENTS_HEAD + TOKEN)
            wait_for_the_end(line)

        with passing(script, books) as (_, proxy), connect(proxy) as client:
            client.say(request(CHAT))
            client.hear(len(EVENTS_HEAD + TOKEN))
            proxy.stop(0.05)
            assert client.hear_all() == b""
            assert books.one_failure().reason == "cancelled"

    def test_does_not_wait_for_idle_connections_and_websockets(self):
        def script(line):
            first = line.hear_until(b"\r\n\r\n")
            line.say(SWITCHING if b"Upgrade" in first else answer(b""))
            line.hear_all()

        with passing(script) as (_, proxy), connect(proxy) as idle, connect(proxy) as tunnel, connect(proxy) as silent:
            idle.say(b"GET / HTTP/1.1\r\n\r\n")
            idle.hear_until(b"\r\n\r\n")
            tunnel.say(b"GET /llm HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
            tunnel.hear_until(b"\r\n\r\n")
            proxy.stop(3600)
            assert [line.hear_all() for line in (idle, tunnel, silent)] == [b"", b"", b""]

    def test_ends_a_websocket_that_opens_while_it_stops(self):
        """The server's consent to it may be on its way when the proxy is told to stop."""
        asked, stopping = threading.Event(), threading.Event()

        def script(line):
            line.hear_until(b"\r\n\r\n")
            asked.set()
            assert stopping.wait(10)
            line.say(SWITCHING)
            line.hear_all()

        with passing(script) as (_, proxy), connect(proxy) as client:
            client.say(b"GET /llm HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
            assert asked.wait(10)
            thread = threading.Thread(target=proxy.stop, args=(3600,))
            thread.start()
            wait_until(lambda: not proxy.address, "the proxy stopped listening")
            stopping.set()
            assert client.hear_all() == SWITCHING
            thread.join(10)
            assert not thread.is_alive()

    def test_cuts_off_a_client_whose_server_takes_nothing(self):
        """Nothing is read from such a client, so its connection alone would not show the end."""
        stopped = threading.Event()

        def script(line):
            line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.hear(10)
            assert stopped.wait(10)

        with passing(script) as (_, proxy), connect(proxy) as client:
            client.sock.setblocking(False)
            client.sock.send(b"POST / HTTP/1.1\r\nContent-Length: 900000000\r\n\r\n")
            blocked_since = time.monotonic()
            while time.monotonic() - blocked_since < 0.2:
                try:
                    client.sock.send(b"x" * 1_000_000)
                    blocked_since = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.01)
            proxy.stop(0)
            assert proxy.connections == 0
            stopped.set()
