"""The bridge's keys: one way to name Alertmanagers, and no label that lmwatch sets itself."""

import pytest

from exporter.config.load import parse_config
from exporter.errors import ConfigError


def load(text, tmp_path):
    return parse_config(text, file="l.yml", directory=tmp_path, environ={})


def test_an_entry_names_a_url_or_files(tmp_path):
    config = load(
        """
alerting:
  alertmanagers:
    - url: http://a:9093/prefix/
    - {file_sd: [{files: [am.yml]}], scheme: https, path_prefix: /alertmanager/}
""",
        tmp_path,
    )
    listed, found = config.alerting.alertmanagers
    assert listed.url == "http://a:9093/prefix"
    assert found.file_sd[0].files == [tmp_path / "am.yml"]
    assert found.file_sd[0].refresh_interval == 300
    assert (found.scheme, found.path_prefix) == ("https", "/alertmanager/")


@pytest.mark.parametrize(
    ("alerting", "said"),
    [
        ("alertmanagers: [{timeout: 5s}]", "give exactly one of url and file_sd"),
        ("alertmanagers: [{url: 'http://a', file_sd: [{files: [x]}]}]", "give exactly one of url and file_sd"),
        ("alertmanagers: [{url: 'http://a', path_prefix: /x}]", "scheme and path_prefix belong to file_sd"),
        ("alertmanagers: [{file_sd: [{files: [x]}], path_prefix: x}]", "must be a path like /alertmanager"),
        ("alertmanagers: [{file_sd: [{files: [x]}], path_prefix: '/x?y'}]", "must be a path like /alertmanager"),
        ("labels: {severity: page}", "lmwatch sets the label severity itself"),
        ("labels: {alertname: X}", "lmwatch sets the label alertname itself"),
        ("labels: {team-name: X}", "must be a label name"),
    ],
)
def test_a_mistake_is_named(alerting, said, tmp_path):
    with pytest.raises(ConfigError) as error:
        load(f"alerting:\n  {alerting}\n", tmp_path)
    assert said in str(error.value)
    assert "l.yml:2:" in str(error.value)
