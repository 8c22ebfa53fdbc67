import base64
import http.client
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme
from web_fakes import make_app

from exporter.clock import ManualClock
from exporter.errors import ConfigError
from exporter.web.access import AUTHENTICATED
from exporter.web.connections import Deadline, Limits
from exporter.web.server import WebServer

PATIENCE = 20.0
HASH = bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4)).decode()
SMALL = Limits(requests=1, check_seconds=0.02)
USERS = f"basic_auth_users:\n  ann: {HASH}\n"


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answers with its method, the scheme, whether the caller is authenticated, and the body."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    words = (environ["REQUEST_METHOD"], environ["wsgi.url_scheme"], environ.get(AUTHENTICATED), body.decode())
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Frame-Options", "SAMEORIGIN")])
    return [repr(words).encode()]


class Running:
    """A server on a free port of loopback, and ways to talk to it."""

    def __init__(self, server: WebServer, context: ssl.SSLContext | None = None) -> None:
        self.server = server
        self.context = context
        self.address = ("127.0.0.1", int(server.addresses[0].rsplit(":", 1)[1]))

    def ask(
        self, method: str = "GET", path: str = "/", headers: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        if self.context:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                *self.address, timeout=PATIENCE, context=self.context
            )
        else:
            connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        with closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def silent(self) -> socket.socket:
        """A client that connects and says nothing."""
        return socket.create_connection(self.address, timeout=PATIENCE)


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def start(
            app: Any = echo, *, config: Path | None = None, context: ssl.SSLContext | None = None, **limits: Any
        ) -> Running:
            server = WebServer(
                app, ["127.0.0.1:0"], config, Limits(**({"requests": 2, "check_seconds": 0.02} | limits))
            )
            stack.callback(server.stop)
            server.start()
            return Running(server, context)

        yield start


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "web.yml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> str:
    """The lines of a web configuration file that turn TLS on, with a certificate for loopback."""
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    return "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def closed_by_server(client: socket.socket) -> bool:
    """Whether the server ends the connection before our patience does."""
    client.settimeout(PATIENCE)
    try:
        while client.recv(4096):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_requests_reach_the_application(run: Callable[..., Running]):
    running = run()
    assert running.ask()[2] == b"('GET', 'http', None, '')"
    assert running.ask("POST", "/", body=b"hello")[2] == b"('POST', 'http', None, 'hello')"


def test_the_whole_application_works_over_a_socket(run: Callable[..., Running]):
    running = run(make_app())
    status, headers, body = running.ask(path="/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'lmstudio_up{server="desk"} 1.0\n' in body
    assert headers["Server"] == "lmwatch"
    assert running.ask("POST", "/-/reload")[0] == 200, "the caller is on loopback"


def test_it_listens_on_several_addresses():
    server = WebServer(echo, ["127.0.0.1:0", "127.0.0.1:0"], limits=SMALL)
    assert server.addresses == ()
    server.start()
    try:
        ports = [int(address.rsplit(":", 1)[1]) for address in server.addresses]
        assert len(set(ports)) == 2
        for port in ports:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
                connection.request("GET", "/")
                assert connection.getresponse().status == 200
    finally:
        server.stop()
    assert server.addresses == ()


def test_an_address_without_a_host_is_every_interface():
    server = WebServer(echo, [":0"], limits=SMALL)
    server.start()
    try:
        host, port = server.addresses[0].rsplit(":", 1)
        assert host in ("[::]", "0.0.0.0")
        with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE)) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
    finally:
        server.stop()


@pytest.mark.parametrize(
    "text", ["9917", "127.0.0.1", "::1:9917", "[::1]", "http://127.0.0.1:9917", "h:99999", "h:", ""]
)
def test_a_malformed_address_is_a_configuration_error(text: str):
    with pytest.raises(ConfigError, match=r"is no address to listen on; write it like 127\.0\.0\.1:9917"):
        WebServer(echo, [text])


def test_an_address_in_use_is_an_error_and_nothing_stays_open(run: Callable[..., Running]):
    taken = run().server.addresses[0]
    server = WebServer(echo, ["127.0.0.1:0", taken], limits=SMALL)
    threads = set(threading.enumerate())
    with pytest.raises(ConfigError, match=rf"cannot listen on {taken}: .*in use"):
        server.start()
    assert server.addresses == ()
    for thread in set(threading.enumerate()) - threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_stopping_twice_or_without_starting_does_nothing():
    server = WebServer(echo, ["127.0.0.1:0"], limits=SMALL)
    server.stop()
    server.start()
    server.stop()
    server.stop()


def test_it_can_be_started_again_after_stopping():
    server = WebServer(echo, ["127.0.0.1:0"], limits=SMALL)
    for _ in range(2):
        server.start()
        assert Running(server).ask()[0] == 200
        server.stop()


