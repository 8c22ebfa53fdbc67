"""Log lines: one record a line, whatever stands in it."""

import io
import json
import logging
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.logs import JsonFormatter, LogfmtFormatter, configure, fields

LINE = re.compile(r'(?P<key>[A-Za-z0-9_.-]+)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s"=\\]+))(?: |$)')
UNESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|(.))")


def a_record(message="hello", level=logging.INFO, given=None, exc_info=None):
    record = logging.LogRecord("exporter.app", level, "/somewhere/app.py", 42, message, None, exc_info)
    record.created, record.msecs = 1795338812.123, 123.0
    if given is not None:
        record.fields = given
    return record


def parse_logfmt(line):
    """The pairs of a line, by a reader that accepts nothing but logfmt."""
    pairs, position = [], 0
    while position < len(line):
        match = LINE.match(line, position)
        assert match, line[position:]
        value = match["plain"] if match["quoted"] is None else UNESCAPE.sub(_unescape, match["quoted"])
        pairs.append((match["key"], value))
        position = match.end()
    return pairs


def _unescape(match):
    if match[1] or match[2]:
        return chr(int(match[1] or match[2], 16))
    return {"n": "\n", "r": "\r", "t": "\t"}.get(match[3], match[3])


def test_a_logfmt_line_looks_like_those_of_prometheus():
    line = LogfmtFormatter().format(
        a_record("target is down", given={"target": "a:9100", "error": "no route", "tries": 3})
    )
    assert line == (
        'ts=2026-11-22T09:13:32.123Z level=info caller=app.py:42 msg="target is down" target=a:9100 error="no route" tries=3'
    )


def test_a_json_line_holds_the_same():
    line = JsonFormatter().format(a_record("target is down", given={"target": "a:9100", "tries": 3, "up": False}))
    assert json.loads(line) == {
        "ts": "2026-11-22T09:13:32.123Z",
        "level": "info",
        "caller": "app.py:42",
        "msg": "target is down",
        "target": "a:9100",
        "tries": 3,
        "up": False,
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", '""'),
        ("plain-1.5/x:y", "plain-1.5/x:y"),
        ("two words", '"two words"'),
        ('say "hi"', r'"say \"hi\""'),
        ("a=b", '"a=b"'),
        ("back\\slash", r'"back\\slash"'),
        ("line\nnext\r\ttab", r'"line\nnext\r\ttab"'),
        ("\x1b[31mred\x7f\x85", r'"\u001b[31mred\u007f\u0085"'),
        ("right\u202eleft\u2028", r'"right\u202eleft\u2028"'),
        ("\ud800", r'"\ud800"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("größe", "größe"),
        (None, "null"),
        (True, "true"),
        (2.5, "2.5"),
        (["a", 1], "\"['a', 1]\""),
    ],
)
def test_values_are_quoted_and_escaped_where_they_need_it(value, written):
    assert LogfmtFormatter().format(a_record(given={"key": value})).endswith(f"msg=hello key={written}")


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_no_value_can_forge_a_line_or_a_field(message, values):
    """What a strict reader takes from the line is what was logged, for any text whatsoever."""
    line = LogfmtFormatter().format(a_record(message.replace("%", "%%"), given=values))
    assert line.splitlines() == [line]
    assert line.isprintable()
    pairs = parse_logfmt(line)
    assert [key for key, _ in pairs[:4]] == ["ts", "level", "caller", "msg"]
    assert len({key for key, _ in pairs}) == len(pairs) <= 4 + len(values)
    assert {value for _, value in pairs[4:]} <= set(values.values())


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_a_json_line_is_one_line_with_the_text_inside(message, values):
    line = JsonFormatter().format(a_record(message.replace("%", "%%"), given=values))
    assert line.splitlines() == [line]
    assert json.loads(line)["msg"] == message.replace("%", "%%")


def test_fields_cannot_replace_what_every_line_has():
    line = LogfmtFormatter().format(a_record(given={"level": "error", "msg": "fake", "odd key!": 1}))
    assert line.endswith("level=info caller=app.py:42 msg=hello field_level=error field_msg=fake odd_key_=1")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {(1, 2): "a"}, object])
def test_json_lines_are_json_for_any_value(value):
    line = JsonFormatter().format(a_record(given={"value": value}))
    assert json.loads(line, parse_constant=pytest.fail)["value"] == str(value)


def test_an_exception_stays_on_its_line():
    try:
        raise RuntimeError("first\nsecond")
    except RuntimeError:
        record = a_record(exc_info=sys.exc_info())
    line = LogfmtFormatter().format(record)
    assert line.splitlines() == [line]
    pairs = dict(parse_logfmt(line))
    assert pairs["stack"].startswith("Traceback")
    assert pairs["stack"].endswith("RuntimeError: first\nsecond")
    assert "RuntimeError" in json.loads(JsonFormatter().format(record))["stack"]


@pytest.mark.parametrize(
    ("level", "name"),
    [(5, "debug"), (10, "debug"), (20, "info"), (25, "info"), (30, "warn"), (40, "error"), (50, "error")],
)
def test_levels_are_named_as_in_prometheus(level, name):
    assert f" level={name} " in LogfmtFormatter().format(a_record(level=level))


def test_configure_sends_records_with_their_fields_to_the_stream():
    stream = io.StringIO()
    configure("info", "logfmt", stream)
    logging.getLogger("exporter.app").info("started %s", "well", extra=fields(port=9917))
    logging.getLogger("exporter.app").debug("not shown")
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(r'ts=\S+Z level=info caller=test_logs\.py:\d+ msg="started well" port=9917', line)


def test_configuring_again_replaces_the_first_setting():
    first, second = io.StringIO(), io.StringIO()
    configure("info", "logfmt", first)
    configure("debug", "json", second)
    logging.getLogger("exporter").debug("hello")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["msg"] == "hello"


def test_libraries_are_heard_from_warnings_on():
    stream = io.StringIO()
    configure("debug", "logfmt", stream)
    logging.getLogger("apscheduler.scheduler").info("a job was added")
    logging.getLogger("urllib3.connectionpool").warning("a retry")
    assert "a job" not in stream.getvalue()
    assert "a retry" in stream.getvalue()


@pytest.mark.parametrize(("level", "format_"), [("loud", "logfmt"), ("info", "xml")])
def test_unknown_settings_are_refused(level, format_):
    with pytest.raises(ValueError, match="there is no log"):
        configure(level, format_, io.StringIO())
