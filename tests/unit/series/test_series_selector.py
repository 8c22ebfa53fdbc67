import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.series.labels import Series, labels_of
from exporter.series.selector import Selector

CPU = Series("node_cpu_seconds_total", labels_of({"cpu": "0", "mode": "user", "job": "node"}))


@pytest.mark.parametrize(
    "text",
    [
        "node_cpu_seconds_total",
        " node_cpu_seconds_total ",
        "node_cpu_seconds_total{}",
        'node_cpu_seconds_total{mode="user"}',
        "node_cpu_seconds_total { mode = 'user' , cpu=`0`, }",
        '{__name__="node_cpu_seconds_total"}',
        '{"node_cpu_seconds_total", mode!="idle"}',
        '{"node_cpu_seconds_total", "mode"="user"}',
        '{__name__=~"node_.*",mode!="idle"}',
        'node_cpu_seconds_total{mode=~"user|system"}',
        'node_cpu_seconds_total{mode!~"use|ser|idle"}',
        'node_cpu_seconds_total{absent=""}',
        'node_cpu_seconds_total{absent=~".*"}',
        'node_cpu_seconds_total{absent!="x"}',
        'node_cpu_seconds_total{mode!=""}',
        'node_cpu_seconds_total{mode="\\x75ser"}',
        'node_cpu_seconds_total{mode="\\u0075\\163er"}',
        'node_cpu_seconds_total{mode=~"(?i)USER"}',
        'node_cpu_seconds_total{mode=~"[:users:]+"}',
    ],
)
def test_selects_the_series(text):
    assert Selector.parse(text).matches(CPU)


@pytest.mark.parametrize(
    "text",
    [
        "node_cpu_seconds",
        "Node_cpu_seconds_total",
        'node_cpu_seconds_total{mode="idle"}',
        'node_cpu_seconds_total{mode!="user"}',
        'node_cpu_seconds_total{mode=~"use"}',  # anchored at the end
        'node_cpu_seconds_total{mode=~"ser"}',  # anchored at the start
        'node_cpu_seconds_total{mode=~"u|user2"}',
        'node_cpu_seconds_total{mode!~"us.*"}',
        'node_cpu_seconds_total{absent!=""}',
        'node_cpu_seconds_total{absent=~".+"}',
        'node_cpu_seconds_total{mode="user",cpu="1"}',
        '{"node_cpu_seconds_total", mode="idle"}',
    ],
)
def test_leaves_the_series(text):
    assert not Selector.parse(text).matches(CPU)


def test_a_dot_matches_a_newline_in_a_label_value_as_in_prometheus():
    series = Series("a", (("text", "one\ntwo"),))
    assert Selector.parse('a{text=~"one.two"}').matches(series)


def test_a_selector_prints_as_it_was_written():
    assert str(Selector.parse(' up{ a="b" }')) == ' up{ a="b" }'


@pytest.mark.parametrize(
    ("text", "position", "why"),
    [
        ("", 1, "expected a metric name or {"),
        ("1up", 1, "expected a metric name or {"),
        ("up[5m]", 3, "a range"),
        ("up offset 5m", 4, "an offset"),
        ("up @ 1600", 4, "@"),
        ("rate(up[5m])", 5, "a function"),
        ("up + 1", 4, "expected the end"),
        ("up{a}", 5, "expected =, !=, =~ or !~"),
        ('up{a=="b"}', 6, "closed string"),
        ("up{a=b}", 6, "closed string"),
        ('up{a="b}', 6, "closed string"),
        ('up{a="b"', 9, "expected , or }"),
        ('up{a="b",,}', 10, "expected a label name or }"),
        ('up{,a="b"}', 4, "expected a label name or }"),
        (r'up{a="b\.c"}', 8, "write the backslash twice"),
        (r'up{a="b\'c"}', 8, "not allowed"),
        (r'up{a="\ud800"}', 7, "no character"),
        (r'up{a="\xff"}', 7, "not UTF-8"),
        ('up{a=~"("}', 4, "no regular expression"),
        ('up{a=~"x[[:alpha:]]+"}', 4, "the class [:alpha:] is not known here"),
        ('up{a!~"[^_[:^digit:]]"}', 4, "the class [:^digit:] is not known here"),
        ('up{__name__="down"}', 4, "given twice"),
        ('up{"down"}', 4, "given twice"),
        ("{}", 1, "use .+"),
        ('{a=""}', 1, "use .+"),
        ('{__name__=~".*"}', 1, "use .+"),
    ],
)
def test_says_where_and_what_is_wrong(text, position, why):
    with pytest.raises(ValueError) as caught:
        Selector.parse(text)
    assert f"position {position}:" in str(caught.value)
    assert why in str(caught.value)
    assert repr(text) in str(caught.value)


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in KEYWORDS)
KEYWORDS = {
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "offset",
    "bool",
    "inf",
    "nan",
    "atan2",
    "start",
    "end",
}
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@given(NAMES, st.lists(st.tuples(NAMES, st.sampled_from(["=", "!="]), VALUES), max_size=4))
def test_reads_what_prometheus_would_read(name, conditions):
    """An independent PromQL parser finds the same matchers in the same text."""
    text = name + "{" + ",".join(label + op + quoted(value) for label, op, value in conditions) + "}"
    theirs = promql_parser.parse(text)
    ours = Selector.parse(text)
    operators = {"=": promql_parser.MatchOp.Equal, "!=": promql_parser.MatchOp.NotEqual}
    expected = [(m.name, str(m.op), m.value) for m in theirs.matchers.matchers]
    found = [(m.label, str(operators[m.operator]), m.value) for m in ours.matchers if m.label != "__name__"]
    assert (theirs.name, expected) == (name, found)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_with_a_position(text):
    message = "position"
    try:
        Selector.parse(text)
    except ValueError as error:
        message = str(error)
    assert "position" in message
