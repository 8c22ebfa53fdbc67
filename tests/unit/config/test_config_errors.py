"""Every mistake that a configuration file can hold is named with its place, its key and what is wanted."""

from pathlib import Path

import pytest

from exporter.config.load import load_config
from exporter.errors import ConfigError

TESTDATA = Path(__file__).parents[2] / "testdata" / "config"

# File of TESTDATA without .bad.yml: the lines of its error, each without the name of the file.
ERRORS = {
    "alias-bomb": [
        "2:5: servers: more than 100,000 values: do aliases multiply?",
    ],
    "alias-of-itself": [
        "1:10: servers: more than 50 levels: does an alias contain itself?",
    ],
    "aliased-mistake": [
        "5:17: sources[0].scrape.interval: 'soon' is no duration; write it like 30s, 5m or 1h30m",
        "5:17: sources[1].scrape.interval: 'soon' is no duration; write it like 30s, 5m or 1h30m",
        "9:13: sources[1].scrape.path: must begin with / and hold no spaces",
    ],
    "authentication-both": [
        "3:7: alerting.alertmanagers[0]: basic_auth and authorization exclude each other",
    ],
    "authentication-twice": [
        "5:20: servers[0].authorization: give exactly one of credentials_file and credentials",
    ],
    "bounds": [
        "3:57: sources[0].scrape.sample_limit: must be at least 0, not -1",
        "7:13: watches[0].select: must not be empty",
        "8:16: watches[0].threshold: must be less than 1.0, not 1.5",
    ],
    "certificate-without-key": [
        "4:17: servers[0].tls_config: cert_file and key_file belong together",
    ],
    "choice-alias": [
        "8:34: watches[0].select[0].as: wants one of auto, value, rate, delta, mean, p50, p90, p99, found the text 'rats', did you mean rate?",
        "9:41: watches[0].select[1].direction: wants one of both, above, below, found the text 'sideways'",
    ],
    "choice": [
        "3:51: sources[0].scrape.scheme: wants one of http, https, found the text 'htps', did you mean https?",
    ],
    "colon": [
        "4:16: not YAML: mapping values are not allowed here: does a text with a colon need quotes?",
    ],
    "complex-key": [
        "2:5: web: a key must be plain text",
    ],
    "control-character": [
        "2:11: not YAML: a character that may not stand here",
    ],
    "duplicate-key": [
        "5:5: servers[0].name: given twice, first in line 2",
    ],
    "duplicate-section": [
        "3:1: web: given twice, first in line 1",
    ],
    "duration-too-short": [
        "4:20: servers[0].poll_interval: must be at least 1s, not 100ms",
        "5:15: servers[0].deadline: must be longer than 0",
    ],
    "duration-without-unit": [
        "4:20: servers[0].poll_interval: write a duration with its unit, like 30s, 5m or 1h30m",
    ],
    "encoding": [
        "2:1: not UTF-8 text",
    ],
    "environment-not-set": [
        "4:16: servers[0].api_token: the environment variable NOT_THERE is not set",
        "5:19: servers[0].http_headers: Cookie: the environment variable NOT_THERE is not set",
    ],
    "escape": [
        "2:20: not YAML: a number that is no character",
    ],
    "fraction-for-count": [
        "4:19: servers[0].max_parallel: wants a whole number, found the number 1.5",
    ],
    "grafana": [
        "1:10: grafana: token_file, basic_auth and authorization exclude each other",
    ],
    "heartbeat": [
        "1:23: heartbeat.interval: must be at least 1m, or 0 to turn it off",
        "5:11: watches[0].name: 'lmwatch_heartbeat' is the watch by which lmwatch tests itself: give another name",
    ],
    "interval-shorter-than-scrape": [
        "7:15: watches[0].interval: 30s is shorter than the 2m in which source 'nodes' scrapes",
        "9:5: watches[1].interval: 1m is shorter than the 2m in which source 'nodes' scrapes",
    ],
    "label-name": [
        "2:12: alerting.labels.2nd-team: must be a label name: letters, digits and '_'",
    ],
    "list-for-mapping": [
        "1:6: web: wants keys and values, found a list",
    ],
    "mapping-for-list": [
        "2:3: servers: wants a list, found keys and values",
    ],
    "merge-bomb": [
        "2:5: servers: more than 100,000 values: do aliases multiply?",
    ],
    "merge": [
        "2:7: web.<<: must be a mapping, or a list of mappings",
    ],
    "metric-name": [
        "8:48: watches[0].select[0].name: must be a metric name: letters, digits, '_' and ':'",
    ],
    "min-change": [
        "8:42: watches[0].select[0].min_change: must be a number, like 5, or a share of the usual value, like 5%",
    ],
    "missing-key": [
        "2:5: servers[0].url: missing",
    ],
    "missing-value": [
        "3:9: servers[0].url: has no value",
    ],
    "name": [
        "2:11: servers[0].name: must begin with a letter or digit and hold only letters, digits, '_', '.' and '-', at most 100",
    ],
    "names-twice": [
        "3:12: servers[1].name: 'desk' is already the name of servers[0]",
        "7:11: sources[1].name: 'tsdb' is already the name of sources[0]",
        "14:33: watches[0].select[1].name: 'errors' is already the name of select[0]",
        "15:11: watches[1].name: 'checkout' is already the name of watches[0]",
    ],
    "no-sources": [
        "3:13: watches[0].source: there is no source 'nodes'; the file has no sources",
    ],
    "no-targets": [
        "3:13: sources[0].scrape: name at least one of targets, file_sd and http_sd",
    ],
    "not-a-number": [
        "8:16: watches[0].threshold: wants a number, found the text '.nan'",
    ],
    "not-keys-and-values": [
        "1:1: the file must hold keys and values",
    ],
    "number-for-text": [
        "3:12: alerting.labels.shard: wants text, found the number 5: put it in quotes",
        "4:14: alerting.labels.primary: wants text, found true: put it in quotes",
    ],
    "octal": [
        "4:19: servers[0].max_parallel: wants a whole number, found the text '017'",
        "5:18: servers[0].queue_limit: wants a whole number, found the text '0x10'",
    ],
    "odd-characters": [
        "1:1: a\\nweb: x\\x1b[31m: unknown key; keys that may stand here: alerting, grafana, heartbeat, journal, proxy, servers, web",
        "3:23: watches[0].source: must begin with a letter or digit and hold only letters, digits, '_', '.' and '-', at most 100",
        "3:23: watches[0].source: there is no source '\\ud800'; sources are: b\\nc",
        "4:18: sources[0].name: must begin with a letter or digit and hold only letters, digits, '_', '.' and '-', at most 100",
    ],
    "proxy": [
        "1:17: proxy.listen: write host:port or :port, like 127.0.0.1:1235 or [::1]:1235",
        "1:44: proxy.server: there is no server 'desk'; servers are: local",
    ],
    "query-of-scrape": [
        "7:13: watches[0].screen: pushdown needs a prometheus source, and 'nodes' scrapes targets",
        "9:17: watches[0].select[0].query: source 'nodes' scrapes targets and cannot answer queries: give series (a selector)",
    ],
    "quiet-hours": [
        "8:30: watches[0].quiet_hours[0].times[0].start_time: '2:00' is no time of day, did you mean 02:00?",
        "8:56: watches[0].quiet_hours[0].times[1].end_time: missing",
        "8:79: watches[0].quiet_hours[0].times[2]: start_time cannot be 24:00: that is the end of a day, the next begins at 00:00",
        "9:17: watches[0].quiet_hours[1].times[0]: start_time and end_time are the same: the whole day is 00:00 to 24:00",
        "9:59: watches[0].quiet_hours[1].times[1].start_time: missing",
        "9:60: watches[0].quiet_hours[1].times[1].begin: unknown key; keys that may stand here: start_time",
        "9:86: watches[0].quiet_hours[1].times[1].end_time: '25:00' is no time of day: write it like 02:00 or 22:30",
        "10:20: watches[0].quiet_hours[2].weekdays[0]: 'mondy' is no day of the week, did you mean monday?",
        "10:27: watches[0].quiet_hours[2].weekdays[1]: 'sonday' is no day of the week, did you mean sunday?",
        "10:44: watches[0].quiet_hours[2].weekdays[2]: write one or a range, like sunday or monday:friday",
        "10:53: watches[0].quiet_hours[2].weekdays[3]: 'x' is no day of the week; days are: friday, monday, saturday, sunday, thursday, tuesday, wednesday",
        "11:19: watches[0].quiet_hours[2].location: there is no time zone 'Europe/Berln', did you mean Europe/Berlin?",
        "12:25: watches[0].quiet_hours[3].days_of_month[0]: '0' is no day of the month: they are 1 to 31, or -1 to -31 from the end",
        "12:28: watches[0].quiet_hours[3].days_of_month[1]: '32' is no day of the month: they are 1 to 31, or -1 to -31 from the end",
        "12:32: watches[0].quiet_hours[3].days_of_month[2]: a range cannot go over the end of the month: write two, -3:-1 and 1:2",
        "12:40: watches[0].quiet_hours[3].days_of_month[3]: day 1 is always before day 5",
        "12:47: watches[0].quiet_hours[3].days_of_month[4]: 'first' is no day of the month: they are 1 to 31, or -1 to -31 from the end",
        "13:18: watches[0].quiet_hours[3].months[0]: 13 is no month: they count from 1 to 12",
        "13:22: watches[0].quiet_hours[3].months[1]: 'julember' is no month, did you mean november?",
        "13:32: watches[0].quiet_hours[3].months[2]: write one or a range, like december, january:march or 1:3",
        "14:17: watches[0].quiet_hours[3].years[0]: write a year, or a range of them, with four digits: 2027 or 2027:2030",
        "14:21: watches[0].quiet_hours[3].years[1]: year 2027 is before year 2030",
        "15:9: watches[0].quiet_hours[4]: matches always: give at least one of times, weekdays, days_of_month, months and years",
        "16:9: watches[0].quiet_hours[5]: 'nights' is no interval: write it like 02:00-04:30 or mon-fri 22:00-06:00 Europe/Berlin",
        "17:9: watches[0].quiet_hours[6]: '9:00' is no time of day, did you mean 09:00?",
        "18:9: watches[0].quiet_hours[7]: 'frx' is no day of the week; days are: friday, monday, saturday, sunday, thursday, tuesday, wednesday",
        "19:9: watches[0].quiet_hours[8]: there is no time zone 'Berlin', did you mean Europe/Berlin?",
        "20:9: watches[0].quiet_hours[9].times[0]: start_time and end_time are the same: the whole day is 00:00 to 24:00",
        "21:9: watches[0].quiet_hours[10]: wants keys and values, found a number",
        "22:10: watches[0].quiet_hours[11].weekday: unknown key, did you mean weekdays?",
        "22:39: watches[0].quiet_hours[11].location: write the name of a time zone, like Europe/Berlin",
        "24:43: watches[0].select[0].quiet_hours: wants a list, found text",
        "25:55: watches[0].select[1].quiet_hours[0].weekdays: wants a list, found text",
    ],
    "second-document": [
        "3:1: a second document begins here: only one is allowed",
    ],
    "secret-file-missing": [
        "4:21: servers[0].api_token_file: cannot read not-there.txt: No such file or directory",
    ],
    "secret-in-file": [
        "4:16: servers[0].api_token: a secret must not stand in the file: put it into a file of its own and name that with the *_file key, or write ${NAME_OF_AN_ENVIRONMENT_VARIABLE}",
    ],
    "secret-in-header": [
        "4:19: servers[0].http_headers: the value of X-Api-Key is a secret and must not stand in the file: write ${NAME_OF_AN_ENVIRONMENT_VARIABLE}",
    ],
    "secret-number-in-file": [
        "4:31: servers[0].http_headers.X-Api-Key: wants text, found a number: put it in quotes",
    ],
    "selection": [
        "8:9: watches[0].select[0]: give either series (a selector), or query (any PromQL) and name",
        "9:9: watches[0].select[1]: valid_min must be less than valid_max",
        "10:9: watches[0].select[2]: wants keys and values, found a number",
    ],
    "series-of-prometheus": [
        "8:9: watches[0].select[0].series: source 'tsdb' is asked in PromQL: give query and name instead of series",
        "9:18: watches[0].select[1].series: source 'tsdb' is asked in PromQL: give query and name instead of series",
    ],
    "several": [
        "4:20: servers[0].poll_interval: write a duration with its unit, like 30s, 5m or 1h30m",
        "5:5: servers[0].colour: unknown key; keys that may stand here: api_token, api_token_file, authorization, basic_auth, deadline, follow_redirects, http_headers, load, log_stream, max_parallel, model, probe, proxy_from_environment, proxy_url, queue_limit, rpc, tls_config",
        "8:43: sources[0].scrape.intervall: unknown key, did you mean interval?",
        "11:13: watches[0].source: there is no source 'nods', did you mean nodes?",
        "14:16: watches[0].threshold: must be less than 1.0, not 5",
    ],
    "sexagesimal": [
        "4:15: servers[0].deadline: '1:30' is no duration; write it like 30s, 5m or 1h30m",
    ],
    "size": [
        "5:24: sources[0].scrape.body_size_limit: write a size with its unit, like 512KB, 50MB or 1GB; 0 is no limit",
    ],
    "source-kinds": [
        "2:5: sources[0]: give exactly one of scrape and prometheus",
        "3:5: sources[1]: give exactly one of scrape and prometheus",
    ],
    "syntax": [
        "4:4: not YAML: expected <block end>, but found '<block mapping start>': is this line indented as those above?",
    ],
    "tab": [
        "2:1: not YAML: found character '\\t' that cannot start any token: indent with spaces",
    ],
    "tag": [
        "2:5: servers[0]: the tag !!python/object/apply:os.system has no meaning here",
        "3:23: servers[1].url: the tag !vault has no meaning here",
        "4:12: servers[2].name: cannot be read as !!bool",
    ],
    "target-with-scheme": [
        "3:24: sources[0].scrape.targets[0]: write host:port alone; scheme and path are keys of their own",
    ],
    "text-for-number": [
        "4:19: servers[0].max_parallel: wants a whole number, found the text 'four'",
    ],
    "timeout-longer-than-interval": [
        "3:13: sources[0].scrape: timeout must not be longer than interval",
    ],
    "undefined-alias": [
        "2:5: not YAML: found undefined alias 'desk'",
    ],
    "unfinished": [
        "2:1: not YAML: expected the node content, but found '<stream end>'",
    ],
    "unknown-key-alias": [
        "2:3: alerting.for_: unknown key, did you mean for?",
    ],
    "unknown-key-far": [
        "2:3: web.colour: unknown key; keys that may stand here: external_url",
    ],
    "unknown-key-inherited": [
        "4:7: alerting.alertmanagers[0].basic_ath: unknown key, did you mean basic_auth?",
    ],
    "unknown-key-required": [
        "2:5: servers[0].nam: unknown key, did you mean name?",
    ],
    "unknown-key": [
        "7:5: watches[0].intervl: unknown key, did you mean interval?",
    ],
    "unknown-section": [
        "1:1: sorces: unknown key, did you mean sources?",
    ],
    "unknown-source": [
        "6:13: watches[0].source: there is no source 'noddes', did you mean nodes?",
        "9:13: watches[1].source: there is no source 'elsewhere'; sources are: nodes",
    ],
    "url-with-password": [
        "3:10: servers[0].url: a user or password must not stand in a URL: use basic_auth with password_file",
        "4:16: servers[0].proxy_url: a user or password must not stand in a URL: use basic_auth with password_file",
    ],
    "url": [
        "3:10: servers[0].url: write an http or https URL with a host, like http://127.0.0.1:1234",
        "5:10: servers[1].url: write an http or https URL with a host, like http://127.0.0.1:1234",
        "7:10: servers[2].url: must be a URL without ? and #: paths are appended to it",
        "9:10: servers[3].url: write an http or https URL with a host, like http://127.0.0.1:1234",
    ],
    "watch-times": [
        "7:14: watches[0].history: must be at most 60d, not 90d",
        "8:13: watches[0].settle: must be longer than 0",
        "10:35: watches[0].select[0].for: write a duration with its unit, like 30s, 5m or 1h30m",
        "11:30: watches[0].select[1].for_: unknown key, did you mean for?",
    ],
    "window-shorter-than-intervals": [
        "5:5: watches[0]: window must be at least twice as long as interval",
    ],
    "yes-for-true": [
        "4:11: servers[0].load: wants true or false, found the text 'yes'",
        "5:23: servers[0].follow_redirects: wants true or false, found the text 'on'",
    ],
}


