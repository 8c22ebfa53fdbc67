"""The web configuration file: what it may say, who it lets in, and that a broken one lets in nobody."""

import logging
import re
import shutil
import socket
import ssl
import threading
from pathlib import Path

import bcrypt
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from exporter.errors import ConfigError
from exporter.web import security
from exporter.web.security import Authenticator, WebConfigFile
from exporter.web.tls import ssl_context
from exporter.web.webconfig import WebConfig

TESTDATA = Path(__file__).parents[2] / "testdata" / "web"

# File of TESTDATA: what `WebConfig.load` says of it, as a pattern; None where the file is right.
FILES = {
    "empty.good.yml": None,
    "tls.good.yml": None,
    "tls-everything.good.yml": None,
    "tls-12.good.yml": None,
    "tls-13.good.yml": None,
    "client-certificate.good.yml": None,
    "client-certificate-optional.good.yml": None,
    "client-certificate-requested.good.yml": None,
    "client-names.good.yml": None,
    "warnings.good.yml": None,
    "headers.good.yml": None,
    "users.good.yml": None,
    "unknown-key.bad.yml": r":2:3: tls_server_config\.cert_fil: unknown key, did you mean cert_file\?",
    "unknown-section.bad.yml": r":1:1: basic_auth_user: unknown key, did you mean basic_auth_users\?",
    "inline-certificate.bad.yml": r":2:3: tls_server_config\.cert: unknown key, did you mean cert_file\?\n.*:4:3: tls_server_config\.key: unknown key; ",
    "no-key.bad.yml": r":2:3: tls_server_config: TLS needs both cert_file and key_file",
    "no-certificate.bad.yml": r":2:3: tls_server_config: TLS needs both cert_file and key_file",
    "client-authentication-alone.bad.yml": r":2:3: tls_server_config: TLS needs both cert_file and key_file",
    "certificate-missing.bad.yml": r":2:14: tls_server_config\.cert_file: cannot read .*not-there\.crt: No such file or directory",
    "client-authentication.bad.yml": r":5:21: tls_server_config\.client_auth_type: wants one of .*, did you mean RequireAndVerifyClientCert\?",
    "ca-without-authentication.bad.yml": r":2:3: tls_server_config: client_ca_file needs a client_auth_type",
    "authentication-without-ca.bad.yml": r":2:3: tls_server_config: client_auth_type VerifyClientCertIfGiven needs client_ca_file",
    "names-without-authentication.bad.yml": r":2:3: tls_server_config: client_allowed_sans needs client_auth_type RequireAndVerifyClientCert",
    "version.bad.yml": r":4:16: tls_server_config\.min_version: wants one of TLS10, .*found the text 'TLS111'",
    "version-old-maximum.bad.yml": r":4:16: tls_server_config\.max_version: wants one of TLS12, TLS13, found the text 'TLS11'",
    "versions-swapped.bad.yml": r":2:3: tls_server_config: min_version TLS13 is above max_version TLS12",
    "cipher.bad.yml": r":4:19: tls_server_config\.cipher_suites\[0\]: 'TLS_.*257' is no cipher suite .* did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\?",
    "curve.bad.yml": r":4:23: tls_server_config\.curve_preferences\[0\]: wants one of CurveP256, .*'CurveP255'",
    "header-name.bad.yml": r":3:5: http_server_config\.headers\.X-Frame-Option: wants one of .*, did you mean X-Frame-Options\?",
    "header-other.bad.yml": r":3:5: http_server_config\.headers\.Server: wants one of Strict-Transport-Security, .*found the text 'Server'",
    "header-value.bad.yml": r":3:5: http_server_config\.headers: X-Frame-Options must be one of deny, sameorigin",
    "header-two-lines.bad.yml": r":3:5: http_server_config\.headers: Content-Security-Policy holds control characters",
    "plain-password.bad.yml": r":2:10: basic_auth_users\.alice: write the password's bcrypt hash",
    "hash-cut-short.bad.yml": r":2:10: basic_auth_users\.alice: write the password's bcrypt hash",
    "users-list.bad.yml": r":1:19: basic_auth_users: wants keys and values, found a list",
    "user-twice.bad.yml": r":3:3: basic_auth_users\.alice: given twice, first in line 2",
    "rate-limit.bad.yml": r":1:24: rate_limit\.interval: 'fast' is no duration.*\n.*:1:37: rate_limit\.burst: must be at least 0, not -1",
    "syntax.bad.yml": r":2:1: not YAML: ",
    "list.bad.yml": r":1:1: the file must hold keys and values",
}


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def strangers():
    """A CA that nobody here trusts."""
    return trustme.CA()


