"""The proxy's own address, and the server behind it when it speaks TLS."""

import json
import logging
import socket
import ssl

import pytest
import trustme
from proxy_wire import ScriptedUpstream, answer, connect, make_proxy, passing, request, wait_until

from exporter.clock import SystemClock
from exporter.config.http import TlsConfig
from exporter.config.model import Server
from exporter.errors import ConfigError, LmwatchError
from exporter.proxy import server
from exporter.proxy.server import MeteringProxy

CHAT = request(
    json.dumps({"model": "qwen/qwen3-4b"}).encode(), "/v1/chat/completions", "Authorization: Bearer sk-hidden"
)


def proxy_on(listen, url="http://127.0.0.1:9", **config):
    told = {"on_prediction": print, "on_failure": print, "on_response": print, "context_of": lambda _: None}
    return MeteringProxy(listen, Server(name="desk", url=url, **config), SystemClock(), **told)


class TestTheAddress:
    @pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0", ":0"])
    def test_is_listened_on(self, listen):
        if listen == "[::1]:0" and not socket.has_dualstack_ipv6():
            pytest.skip("no IPv6 here")
        proxy = proxy_on(listen)
        assert proxy.address == ""
        proxy.start()
        try:
            host, _, port = proxy.address.rpartition(":")
            assert int(port) > 0
            target = "127.0.0.1" if listen == ":0" else host.strip("[]")
            socket.create_connection((target, int(port)), 5).close()
        finally:
            proxy.stop(0)
        assert proxy.address == ""

    @pytest.mark.parametrize("listen", ["", "1235", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:-1"])
    def test_that_is_none_is_named(self, listen):
        with pytest.raises(ConfigError, match="is no address to listen on; write it like"):
            proxy_on(listen)

    def test_that_is_taken_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: .*in use"):
                proxy_on(f"127.0.0.1:{port}").start()

    def test_that_does_not_exist_is_named(self):
        with pytest.raises(ConfigError, match=r"cannot listen on nowhere\.invalid:0: "):
            proxy_on("nowhere.invalid:0").start()

    @pytest.mark.parametrize(
        ("listen", "host"), [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("", "127.0.0.1"), ("", "[::1]")]
    )
    def test_that_is_the_server_s_own_is_refused(self, listen, host):
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        with pytest.raises(ConfigError, match="would pass on to itself"):
            proxy_on(f"{listen}:{port}", f"http://{host}:{port}").start()

    def test_may_share_its_port_with_a_server_on_another_address(self):
        """LM Studio on the loopback address, the proxy on that of the network."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            proxy = proxy_on(f"127.0.0.2:{port}", f"http://127.0.0.1:{port}")
            proxy.start()
            proxy.stop(0)

    def test_is_free_again_when_the_proxy_has_stopped(self):
        first = proxy_on("127.0.0.1:0")
        first.start()
        second = proxy_on(first.address)
        first.stop(0)
        first.stop(0)
        second.start()
        second.stop(0)

    def test_is_listened_on_once(self):
        proxy = proxy_on("127.0.0.1:0")
        proxy.start()
        with pytest.raises(LmwatchError, match="started once"):
            proxy.start()
        proxy.stop(0)
        with pytest.raises(LmwatchError, match="started once"):
            proxy.start()

    def test_stopping_what_never_started_does_nothing(self):
        proxy_on("127.0.0.1:0").stop(0)


def test_a_server_behind_another_proxy_is_refused():
    with pytest.raises(ConfigError, match="server 'desk' has a proxy_url"):
        proxy_on("127.0.0.1:0", proxy_url="http://127.0.0.1:3128")


def test_clients_beyond_the_limit_wait_until_one_leaves(monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)

    def script(line):
        while line.sock.recv(1000):
            line.say(answer(b"hello"))

    with passing(script) as (_, proxy):
        first, second, third = (connect(proxy) for _ in range(3))
        for client in (first, second):
            client.say(CHAT)
            client.hear_until(b"hello")
        third.say(CHAT)
        assert proxy.connections == 2
        first.close()
        third.hear_until(b"hello")
        second.close()
        third.close()


def test_what_is_logged_names_neither_credentials_nor_content(caplog, books):
    caplog.set_level(logging.DEBUG)

    def script(line):
        line.hear(len(CHAT))
        line.say(answer(b"the answer, in no JSON"))
        line.hear_all()

    with passing(script, books) as (_, proxy), connect(proxy) as client:
        client.say(CHAT)
        client.hear_until(b"JSON")
        assert books.one_failure().reason == "bad_answer"
    logged = caplog.text + str([vars(record) for record in caplog.records]) + str(books.failures)
    assert "the proxy listens" in logged
    for word in ("sk-hidden", "the answer", "Bearer"):
        assert word not in logged


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file


class TestAServerThatSpeaksTls:
    @pytest.fixture
    def secured(self, authority):
        """Starts a server with a certificate for this name."""
        started = []

        def start(script, name="127.0.0.1"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(name).configure_cert(context)
            upstream = ScriptedUpstream(script, lambda sock: context.wrap_socket(sock, server_side=True))
            started.append(upstream)
            return upstream

        yield start
        for upstream in started:
            upstream.stop_listening()

    @pytest.fixture
    def through(self, books):
        """Starts a proxy in front of a server."""
        started = []

        def start(upstream, **tls):
            proxy = make_proxy(f"https://127.0.0.1:{upstream.port}", books, tls_config=TlsConfig(**tls))
            proxy.start()
            started.append(proxy)
            return proxy

        yield start
        for proxy in started:
            proxy.stop(0)

    def test_is_spoken_to_with_the_certificates_of_its_configuration(self, secured, through, ca_file):
        def script(line):
            for _ in range(2):
                line.hear(len(CHAT))
                line.say(answer(b"secret"))

        proxy = through(secured(script), ca_file=ca_file)
        with connect(proxy) as client:
            for _ in range(2):
                client.say(CHAT)
                client.hear_until(b"secret")
            assert client.hear_all() == b""

    def test_passes_large_bodies_both_ways(self, secured, through, ca_file):
        """More than one TLS record, more than the sockets hold."""
        size = 5_000_000

        def script(line):
            head = line.hear_until(b"\r\n\r\n")
            got = bytearray()
            while len(got) < size:
                got += line.sock.recv(65536)
            line.say(answer(bytes(got)[::-1]))
            assert b"POST" in head

        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        proxy = through(secured(script), ca_file=ca_file)
        with connect(proxy) as client:
            client.say(request(body, "/v1/files"))
            got = bytearray()
            while data := client.sock.recv(1 << 20):
                got += data
        assert bytes(got) == answer(body[::-1])

    def test_hears_when_the_client_leaves(self, secured, through, ca_file):
        ended = []

        def script(line):
            line.hear(len(CHAT))
            ended.append(line.sock.recv(1))

        proxy = through(secured(script), ca_file=ca_file)
        with connect(proxy) as client:
            client.say(CHAT)
            wait_until(lambda: proxy.connections, "it is connected")
        wait_until(lambda: ended == [b""], "the server heard of it")

    @pytest.mark.parametrize("names", [("other.example", None), ("127.0.0.1", "else.example")])
    def test_under_another_name_is_not_reached(self, secured, through, ca_file, books, names):
        certified, expected = names

        def script(line):
            raise AssertionError(f"{line} should not have come about")

        upstream = secured(script, certified)
        with connect(through(upstream, ca_file=ca_file, server_name=expected)) as client:
            client.say(CHAT)
            body = client.hear_all().partition(b"\r\n\r\n")[2]
        assert "certificate verify failed" in json.loads(body)["error"]["message"]
        assert books.one_failure().reason == "unreachable"
        wait_until(lambda: upstream.failures, "the handshake failed there too")
        assert isinstance(upstream.failures[0], ssl.SSLError | OSError)

    def test_may_go_unverified_where_the_configuration_says_so(self, secured, through):
        def script(line):
            line.hear(len(CHAT))
            line.say(answer(b"trusted"))

        with connect(through(secured(script, "other.example"), insecure_skip_verify=True)) as client:
            client.say(CHAT)
            assert client.hear_all() == answer(b"trusted")