@pytest.mark.parametrize("name", ERRORS)
def test_the_error_names_every_mistake(name, monkeypatch):
    """Nothing but these lines, in the order of the file."""
    monkeypatch.chdir(TESTDATA)
    file = f"{name}.bad.yml"
    with pytest.raises(ConfigError) as caught:
        load_config(Path(file), {"TOKEN": "abc"})
    assert str(caught.value).split("\n") == [f"{file}:{line}" for line in ERRORS[name]]


def test_every_bad_file_has_an_expected_error():
    assert {path.name.removesuffix(".bad.yml") for path in TESTDATA.glob("*.bad.yml")} == set(ERRORS)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_repeats_nothing_that_may_be_a_secret(name, monkeypatch):
    """Neither its text nor what it was raised from."""
    monkeypatch.chdir(TESTDATA)
    with pytest.raises(ConfigError) as caught:
        load_config(Path(f"{name}.bad.yml"), {"TOKEN": "abc"})
    error = caught.value
    shown = f"{error} {error!r} {error.__cause__ or ''} {'' if error.__suppress_context__ else error.__context__ or ''}"
    assert "planted" not in shown
    assert "31337" not in shown


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path):
    path = tmp_path / "lmwatch.yml"
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"


def test_a_file_that_is_no_configuration_by_its_size_is_refused(tmp_path):
    path = tmp_path / "lmwatch.yml"
    path.write_bytes(b"#" * (4 * 1024**2 + 1))
    with pytest.raises(ConfigError, match="is larger than 4 MiB"):
        load_config(path, {})