@pytest.fixture
def folder(tmp_path, authority):
    """The test data with real certificates beside them."""
    for path in TESTDATA.glob("*.yml"):
        shutil.copy(path, tmp_path)
    write_server_certificate(tmp_path, authority)
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    return tmp_path


def write_server_certificate(folder, authority):
    certificate = authority.issue_cert("lmwatch.example")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.crt")
    return certificate.cert_chain_pems[0].bytes().decode()


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_taken_or_refused_with_the_place_of_the_mistake(folder, name):
    if FILES[name] is None:
        WebConfig.load(folder / name)
        return
    with pytest.raises(ConfigError) as caught:
        WebConfig.load(folder / name)
    assert re.match(re.escape(str(folder / name)) + FILES[name], str(caught.value)), str(caught.value)
    assert "planted-secret" not in str(caught.value)


def test_every_file_is_in_the_table():
    assert {path.name for path in TESTDATA.glob("*.yml")} == set(FILES)


def test_an_empty_file_asks_for_nothing(folder):
    config = WebConfig.load(folder / "empty.good.yml")
    assert (config.basic_auth_users, config.http_server_config.headers, config.warnings) == ({}, {}, ())
    assert not config.tls_server_config.enabled
    assert ssl_context(config) is None


def test_headers_are_those_of_the_file_without_blank_ones(folder):
    assert WebConfig.load(folder / "headers.good.yml").http_server_config.headers == {
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "sameorigin",
        "X-XSS-Protection": "1; mode=block",
    }


def test_what_is_accepted_and_not_done_is_said(folder):
    assert WebConfig.load(folder / "warnings.good.yml").warnings == (
        "http_server_config.http2: HTTP/2 is not supported",
        "rate_limit: is not enforced",
        "tls_server_config.curve_preferences: are ignored",
        "tls_server_config.min_version: nothing below TLS12 is offered",
        "tls_server_config.client_auth_type: certificates are verified too",
    )


def test_hashes_of_passwords_are_not_printed(folder):
    config = WebConfig.load(folder / "users.good.yml")
    assert set(config.basic_auth_users) == {"alice", "bob"}
    assert "$2" not in f"{config} {config!r} {config.model_dump_json()}"


