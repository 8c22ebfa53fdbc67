"""The ways to a server: TLS as tls_config says, HTTP proxies, the environment."""

import contextlib
import shutil
import socket
import ssl
import threading

import pytest
import trustme
from rpc_raw import good, raw_server

from exporter.clock import ManualClock
from exporter.config.base import Surroundings
from exporter.config.model import Server
from exporter.lmstudio.rpc import RpcClient

GENEROUS = 20.0


def look(**config):
    client = RpcClient(Server(name="desk", rpc="on", **config), ManualClock())
    state = client.look(GENEROUS)
    client.close()
    return state, client.problem


# ---- TLS


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def secured(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("lm.example").configure_cert(context)
    with raw_server(good, context) as server:
        yield server


@pytest.fixture
def ca_file(authority, tmp_path):
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file


def test_https_becomes_wss_with_the_authority_and_the_name_of_tls_config(secured, ca_file):
    state, problem = look(url=secured.url, tls_config={"ca_file": ca_file, "server_name": "lm.example"})
    assert (state.info.version, problem) == ("0.4.24", "")


def test_a_certificate_of_another_name_is_refused(secured, ca_file):
    state, problem = look(url=secured.url, tls_config={"ca_file": ca_file})
    assert state is None
    assert problem.startswith(f"wss://127.0.0.1:{secured.port}/system: TLS failed")


def test_an_unknown_authority_is_refused_unless_verification_is_off(secured):
    assert look(url=secured.url)[0] is None
    assert look(url=secured.url, tls_config={"insecure_skip_verify": True})[0] is not None


def test_a_server_without_tls_where_tls_is_configured():
    with raw_server(good) as server:
        state, problem = look(url=server.url.replace("http:", "https:"), tls_config={"insecure_skip_verify": True})
        server.errors.clear()
    assert state is None
    assert "connection lost" in problem


# ---- proxies


class ConnectProxy:
    """An HTTP proxy that connects wherever it is asked to, or answers with another status."""

    def __init__(self, status=200):
        self.status = status
        self.requests = []
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._start(self._serve, sock)

    def _start(self, target, *args):
        self._threads.append(threading.Thread(target=target, args=args, daemon=True))
        self._threads[-1].start()

    def _serve(self, client):
        self._sockets.append(client)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        self.requests.append(head.decode())
        client.sendall(b"HTTP/1.1 %d Whatever\r\nVia: test\r\n\r\n" % self.status)
        if self.status == 200:
            host, _, port = head.split()[1].decode().rpartition(":")
            upstream = socket.create_connection((host, int(port)))
            self._sockets.append(upstream)
            self._start(self._pass, upstream, client)
            self._pass(client, upstream)
        else:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _pass(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for sock in (self._listener, *self._sockets):
            sock.close()


@pytest.fixture
def proxy():
    made = []

    def make(status=200):
        made.append(ConnectProxy(status))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def server():
    with raw_server(good) as one:
        yield one


def test_a_websocket_goes_through_an_http_proxy_with_its_credentials(server, proxy, tmp_path):
    through = proxy()
    config = {"name": "desk", "url": server.url, "proxy_url": f"http://me:${{PASSWORD}}@127.0.0.1:{through.port}"}
    surroundings = Surroundings(tmp_path, {"PASSWORD": "p%40ss"})
    client = RpcClient(Server.model_validate(config, context=surroundings), ManualClock())
    assert client.look(GENEROUS) is not None
    client.close()
    assert len(through.requests) == 3
    for request in through.requests:
        assert request.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in request


def test_tls_goes_through_a_proxy_to_the_server_itself(secured, ca_file, proxy):
    tls = {"ca_file": ca_file, "server_name": "lm.example"}
    state, _ = look(url=secured.url, tls_config=tls, proxy_url=f"http://127.0.0.1:{proxy().port}")
    assert state is not None


def test_a_proxy_that_refuses_is_named(server, proxy):
    state, problem = look(url=server.url, proxy_url=f"http://127.0.0.1:{proxy(407).port}")
    assert state is None
    assert "the proxy did not connect: status 407" in problem
    assert server.peers == []


def test_an_https_proxy_cannot_be_used_and_says_so(server):
    state, problem = look(url=server.url, proxy_url="https://127.0.0.1:1")
    assert state is None
    assert "only go through an http proxy" in problem


@pytest.fixture
def named_by_environment(proxy, monkeypatch):
    """A proxy that the environment names."""
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    through = proxy()
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{through.port}")
    return through


@pytest.mark.parametrize("asked", [True, False])
def test_the_environment_names_a_proxy_where_the_configuration_asks_for_it(server, named_by_environment, asked):
    assert look(url=server.url, proxy_from_environment=asked)[0] is not None
    assert len(named_by_environment.requests) == (3 if asked else 0)


def test_the_environment_excepts_hosts_from_its_proxy(server, named_by_environment, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert look(url=server.url, proxy_from_environment=True)[0] is not None
    assert named_by_environment.requests == []


def test_a_rotated_authority_file_is_read_anew(secured, ca_file, tmp_path):
    current = tmp_path / "current.pem"
    trustme.CA().cert_pem.write_to_path(current)
    clock = ManualClock()
    tls = {"ca_file": current, "server_name": "lm.example"}
    client = RpcClient(Server(name="desk", url=secured.url, rpc="on", tls_config=tls), clock)
    assert client.look(GENEROUS) is None
    shutil.copy(ca_file, current)
    clock.advance(3600)
    assert client.look(GENEROUS) is not None
    client.close()
