"""The documentation and the example name every key that there is, with its right default."""

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from exporter.config import alerting, http, intervals, model, watches
from exporter.config.base import Section
from exporter.config.document import parse_document
from exporter.config.keys import keys_of, section_in
from exporter.config.load import parse_config
from exporter.web.webconfig import HttpServerConfig, RateLimit, TlsServerConfig, WebConfig

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "configuration.md").read_text()
EXAMPLE = (ROOT / "lmwatch.example.yml").read_text()

# Heading of the page: the section that it describes.
SECTIONS = {
    "config": model.Config,
    "server": model.Server,
    "probe": model.Probe,
    "source": model.Source,
    "scrape": model.Scrape,
    "file_sd": model.FileDiscovery,
    "http_sd": model.HttpDiscovery,
    "prometheus": model.PrometheusApi,
    "watch": watches.Watch,
    "selection": watches.Selection,
    "time_interval": intervals.TimeInterval,
    "time_range": intervals.TimeRange,
    "reason": watches.Reason,
    "alerting": alerting.Alerting,
    "alertmanager": alerting.Alertmanager,
    "webhook": alerting.Webhook,
    "heartbeat": model.Heartbeat,
    "journal": model.Journal,
    "web": model.Web,
    "proxy": model.Proxy,
    "grafana": model.Grafana,
    "http_client": http.HttpClient,
    "basic_auth": http.BasicAuth,
    "authorization": http.Authorization,
    "tls_config": http.TlsConfig,
}
KEY = re.compile(
    r"^\[? ?(?P<key>[a-z_0-9]+):(?: <[a-z_]+>)?(?: \| default = (?P<default>\[[^\]]*\]|[^\]]+))?(?: \])?$", re.MULTILINE
)


def block(heading):
    """The grammar under a heading."""
    return re.search(rf"^## `<{heading}>`\n.*?```\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)[1]


def own_keys(section):
    """Keys without those that an outgoing connection has anyway."""
    inherited = (
        set()
        if section is http.HttpClient or not issubclass(section, http.HttpClient)
        else set(keys_of(http.HttpClient))
    )
    return {key: field for key, field in keys_of(section).items() if key not in inherited}


def all_sections(section, found=None):
    """The section and all below it."""
    found = set() if found is None else found
    if section not in found:
        found.add(section)
        for field in keys_of(section).values():
            inner = section_in(field.annotation)
            if inner is not None:
                all_sections(inner, found)
    return found


def test_every_section_has_a_heading():
    assert all_sections(model.Config) | {http.HttpClient} == set(SECTIONS.values())
    assert {f"## `<{heading}>`" for heading in SECTIONS} == set(re.findall(r"^## `<.*>`$", PAGE, re.MULTILINE))


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_page_describes_exactly_the_keys_of_a_section(heading):
    section = SECTIONS[heading]
    assert {match["key"] for match in KEY.finditer(block(heading))} == set(own_keys(section))
    client = issubclass(section, http.HttpClient) and section is not http.HttpClient
    assert ("# Further keys: <http_client>" in block(heading)) == client


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_page_tells_the_right_defaults(heading):
    """A documented default loads as the value that the model has without the key; what has one is documented."""
    section = SECTIONS[heading]
    documented = {match["key"]: match["default"] for match in KEY.finditer(block(heading))}
    for key, field in own_keys(section).items():
        default = field.get_default(call_default_factory=True, validated_data={})
        if documented[key] is None:
            assert default in (None, "", PydanticUndefined) or isinstance(default, list | dict | Section), key
        else:
            written = parse_document(f"{key}: {documented[key].strip()}", file="x").data[key]
            assert _validated(section, key, written) == default, key


def _validated(section, key, value):
    """The value as the section makes it of what is written, whatever else the section would need."""
    try:
        return getattr(section.model_validate({key: value, **_NEEDED.get(section, {})}), keys_by_file(section)[key])
    except ValueError as error:
        raise AssertionError(f"{section.__name__}.{key}") from error


_NEEDED = {
    model.Server: {"name": "a", "url": "http://h"},
    model.Scrape: {"targets": ["h:1"]},
    model.FileDiscovery: {"files": ["x"]},
    model.HttpDiscovery: {"url": "http://h"},
    model.PrometheusApi: {"url": "http://h"},
    watches.Watch: {"name": "a", "source": "b", "select": ["up"]},
    watches.Selection: {"series": "up"},
    intervals.TimeInterval: {"weekdays": ["sunday"]},
    alerting.Alertmanager: {"file_sd": [{"files": ["x"]}]},
    model.Grafana: {"url": "http://h"},
    http.Authorization: {"credentials_file": "x"},
}


def keys_by_file(section):
    return {info.alias or name: name for name, info in section.model_fields.items()}


@pytest.mark.parametrize("section", [TlsServerConfig, HttpServerConfig, RateLimit, WebConfig])
def test_the_page_names_every_key_of_the_web_configuration_file(section):
    grammar = PAGE.split("## The web configuration file")[1]
    assert not [key for key in keys_of(section) if not re.search(rf"^\s*\[? ?{key}:", grammar, re.MULTILINE)]


def test_the_example_loads_as_it_stands(tmp_path):
    config = parse_config(EXAMPLE, file="lmwatch.example.yml", directory=tmp_path, environ={})
    assert [watch.name for watch in config.watches] == ["node-health"]


def test_the_example_shows_every_key_and_its_optional_parts_load(tmp_path):
    """With the optional parts taken in, nothing of the model is missing."""
    text = re.sub(r"^(\s*)#(?=\S)", r"\1", EXAMPLE, flags=re.MULTILINE)
    for name in ("token.txt", "ca.pem", "client.pem", "client.key", "hook.txt", "password.txt", "grafana.txt"):
        (tmp_path / name).write_text("x")
    names = ("ATTIC_TOKEN", "ATTIC_KEY", "ALERTMANAGER_PASSWORD", "ALERTMANAGER_TOKEN")
    parse_config(text, file="lmwatch.example.yml", directory=tmp_path, environ=dict.fromkeys(names, "x"))
    seen = set(_keys_used(model.Config, parse_document(text, file="x").data))
    wanted = {(section, key) for section in SECTIONS.values() for key in own_keys(section)}
    assert not {f"{section.__name__}.{key}" for section, key in wanted - seen}


def _keys_used(section, data):
    for key, value in data.items():
        owner = http.HttpClient if key not in own_keys(section) else section
        yield owner, key
        inner = section_in(keys_of(section)[key].annotation)
        for entry in value if isinstance(value, list) else [value]:
            if inner is not None and isinstance(entry, dict):
                yield from _keys_used(inner, entry)