class TestAuthenticator:
    """Basic authentication."""

    @pytest.fixture
    def authenticator(self, folder):
        return Authenticator(folder / "users.good.yml")

    @pytest.fixture
    def checks(self, monkeypatch):
        """The passwords that bcrypt was asked about, with the cost of the hash."""
        asked = []
        check = bcrypt.checkpw

        def counting(password, hashed):
            asked.append((password, hashed[4:6]))
            return check(password, hashed)

        monkeypatch.setattr(bcrypt, "checkpw", counting)
        return asked

    @pytest.mark.parametrize(
        ("user", "password", "right"),
        [
            ("alice", "wonderland", True),
            ("bob", "builder", True),
            ("alice", "builder", False),
            ("alice", "Wonderland", False),
            ("alice", "", False),
            ("Alice", "wonderland", False),
            ("", "", False),
            ("", "wonderland", False),
            ("mallory", "fakepassword", False),
            ("alice", "wonderland" * 20, False),
            ("alice", "wonder\0land", False),
            ("alice", "\udcff", False),
            ("al\udcffice", "wonderland", False),
        ],
    )
    def test_only_the_right_password_of_a_known_user_is_right(self, authenticator, user, password, right):
        assert authenticator.check(user, password) is right
        assert authenticator.check(user, password) is right

    def test_without_users_nothing_is_required_and_nothing_is_right(self, folder):
        authenticator = Authenticator(folder / "empty.good.yml")
        assert not authenticator.required
        assert not authenticator.check("alice", "wonderland")
        assert not authenticator.check("", "")
        assert not authenticator.check("nobody", "fakepassword"), "the password of the hash that stands in for a user's"

    def test_with_users_authentication_is_required(self, authenticator):
        assert authenticator.required

    def test_a_long_password_counts_as_far_as_bcrypt_looks(self, folder):
        """Other implementations cut at 72 bytes, so hashes of longer passwords exist."""
        password = "x" * 72 + "rest"
        hashed = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
        path = folder / "long.yml"
        path.write_text(f"basic_auth_users: {{alice: {hashed}}}")
        assert Authenticator(path).check("alice", password)

    def test_a_verified_password_is_not_hashed_again(self, authenticator, checks):
        for _ in range(3):
            assert authenticator.check("alice", "wonderland")
        assert len(checks) == 1

    def test_a_wrong_password_is_hashed_each_time(self, authenticator, checks):
        for _ in range(3):
            assert not authenticator.check("alice", "guess")
        assert len(checks) == 3

    def test_an_unknown_user_costs_as_much_as_a_known_one(self, folder, checks):
        """Otherwise the time of an answer tells which users exist."""
        path = folder / "costs.yml"
        hashes = [bcrypt.hashpw(b"secret", bcrypt.gensalt(cost)).decode() for cost in (4, 5)]
        path.write_text(f"basic_auth_users: {{cheap: {hashes[0]}, dear: {hashes[1]}}}")
        authenticator = Authenticator(path)
        assert not authenticator.check("nobody", "fakepassword")
        assert checks == [(b"fakepassword", b"05")]

    def test_what_is_remembered_is_bounded_and_holds_no_password(self, authenticator, monkeypatch):
        monkeypatch.setattr(bcrypt, "checkpw", lambda *_: True)
        for number in range(security.REMEMBERED_PASSWORDS + 20):
            assert authenticator.check("alice", f"password-{number}")
        assert len(authenticator._verified) == security.REMEMBERED_PASSWORDS
        assert {len(key) for key in authenticator._verified} == {32}
        assert not [key for key in authenticator._verified if b"password" in key]

    def test_names_and_passwords_are_not_mixed_up_in_what_is_remembered(self, folder):
        """A remembered pair helps no other pair that reads the same when written one after the other."""
        hashed = bcrypt.hashpw(b"b", bcrypt.gensalt(4)).decode()
        path = folder / "pairs.yml"
        path.write_text(f"basic_auth_users: {{a: {hashed}, ab: {hashed}}}")
        authenticator = Authenticator(path)
        assert authenticator.check("a", "b")
        assert not authenticator.check("", "ab")
        assert not authenticator.check("ab", "")

    def test_a_changed_file_counts_at_once(self, folder):
        path = folder / "users.good.yml"
        authenticator = Authenticator(path)
        assert authenticator.check("alice", "wonderland")
        new = bcrypt.hashpw(b"looking-glass", bcrypt.gensalt(4)).decode()
        path.write_text(f"basic_auth_users: {{alice: {new}}}")
        assert not authenticator.check("alice", "wonderland")
        assert authenticator.check("alice", "looking-glass")
        assert not authenticator.check("bob", "builder")

    @pytest.mark.parametrize("content", ["basic_auth_users: {alice: ", "basic_auth_users: {alice: plain}", None])
    def test_a_broken_file_lets_nobody_in(self, folder, content):
        """Not even those who were verified before; when it is mended all is as it was."""
        path = folder / "users.good.yml"
        right = path.read_text()
        authenticator = Authenticator(path)
        assert authenticator.check("alice", "wonderland")
        path.unlink() if content is None else path.write_text(content)
        for _ in range(2):
            with pytest.raises(ConfigError, match=r"users\.good\.yml"):
                authenticator.check("alice", "wonderland")
            with pytest.raises(ConfigError, match=r"users\.good\.yml"):
                _ = authenticator.required
        path.write_text(right)
        assert authenticator.check("alice", "wonderland")

    def test_one_password_is_hashed_at_a_time(self, authenticator, monkeypatch):
        """Whoever comes while one is hashed finds the lock taken."""
        free = []

        def check(*_):
            free.append(authenticator._one_at_a_time.acquire(blocking=False))
            return False

        monkeypatch.setattr(bcrypt, "checkpw", check)
        assert not authenticator.check("alice", "guess")
        assert not authenticator.check("nobody", "guess")
        assert free == [False, False]


class TestFile:
    """The file as it is now."""

    def test_an_unchanged_file_is_the_same_object(self, folder):
        file = WebConfigFile(folder / "tls.good.yml")
        assert file.current() is file.current()
        assert file.context() is file.context()

    def test_warnings_are_logged_once_for_each_state_of_the_file(self, folder, caplog):
        path = folder / "warnings.good.yml"
        file = WebConfigFile(path)
        with caplog.at_level(logging.WARNING):
            file.current()
            file.current()
            assert len(caplog.records) == 5
            path.write_text(path.read_text() + "# changed\n")
            file.current()
        assert len(caplog.records) == 10
        assert "HTTP/2 is not supported" in caplog.text

    def test_a_new_certificate_is_served_without_a_reload(self, folder, authority):
        file = WebConfigFile(folder / "tls.good.yml")
        first = handshake(file.context(), trusting(authority))
        second_pem = write_server_certificate(folder, authority)
        second = handshake(file.context(), trusting(authority))
        assert first.server_pem != second.server_pem
        assert second.server_pem == ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(second_pem))

    @pytest.mark.parametrize(
        ("file", "content", "problem"),
        [
            ("server.key", "nonsense", r"cannot use certificate .*server\.crt with key .*server\.key"),
            ("server.crt", "", r"cannot use certificate .*server\.crt"),
            ("ca.crt", "nonsense", r"cannot use client_ca_file .*ca\.crt"),
        ],
    )
    def test_a_certificate_that_cannot_be_used_is_named(self, folder, file, content, problem):
        (folder / file).write_text(content)
        with pytest.raises(ConfigError, match=problem):
            WebConfigFile(folder / "client-certificate.good.yml").context()

    def test_a_certificate_that_vanished_is_named(self, folder):
        file = WebConfigFile(folder / "tls.good.yml")
        assert file.context() is not None
        (folder / "server.crt").unlink()
        with pytest.raises(ConfigError, match=r"cannot read .*server\.crt: No such file"):
            file.context()

    def test_an_encrypted_key_is_refused_without_asking_at_the_terminal(self, folder):
        key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), password=None)
        sealed = serialization.BestAvailableEncryption(b"passphrase")
        pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        (folder / "server.key").write_bytes(key.private_bytes(*pem, sealed))
        with pytest.raises(ConfigError, match="the key is encrypted"):
            WebConfigFile(folder / "tls.good.yml").context()


