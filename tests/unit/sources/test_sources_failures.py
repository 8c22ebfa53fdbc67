"""Every foreign exception becomes one of ours."""

import errno
import http.client
import socket
import ssl

import pytest
import requests.exceptions
import urllib3.exceptions

from exporter.errors import TransientError
from exporter.sources.call import Call
from exporter.sources.failures import FOREIGN, KINDS, HttpError, public_url, translate

URL = "http://user:hunter2@host:1/path?token=hunter2"


def name(cls):
    return f"{cls.__module__}.{cls.__qualname__}"


def exceptions_of(*modules):
    """Every exception that the modules define or import, warnings aside."""
    values = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return sorted((cls for cls in values if issubclass(cls, Exception) and not issubclass(cls, Warning)), key=name)


@pytest.mark.parametrize("cls", exceptions_of(requests.exceptions, urllib3.exceptions, http.client), ids=name)
def test_every_exception_of_the_libraries_is_caught_and_translated(cls):
    assert issubclass(cls, FOREIGN)
    error = translate(cls.__new__(cls), Call(60), URL)
    assert isinstance(error, HttpError)
    assert isinstance(error, TransientError)
    assert error.kind in KINDS
    assert str(error).startswith("http://host:1/path: ")
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "refused"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "reset"),
        (BrokenPipeError(errno.EPIPE, "pipe"), "reset"),
        (http.client.RemoteDisconnected("gone"), "reset"),
        (http.client.IncompleteRead(b"half", 10), "reset"),
        (ssl.SSLEOFError(8, "eof"), "reset"),
        (ssl.SSLCertVerificationError(1, "verify failed"), "tls"),
        (socket.gaierror(-2, "Name or service not known"), "dns"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable"),
        (OSError(errno.EMFILE, "Too many open files"), "local"),
        (TimeoutError("timed out"), "timeout"),
        (http.client.BadStatusLine("garbage"), "protocol"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_innermost_cause_decides_however_deep_it_is_wrapped(cause, kind):
    by_reason = urllib3.exceptions.MaxRetryError(None, "/path?token=hunter2", cause)
    by_argument = requests.exceptions.ConnectionError(urllib3.exceptions.ProtocolError("aborted", cause))
    by_chain = urllib3.exceptions.NewConnectionError(None, "failed")
    by_chain.__cause__ = cause
    for wrapped in (cause, by_reason, requests.exceptions.ConnectionError(by_reason), by_argument, by_chain):
        error = translate(wrapped, Call(60), URL)
        assert error.kind == kind
        assert "hunter2" not in str(error)


def test_what_the_system_says_is_told_once():
    text = str(translate(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), Call(60), URL))
    assert text.lower().count("connection refused") == 1


def test_a_call_past_its_deadline_timed_out_whatever_broke_first():
    call = Call(0)
    call.reach("waiting for the first byte")
    error = translate(http.client.RemoteDisconnected(), call, URL)
    assert error.kind == "timeout"
    assert "waiting for the first byte" in str(error)


def test_what_a_server_says_is_cut_and_printable():
    text = str(translate(http.client.BadStatusLine("\x1b[31m" + "x" * 10_000), Call(60), URL))
    assert text.isprintable()
    assert len(text) < 500


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@host:8443/a/b?c=d#e", "https://host:8443/a/b"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://[::1", "<URL that cannot be read>"),
    ],
)
def test_only_scheme_host_and_path_are_public(url, shown):
    assert public_url(url) == shown
