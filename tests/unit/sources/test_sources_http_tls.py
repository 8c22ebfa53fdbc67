"""TLS against a real TLS server, with certificates of a throw-away authority."""

import contextlib
import socket
import ssl
import threading

import pytest
import trustme
from sources_fake_server import serving

from exporter.sources.http import HttpError

AUTHORITY = trustme.CA()
OTHER = trustme.CA()


def server_context(*names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def secure():
    """An HTTPS server for 127.0.0.1."""
    with serving(server_context("127.0.0.1")) as fake:
        fake.reply("/x", b"secret")
        yield fake


@pytest.fixture
def trusted(tmp_path):
    """The authority's certificate as a file."""
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def fetch(session, server):
    return session.get(f"{server.url}/x", deadline_seconds=5, max_bytes=1000).body


def failure(session, server):
    with pytest.raises(HttpError) as caught:
        fetch(session, server)
    assert caught.value.kind == "tls", str(caught.value)
    assert "tls_config" in str(caught.value)
    return str(caught.value)


def test_a_trusted_server_answers_on_a_connection_that_is_kept(secure, open_session, trusted):
    session = open_session({"tls_config": {"ca_file": trusted, "min_version": "TLS13"}})
    for _ in range(3):
        assert fetch(session, secure) == b"secret"
    assert len(secure.connections) == 1


def test_a_server_of_another_authority_is_refused(secure, open_session, tmp_path):
    assert "unable to get local issuer certificate" in failure(open_session(), secure)
    OTHER.cert_pem.write_to_path(tmp_path / "other.pem")
    failure(open_session({"tls_config": {"ca_file": str(tmp_path / "other.pem")}}), secure)


def test_insecure_skip_verify_accepts_any_server_without_a_warning(secure, open_session):
    assert fetch(open_session({"tls_config": {"insecure_skip_verify": True}}), secure) == b"secret"


def test_the_certificate_must_carry_the_host_or_server_name(open_session, trusted):
    with serving(server_context("metrics.example")) as named:
        named.reply("/x", b"secret")
        text = failure(open_session({"tls_config": {"ca_file": trusted}}), named)
        assert "127.0.0.1" in text
        settings = {"tls_config": {"ca_file": trusted, "server_name": "metrics.example"}}
        assert fetch(open_session(settings), named) == b"secret"
        settings = {"tls_config": {"ca_file": trusted, "server_name": "other.example"}}
        failure(open_session(settings), named)


def test_an_old_protocol_version_is_refused(open_session, trusted):
    context = server_context("127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(context) as old:
        old.reply("/x", b"secret")
        assert fetch(open_session({"tls_config": {"ca_file": trusted}}), old) == b"secret"
        failure(open_session({"tls_config": {"ca_file": trusted, "min_version": "TLS13"}}), old)


@pytest.fixture
def mutual():
    """An HTTPS server that asks for a client certificate."""
    context = server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)
    with serving(context) as fake:
        fake.reply("/x", b"secret")
        yield fake


def client_files(folder, authority):
    certificate = authority.issue_cert("client@example.org")
    files = {"cert_file": str(folder / "client.pem"), "key_file": str(folder / "client.key")}
    certificate.private_key_pem.write_to_path(files["key_file"])
    certificate.cert_chain_pems[0].write_to_path(files["cert_file"])
    return files


def test_a_client_certificate_is_shown(mutual, open_session, trusted, tmp_path):
    settings = {"tls_config": {"ca_file": trusted, **client_files(tmp_path, AUTHORITY)}}
    assert fetch(open_session(settings), mutual) == b"secret"


def test_without_one_or_with_a_wrong_one_the_server_refuses(mutual, open_session, trusted, tmp_path):
    for files in ({}, client_files(tmp_path, OTHER)):
        with pytest.raises(HttpError) as caught:
            fetch(open_session({"tls_config": {"ca_file": trusted, **files}}), mutual)
        assert caught.value.kind in ("tls", "reset")


def test_rotated_files_are_read_again(mutual, open_session, trusted, tmp_path):
    files = client_files(tmp_path, OTHER)
    session = open_session({"tls_config": {"ca_file": trusted, **files}})
    with pytest.raises(HttpError):
        fetch(session, mutual)
    client_files(tmp_path, AUTHORITY)
    assert fetch(session, mutual) == b"secret"


def test_a_client_certificate_is_not_shown_to_another_origin(server, mutual, open_session, trusted, tmp_path):
    start = server.reply("/x", status=302, Location=f"{mutual.url}/x")
    session = open_session({"tls_config": {"ca_file": trusted, **client_files(tmp_path, AUTHORITY)}})
    with pytest.raises(HttpError) as caught:
        session.get(start, deadline_seconds=5, max_bytes=10)
    assert caught.value.kind == "redirect"
    assert mutual.seen == []


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_that_is_no_certificate_is_named(secure, open_session, tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    assert str(path) in failure(open_session({"tls_config": {"ca_file": str(path)}}), secure)


def test_an_encrypted_key_is_refused_instead_of_asking_on_the_terminal(secure, open_session, trusted, tmp_path):
    from cryptography.hazmat.primitives import serialization

    files = client_files(tmp_path, AUTHORITY)
    key = serialization.load_pem_private_key((tmp_path / "client.key").read_bytes(), None)
    (tmp_path / "client.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    assert "passphrase" in failure(open_session({"tls_config": {"ca_file": trusted, **files}}), secure)


def test_https_to_a_plain_port_asks_about_the_scheme(server, open_session):
    with pytest.raises(HttpError) as caught:
        open_session().get(f"https://{server.address}/x", deadline_seconds=5, max_bytes=10)
    assert caught.value.kind == "tls"
    assert "scheme" in str(caught.value)


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def tunnel_once(proxy, target, asked):
    """What a proxy does with CONNECT, for one connection."""
    client, _ = proxy.accept()
    with client, socket.create_connection(target) as server:
        asked.append(client.recv(65536).split(b"\r\n")[0])
        client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        back = threading.Thread(target=pump, args=(server, client))
        back.start()
        pump(client, server)
        back.join()


def test_an_https_target_is_reached_through_a_proxy_tunnel(secure, open_session, trusted):
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        thread = threading.Thread(target=tunnel_once, args=(proxy, ("127.0.0.1", secure.port), asked))
        thread.start()
        proxy_url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        session = open_session({"tls_config": {"ca_file": trusted}, "proxy_url": proxy_url})
        assert fetch(session, secure) == b"secret"
        session.close()
        thread.join()
    assert asked[0].startswith(b"CONNECT 127.0.0.1:%d " % secure.port)