class Outcome:
    """What both sides saw of a handshake and one byte each way."""

    def __init__(self, server_error, client_error, version, server_pem):
        self.ok = server_error is None and client_error is None
        self.server_error = server_error
        self.client_error = client_error
        self.version = version
        self.server_pem = server_pem


def trusting(authority, certificate=None, version=None):
    """The client's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def handshake(server_context, client_context):
    """Connect the two in this process."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.settimeout(10)
    seen = {}

    def serve():
        try:
            with server_context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False) as wrapped:
                wrapped.do_handshake()
                wrapped.sendall(wrapped.recv(1))
        except (ssl.SSLError, OSError) as error:
            seen["server"] = error
        finally:
            ours.close()

    thread = threading.Thread(target=serve)
    thread.start()
    version = pem = client_error = None
    try:
        with client_context.wrap_socket(theirs, server_hostname="lmwatch.example") as wrapped:
            version = wrapped.version()
            pem = ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True))
            wrapped.sendall(b"x")
            if wrapped.recv(1) != b"x":
                client_error = ConnectionError("closed")
    except (ssl.SSLError, OSError) as error:
        client_error = error
    finally:
        theirs.close()
        thread.join()
    return Outcome(seen.get("server"), client_error, version, pem)


class TestTls:
    """What the context does with real clients."""

    @pytest.fixture
    def issuers(self, authority, strangers):
        return {"none": None, "known": authority, "stranger": strangers}

    def context(self, folder, name):
        return ssl_context(WebConfig.load(folder / f"{name}.good.yml"))

    @pytest.mark.parametrize(
        ("name", "version", "accepted"),
        [
            ("tls", ssl.TLSVersion.TLSv1_2, True),
            ("tls", ssl.TLSVersion.TLSv1_3, True),
            ("tls-12", ssl.TLSVersion.TLSv1_3, False),
            ("tls-13", ssl.TLSVersion.TLSv1_2, False),
        ],
    )
    def test_versions_are_limited_as_the_file_says(self, folder, authority, name, version, accepted):
        assert handshake(self.context(folder, name), trusting(authority, version=version)).ok is accepted

    def test_suites_are_limited_as_the_file_says(self, folder, authority):
        context = self.context(folder, "tls-everything")
        names = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"}
        assert names == {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"}

    @pytest.mark.parametrize(
        ("name", "client", "accepted"),
        [
            ("client-certificate", "none", False),
            ("client-certificate", "known", True),
            ("client-certificate", "stranger", False),
            ("client-certificate-optional", "none", True),
            ("client-certificate-optional", "known", True),
            ("client-certificate-optional", "stranger", False),
            ("warnings", "none", False),
            ("warnings", "known", True),
            ("warnings", "stranger", False),
            ("tls", "none", True),
            ("client-certificate-requested", "none", True),
        ],
    )
    def test_certificates_of_clients_are_asked_for_and_verified(self, folder, issuers, name, client, accepted):
        issuer = issuers[client]
        certificate = issuer.issue_cert("prometheus.example") if issuer else None
        assert handshake(self.context(folder, name), trusting(issuers["known"], certificate)).ok is accepted

    @pytest.mark.parametrize(
        ("identity", "accepted"),
        [
            ("prometheus.example", True),
            ("::1", True),
            ("ops@example.org", True),
            ("other.example", False),
            ("sub.prometheus.example", False),
            ("127.0.0.1", False),
        ],
    )
    def test_only_clients_with_an_allowed_name_get_in(self, folder, authority, identity, accepted):
        certificate = authority.issue_cert(identity)
        outcome = handshake(self.context(folder, "client-names"), trusting(authority, certificate))
        assert outcome.ok is accepted
        if not accepted:
            assert "client_allowed_sans" in str(outcome.server_error)