def test_silent_clients_leave_the_workers_to_others(run: Callable[..., Running]):
    """More of them than there are workers."""
    running = run(requests=2)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(running.silent())
        assert running.ask()[0] == 200


def test_silent_clients_leave_a_tls_server_to_others(
    run: Callable[..., Running], write_config: Callable[[str], Path], tls: str, trusting: ssl.SSLContext
):
    running = run(config=write_config(tls), context=trusting, requests=2)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(running.silent())
        assert running.ask()[2] == b"('GET', 'https', False, '')"


def test_clients_that_shake_hands_and_say_nothing_leave_the_workers_to_others(
    run: Callable[..., Running], write_config: Callable[[str], Path], tls: str, trusting: ssl.SSLContext
):
    running = run(config=write_config(tls), context=trusting, requests=1)
    with ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(running.silent())
            wrapped = stack.enter_context(trusting.wrap_socket(client, server_hostname="127.0.0.1"))
        assert running.ask()[0] == 200
        wrapped.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert wrapped.recv(15) == b"HTTP/1.1 200 OK"


def test_clients_that_stop_in_the_handshake_cost_a_worker_for_the_deadline_only(
    run: Callable[..., Running], write_config: Callable[[str], Path], tls: str, trusting: ssl.SSLContext
):
    running = run(config=write_config(tls), context=trusting, requests=1, handshake_seconds=0.2)
    with running.silent() as client:
        client.sendall(b"\x16\x03\x01\x02\x00")
        assert running.ask()[0] == 200
        assert closed_by_server(client)


def test_a_client_that_sends_byte_by_byte_is_cut_off(run: Callable[..., Running]):
    """Each byte comes in time, the request as a whole does not."""
    running = run(requests=1, request_seconds=0.3)
    stop = threading.Event()

    def drip(client: socket.socket) -> None:
        try:
            client.sendall(b"GET / HTTP/1.1\r\nX: ")
            while not stop.wait(0.02):
                client.sendall(b"x")
        except OSError:
            pass

    with running.silent() as client:
        thread = threading.Thread(target=drip, args=(client,))
        thread.start()
        try:
            assert running.ask()[0] == 200
        finally:
            stop.set()
            thread.join()


def test_a_client_that_does_not_take_its_answer_is_cut_off(run: Callable[..., Running]):
    def large(_environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(64 * 1024**2))])
        return [b"x" * 64 * 1024**2]

    running = run(large, requests=1, response_seconds=0.3)
    with running.silent() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        # The only worker is busy with the first client until that is given up.
        with running.silent() as second:
            second.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert second.recv(15) == b"HTTP/1.1 200 OK"


def test_stopping_does_not_wait_for_a_client_that_does_not_take_its_answer(run: Callable[..., Running]):
    answering = threading.Event()

    def large(_environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(64 * 1024**2))])
        answering.set()
        return [b"x" * 64 * 1024**2]

    running = run(large, stop_seconds=0.1, response_seconds=10 * PATIENCE)
    with running.silent() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert answering.wait(PATIENCE)
        stopping = threading.Thread(target=running.server.stop)
        stopping.start()
        stopping.join(PATIENCE)
        assert not stopping.is_alive()


def test_requests_beyond_workers_and_queue_are_answered_with_503(run: Callable[..., Running]):
    release = threading.Event()
    entered = threading.Semaphore(0)

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        entered.release()
        release.wait(PATIENCE)
        return echo(environ, start_response)

    running = run(slow, requests=1, queued=1)
    with ExitStack() as stack:
        stack.callback(release.set)
        clients = [stack.enter_context(running.silent()) for _ in range(4)]
        clients[0].sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert entered.acquire(timeout=PATIENCE)
        for client in clients[1:]:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        # One of the three waits in the queue, for the two others there is no place.
        waiting = set(clients[1:])
        while len(waiting) > 1:
            readable, _, _ = select.select(list(waiting), [], [], PATIENCE)
            assert readable, "nobody was answered"
            for client in readable:
                assert client.recv(12) == b"HTTP/1.1 503"
                waiting.discard(client)
        release.set()
        assert waiting.pop().recv(12) == b"HTTP/1.1 200"


def test_a_connection_without_requests_is_closed_in_time(run: Callable[..., Running]):
    running = run(idle_seconds=0.2)
    with running.silent() as client:
        assert closed_by_server(client)


def test_a_connection_serves_several_requests(run: Callable[..., Running]):
    running = run()
    with closing(http.client.HTTPConnection(*running.address, timeout=PATIENCE)) as connection:
        for _ in range(3):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"('GET', 'http', None, '')"


