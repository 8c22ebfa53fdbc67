"""Secrets are taken from files and the environment, and never come out again."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exporter.config.http import HttpClient
from exporter.config.load import default_config, parse_config, read_secret, redacted_yaml, summarise
from exporter.config.model import Server
from exporter.config.secrets import looks_like_credential, redact_path, redact_url
from exporter.errors import ConfigError

SECRET = "s3cr3t-planted"
ENVIRON = {
    "TOKEN": f"{SECRET}-token",
    "PASSWORD": f"{SECRET}-password",
    "PROXY": f"http://user:{SECRET}@proxy.example:3128",
    "HOOK": f"https://hooks.example/services/{SECRET}",
    "TARGETS": f"https://sd.example/targets?token={SECRET}&zone=a",
}

# A secret in every place that takes one; {client} stands for the keys of an outgoing connection.
FULL = """
servers:
  - name: by-environment
    url: http://127.0.0.1:1234
    api_token: ${{TOKEN}}
    proxy_url: http://user:${{PASSWORD}}@proxy.example:3128
    http_headers: &headers {{X-Api-Key: "${{TOKEN}}", Cookie: "session=${{TOKEN}}", Authorization: "Bearer ${{TOKEN}}"}}
  - name: by-file
    url: http://127.0.0.1:1235
    api_token_file: token.txt
sources:
  - name: scraped
    scrape:
      targets: ["127.0.0.1:9100"]
      params: {{api_key: ["{secret}"], collect: [cpu]}}
      http_sd: [{{url: "${{TARGETS}}", basic_auth: {{username: u, password: "${{PASSWORD}}"}}}}]
      basic_auth: {{username: u, password: "${{PASSWORD}}"}}
      proxy_url: ${{PROXY}}
      http_headers: *headers
  - name: queried
    prometheus:
      url: http://127.0.0.1:9090
      authorization: {{credentials: "${{TOKEN}}"}}
      proxy_url: ${{PROXY}}
      http_headers: *headers
watches:
  - {{name: w, source: scraped, select: [up]}}
alerting:
  alertmanagers:
    - url: http://127.0.0.1:9093
      basic_auth: {{username: u, password_file: token.txt}}
      proxy_url: ${{PROXY}}
      http_headers: *headers
  webhook: {{token_file: token.txt, forward_to: "${{HOOK}}"}}
