"""How requests authenticate, and that secrets rotate and never show."""

import base64

import pytest
from pydantic import SecretStr

from exporter.sources.http import HttpError


def authorization(server, session):
    session.get(server.reply("/x"), deadline_seconds=5, max_bytes=10)
    return server.seen[-1].headers.get("authorization")


def refusal(session, url="http://127.0.0.1:1/x"):
    with pytest.raises(HttpError) as caught:
        session.get(url, deadline_seconds=5, max_bytes=10)
    assert caught.value.kind == "credentials"
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_no_credentials_no_header(server, session):
    assert authorization(server, session) is None


def test_basic_auth_from_a_file_and_from_the_configuration(server, open_session, tmp_path):
    (tmp_path / "password").write_text("pässword\n", encoding="utf-8")
    session = open_session({"basic_auth": {"username": "me", "password_file": str(tmp_path / "password")}})
    expected = "Basic " + base64.b64encode("me:pässword".encode()).decode()
    assert authorization(server, session) == expected
    session = open_session({"basic_auth": {"username": "me", "password": SecretStr("pässword")}})
    assert authorization(server, session) == expected
    assert authorization(server, open_session({"basic_auth": {"username": "me"}})) == "Basic bWU6"


def test_a_rotated_file_is_used_by_the_next_request(server, open_session, tmp_path):
    token = tmp_path / "token"
    session = open_session({"authorization": {"credentials_file": str(token)}})
    for secret in ("first", "second"):
        token.write_text(secret)
        assert authorization(server, session) == f"Bearer {secret}"


def test_the_type_of_an_authorization_is_free(server, open_session, tmp_path):
    (tmp_path / "token").write_text("abc")
    session = open_session({"authorization": {"type": "Token", "credentials_file": str(tmp_path / "token")}})
    assert authorization(server, session) == "Token abc"


def test_a_function_may_give_the_header(server, open_session):
    tokens = iter(["Bearer 1", "Bearer 2"])
    session = open_session(authorization=lambda: next(tokens))
    assert [authorization(server, session), authorization(server, session)] == ["Bearer 1", "Bearer 2"]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two\nlines", b"\xff\xfe"])
def test_a_secret_that_cannot_be_read_is_an_error_that_names_its_file(open_session, tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    assert str(path) in refusal(open_session({"authorization": {"credentials_file": str(path)}}))


@pytest.mark.parametrize("value", ["Bearer hunter2\r\nX-Injected: 1", "Bearer hunterü2"])
def test_a_secret_that_fits_into_no_header_is_refused_without_showing_it(open_session, value):
    assert "hunter" not in refusal(open_session(authorization=lambda: value))


@pytest.mark.parametrize("value", ["hunter2\nX-Injected: 1", "hunter2\u2028"])
def test_a_header_that_cannot_be_sent_is_not_shown(open_session, value):
    with pytest.raises(HttpError) as caught:
        open_session().get("http://127.0.0.1:1/x", deadline_seconds=5, max_bytes=1, headers={"X-Key": value})
    assert caught.value.kind in ("protocol", "refused")
    assert "hunter2" not in str(caught.value)