def test_all_reads_of_a_request_share_one_deadline_and_the_next_request_has_its_own():
    clock = ManualClock()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        deadline = Deadline(ours, 5.0, clock)
        theirs.sendall(b"abc")
        clock.advance(100)
        assert deadline.recv_into(bytearray(1)) == 1, "the time begins with the first byte that is asked for"
        clock.advance(3)
        assert deadline.recv_into(bytearray(1)) == 1
        assert ours.gettimeout() == 2
        clock.advance(2)
        with pytest.raises(TimeoutError):
            deadline.recv_into(bytearray(1))
        with pytest.raises(TimeoutError):
            deadline.send(b"x")
        deadline.restart()
        assert deadline.recv_into(bytearray(1)) == 1


def test_connections_above_the_limit_are_closed(run: Callable[..., Running]):
    running = run(connections=3)
    with ExitStack() as stack:
        clients = [stack.enter_context(running.silent()) for _ in range(6)]
        assert closed_by_server(clients[-1])


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_requests_that_are_too_large_or_no_http_are_refused(
    run: Callable[..., Running], request_text: bytes, status: bytes
):
    running = run()
    with running.silent() as client:
        client.sendall(request_text)
        assert client.recv(64).split()[1] == status
    assert running.ask()[0] == 200


def test_plain_http_to_a_tls_port_is_refused_and_harms_nobody(
    run: Callable[..., Running], write_config: Callable[[str], Path], tls: str, trusting: ssl.SSLContext
):
    running = run(config=write_config(tls), context=trusting, requests=1)
    with running.silent() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert closed_by_server(client)
    assert running.ask()[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (basic("ann", "hunter2"), 200),
        (basic("ann", "hunter3"), 401),
        (basic("bob", "hunter2"), 401),
        ({"Authorization": "Basic !!!"}, 401),
        ({"Authorization": "Bearer hunter2"}, 401),
    ],
)
def test_every_request_needs_the_credentials_of_a_user_in_the_file(
    run: Callable[..., Running], write_config: Callable[[str], Path], headers: dict[str, str], status: int
):
    running = run(config=write_config(USERS))
    answered, received, body = running.ask(headers=headers)
    assert answered == status
    if status == 200:
        assert body == b"('GET', 'http', True, '')"
    else:
        assert received["WWW-Authenticate"].startswith("Basic ")


def test_without_users_in_the_file_nobody_counts_as_authenticated(
    run: Callable[..., Running], write_config: Callable[[str], Path]
):
    running = run(config=write_config("http_server_config: {}\n"))
    assert running.ask()[2] == b"('GET', 'http', False, '')"


def test_headers_of_the_file_replace_those_of_the_application(
    run: Callable[..., Running], write_config: Callable[[str], Path]
):
    config = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=60\n"
    running = run(config=write_config(config + USERS))
    for credentials in ({}, basic("ann", "hunter2")):
        _, headers, _ = running.ask(headers=credentials)
        assert headers["X-Frame-Options"] == "deny"
        assert headers["Strict-Transport-Security"] == "max-age=60"


def test_users_follow_the_file_while_the_server_runs(run: Callable[..., Running], write_config: Callable[[str], Path]):
    running = run(config=write_config(USERS))
    assert running.ask(headers=basic("ann", "hunter2"))[0] == 200
    write_config(USERS.replace("ann", "bob"))
    assert running.ask(headers=basic("ann", "hunter2"))[0] == 401
    assert running.ask(headers=basic("bob", "hunter2"))[0] == 200


def test_a_file_that_breaks_while_the_server_runs_locks_everybody_out(
    run: Callable[..., Running], write_config: Callable[[str], Path]
):
    running = run(config=write_config(USERS))
    path = write_config("basic_auth_users: nonsense\n")
    status, _, body = running.ask(headers=basic("ann", "hunter2"))
    assert status == 500
    assert str(path).encode() not in body
    write_config(USERS)
    assert running.ask(headers=basic("ann", "hunter2"))[0] == 200


def test_a_file_that_is_wrong_at_the_start_is_a_configuration_error(write_config: Callable[[str], Path]):
    with pytest.raises(ConfigError, match=r"web\.yml"):
        WebServer(echo, ["127.0.0.1:0"], write_config("basic_auth_users: nonsense\n"))


def test_a_verified_client_certificate_counts_as_authentication(
    run: Callable[..., Running],
    write_config: Callable[[str], Path],
    tls: str,
    authority: trustme.CA,
    trusting: ssl.SSLContext,
):
    authority.cert_pem.write_to_path(write_config("").with_name("ca.pem"))
    config = tls + "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"
    running = run(config=write_config(config), context=trusting)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        running.ask()
    authority.issue_cert("client@example.org").configure_cert(trusting)
    assert running.ask()[2] == b"('GET', 'https', True, '')"


def test_tls_that_is_taken_out_of_the_file_does_not_fall_back_to_plain_http(
    run: Callable[..., Running], write_config: Callable[[str], Path], tls: str, trusting: ssl.SSLContext
):
    running = run(config=write_config(tls), context=trusting)
    assert running.ask()[0] == 200
    write_config("http_server_config: {}\n")
    with running.silent() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert closed_by_server(client)