grafana:
  url: http://127.0.0.1:3000
  authorization: {{credentials: "${{TOKEN}}"}}
  http_headers: *headers
{more}
"""


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "token.txt").write_text(f"{SECRET}-in-a-file\n")
    return tmp_path


def load(directory, more="", checks=()):
    text = FULL.format(secret=SECRET, more=more)
    return parse_config(text, file="lmwatch.yml", directory=directory, environ=ENVIRON, checks=checks)


def everything_printed(value):
    return "\n".join([str(value), repr(value), f"{value}", str(value.model_dump()), value.model_dump_json()])


def test_secrets_reach_the_program(directory):
    config = load(directory)
    assert config.servers[0].api_token.get_secret_value() == f"{SECRET}-token"
    assert config.servers[0].http_headers["Cookie"] == f"session={SECRET}-token"
    assert config.servers[0].proxy_url == f"http://user:{SECRET}-password@proxy.example:3128"
    assert config.sources[0].scrape.proxy_url == f"http://user:{SECRET}@proxy.example:3128"
    assert config.alerting.webhook.forward_to == f"https://hooks.example/services/{SECRET}"
    assert config.sources[0].scrape.http_sd[0].url == f"https://sd.example/targets?token={SECRET}&zone=a"
    assert read_secret(config.servers[1].api_token_file) == f"{SECRET}-in-a-file"


def test_nothing_that_is_printed_holds_a_secret(directory):
    config = load(directory)
    texts = [everything_printed(config), redacted_yaml(config), summarise(config)]
    for part in (*config.servers, *config.sources, *config.alerting.alertmanagers, config.alerting, config.grafana):
        texts.append(everything_printed(part))
    assert not [text for text in texts if SECRET in text]


def test_the_shown_configuration_says_where_secrets_are(directory):
    shown = redacted_yaml(load(directory))
    assert "api_token: <secret>" in shown
    assert "Cookie: <secret>" in shown
    assert "proxy_url: http://<secret>@proxy.example:3128" in shown
    assert "forward_to: https://hooks.example/<secret>" in shown
    assert "url: https://sd.example/targets?token=<secret>&zone=a" in shown
    assert "collect:\n      - cpu" in shown


def test_errors_in_a_file_with_secrets_hold_none(directory):
    """Mistakes beside every secret: unknown keys, wrong types, choices, failed checks of the program."""
    with pytest.raises(ConfigError) as caught:
        load(directory, more="colour: green")
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        load(directory, checks=[lambda _: [(("servers", 0, "api_token"), "not liked")]])
    assert SECRET not in repr(caught.value)


def test_log_records_of_a_configuration_hold_no_secret(directory, caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("configuration: %s %r", load(directory), load(directory))
    assert "by-environment" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "broken",
    [
        f"servers: [{{name: a, url: 'http://u:{SECRET}@h'}}]",
        f"servers: [{{name: a, url: '{SECRET}'}}]",
        f"servers: [{{name: a, url: 'http://{SECRET}:port/'}}]",
        f"servers: [{{name: a, url: 'http://h', api_token: {SECRET}}}]",
        f"servers: [{{name: a, url: 'http://h', api_token: [{SECRET}]}}]",
        f"servers: [{{name: a, url: 'http://h', api_token: {{a: {SECRET}}}}}]",
        f"servers: [{{name: a, url: 'http://h', basic_auth: {SECRET}}}]",
        f"servers: [{{name: a, url: 'http://h', authorization: {SECRET}}}]",
        f"servers: [{{name: a, url: 'http://h', authorization: {{type: Bearer, credentials: {SECRET}}}}}]",
        f"servers: [{{name: a, url: 'http://h', http_headers: ['Cookie: {SECRET}']}}]",
        f"servers: [{{name: a, url: 'http://h', http_headers: {{Cookie: {SECRET}}}}}]",
        f"servers: [{{name: a, url: 'http://h', http_headers: {{Cookie: [{SECRET}]}}}}]",
        f"servers: [{{name: a, url: 'http://h', proxy_url: 'http://u:{SECRET}@p'}}]",
        f"servers: [{{name: a, url: 'http://h', token: {SECRET}}}]",
        f"alerting: {{webhook: {{forward_to: '{SECRET}'}}}}",
        "alerting: {webhook: {forward_to: '${TWO_LINES}'}}",
        "servers: [{name: a, url: 'http://h', api_token: '${TWO_LINES}'}]",
        "servers: [{name: a, url: 'http://h', proxy_url: '${TOKEN}'}]",
        "servers: [{name: a, url: 'http://h', http_headers: {Cookie: 'a=${TWO_LINES}'}}]",
        f"servers: [{{name: a, url: 'http://h', api_token: &{SECRET}",
    ],
)
def test_an_error_about_a_secret_does_not_repeat_it(broken):
    environ = {"TWO_LINES": f"{SECRET}\nsecond", "TOKEN": SECRET}
    with pytest.raises(ConfigError) as caught:
        parse_config(broken, file="lmwatch.yml", directory=Path(), environ=environ)
    assert SECRET not in f"{caught.value} {caught.value!r}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_values_made_by_the_program_are_as_discreet():
    with pytest.raises(ValidationError) as caught:
        Server.model_validate({"name": "a", "url": "http://h", "api_token": SECRET})
    assert SECRET not in f"{caught.value} {caught.value!r}"
    client = HttpClient(http_headers={"Authorization": SECRET, "Accept": "text/plain"})
    assert SECRET not in everything_printed(client)
    assert "text/plain" in everything_printed(client)


@pytest.mark.parametrize("environ", [{}, {"TOKEN": ""}, {"TOKEN": "\n"}, {"TOKEN": "a\nb"}])
def test_an_unusable_variable_is_named(environ):
    with pytest.raises(ConfigError, match=r"lmwatch.yml:1:49: servers\[0\].api_token: the environment variable TOKEN "):
        parse_config(
            "servers: [{name: a, url: 'http://h', api_token: '${TOKEN}'}]",
            file="lmwatch.yml",
            directory=Path(),
            environ=environ,
        )


@pytest.mark.parametrize("content", ["abc", "abc\n", "abc\r\n", "abc\n\n"])
def test_a_secret_file_may_end_with_newlines(tmp_path, content):
    path = tmp_path / "token.txt"
    path.write_bytes(content.encode())
    assert read_secret(path) == "abc"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"s3cr3t\nX-Evil: 1\n", "holds more than one line"),
        (b"s3cr3t\xff", "is not UTF-8 text"),
        (b"s3cr3t" * 20_000, "is longer than 64 KiB"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_without_its_content(tmp_path, content, problem):
    path = tmp_path / "token.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=problem) as caught:
        read_secret(path)
    assert str(path) in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_secret_file_that_vanished_is_an_error_with_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*gone\.txt: No such file"):
        read_secret(tmp_path / "gone.txt")


def test_a_folder_is_no_secret_file(tmp_path):
    text = "servers: [{name: a, url: 'http://h', api_token_file: .}]"
    with pytest.raises(ConfigError, match=r"api_token_file: cannot read .*: Is a directory"):
        parse_config(text, file="lmwatch.yml", directory=tmp_path, environ={})


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "X-Auth-Token",
        "Cookie",
        "X-Api-Key",
        "apikey",
        "api_key",
        "Key",
        "password",
        "X-Amz-Signature",
        "sessionid",
    ],
)
def test_names_of_credentials_are_recognised(name):
    assert looks_like_credential(name)


@pytest.mark.parametrize("name", ["Accept", "X-Scope-OrgID", "User-Agent", "X-Author", "X-Monkey", "collect", "url"])
def test_other_names_are_not_hidden(name):
    assert not looks_like_credential(name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:1/path", "http://host:1/path"),
        ("http://user:pw@host:1/path", "http://<secret>@host:1/path"),
        ("http://token@host", "http://<secret>@host"),
        ("http://h/?a=1&token=x&api_key=y#f", "http://h/?a=1&token=<secret>&api_key=<secret>#f"),
        ("http://h/?flag&token=", "http://h/?flag&token=<secret>"),
    ],
)
def test_urls_are_shown_without_credentials(url, shown):
    assert redact_url(url) == shown
    assert redact_path(url).startswith("http://h")


@given(
    st.text(
        alphabet=st.characters(codec="ascii", exclude_characters="/?#[]", categories=["L", "N", "P", "S"]), min_size=1
    )
)
def test_no_password_survives_redaction(password):
    shown = redact_url(f"http://u:{password}@proxy.example:3128/x")
    assert shown == "http://<secret>@proxy.example:3128/x"


def test_a_shown_configuration_without_secrets_can_be_loaded_again(tmp_path):
    text = """
        servers: [{name: desk, url: "http://127.0.0.1:1", rpc: off, deadline: 1m30s, http_headers: {X-A: "1e3", X-B: "on"}}]
        sources: [{name: a, scrape: {targets: ["h:1"], body_size_limit: 3MB, labels: {a: "12:30", b: "017", c: "1_0", d: ""}}}]
        watches: [{name: w, source: a, select: [up, {series: x, as: rate, min_change: 5, valid_max: 1e9}], sensitivity: 7d}]
        alerting: {for: 0, labels: {x: "yes", y: "null", z: "2026-11-22", "on": "<<"}}
        journal: {}
    """
    config = parse_config(text, file="a", directory=tmp_path, environ={})
    assert parse_config(redacted_yaml(config), file="b", directory=tmp_path, environ={}) == config
    assert parse_config(redacted_yaml(default_config()), file="c", directory=tmp_path, environ={}) == default_config()
