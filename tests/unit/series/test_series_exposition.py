"""The exposition reader: formats, errors, limits, the target's labels, rows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import BadDataError
from exporter.series.exposition import Limits
from exporter.series.labels import Series


def exact(readings):
    return [
        (r.rows.tolist(), np.nan_to_num(r.values, nan=-777.0).tolist(), None if r.timestamps is None else "stamped")
        for r in readings
    ]


def test_the_ugly_exposition_is_read_like_this(bench):
    """Blanks, tabs, empty lines, escapes, braces and hashes in values, quoted names, comments that only look like more."""
    reader = bench.reader()
    reading = reader.read((bench.expositions / "ugly.prom").read_bytes(), bench.text)
    help_text = "Help with   inner blanks \\ and \n newline and \\x unknown."
    known = bench.known(reader, reading)
    assert [
        (s.name, dict(s.labels), v) for s, v in zip(known, reading.values.tolist(), strict=True) if not math.isnan(v)
    ] == [
        ("spaced", {}, 1.0),
        ("spaced", {"a": "b", "c": "d"}, 2.0),
        ("spaced", {"a": "tab\tinside"}, 0.35),
        ("spaced", {"a": "} 1 # no", "b": 'say "hi"', "c": "C:\\DIR\\", "d": "two\nlines", "e": "\\q"}, 4.0),
        ("no_type_total", {}, 6.0),
        ("up_value", {}, np.inf),
        ("down_value", {}, -np.inf),
        ("inf_word", {"i": "1"}, np.inf),
        ("utf8.name", {"a": "b"}, 7.0),
        ("utf8.name", {"label.with.dots": "ü"}, 8.0),
        ("late_bucket", {"le": "+Inf"}, 1.0),
        ("late_sum", {}, 1.5),
        ("late_count", {}, 1.0),
    ]
    by_name = {s.name: s for s in known}
    assert (by_name["spaced"].type, by_name["spaced"].help) == ("gauge", help_text)
    assert [by_name[n].type for n in ("nan_value", "utf8.name", "late_sum")] == ["unknown", "counter", "histogram"]
    assert reading.duplicates == 1
    stamps = {s.name: t for s, t in zip(known, reading.timestamps.tolist(), strict=True) if not math.isnan(t)}
    assert stamps == {"spaced": 1395066363.0, "no_type_total": -1.0}


@pytest.mark.parametrize("name", ["ugly.prom", "node_exporter.prom", "exemplars.openmetrics"])
def test_the_same_exposition_reads_the_same_from_a_known_layout(bench, name):
    body = (bench.expositions / name).read_bytes()
    kind = bench.openmetrics if name.endswith("openmetrics") else bench.text
    reader = bench.reader()
    first, *others = [reader.read(body, kind) for _ in range(3)]
    assert len(first.fresh) == len(first.rows)
    assert all(len(other.fresh) == 0 for other in others)
    assert exact(others) == exact([first, first])
    assert all(
        np.array_equal(other.timestamps, first.timestamps, equal_nan=True)
        for other in others
        if other.timestamps is not None
    )


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_byte_order_mark_and_carriage_returns_do_not_matter(bench, before, newline):
    body = before + newline.join([b"# TYPE a counter", b"# HELP a Words.", b'a{b="c"} 1 2000', b"d 3", b""])
    reader = bench.reader()
    reading = reader.read(body, bench.text)
    assert bench.content(reader, reading) == {'a{b="c"}': 1.0, "d": 3.0}
    assert reader.series(0) == Series("a", (("b", "c"),), "counter", "Words.")


def test_an_empty_exposition_has_no_samples(bench):
    assert bench.reader().read(b"", bench.text).rows.tolist() == []
    assert bench.reader().read(b"\n", bench.text).rows.tolist() == []
    assert bench.reader().read(b"# EOF\n", bench.openmetrics).rows.tolist() == []


ERRORS = [
    (b"a 1\nb", "line 2: the exposition is cut short"),
    (b"a 1\nb 2", "line 2: the exposition is cut short"),
    (b"a 1\nb\n", "line 2, column 2: expected a value"),
    (b"a x\n", "line 1, column 3: expected a value: a x"),
    (b"a 0x10\n", "line 1, column 3: expected a value"),
    (b"a 1_000\n", "line 1, column 3: expected a value"),
    (b"a 1\x0b\n", r"line 1, column 3: expected a value: a 1\x0b"),
    (b"a 1 2.5\n", "line 1, column 5: expected a timestamp in whole milliseconds"),
    (b"a 1 2 3\n", "line 1, column 7: unexpected text after the sample"),
    (b"a 1 # {} 2\n", "line 1, column 5: expected a timestamp"),
    (b"9a 1\n", "line 1, column 1: expected a metric name"),
    (b"a-b 1\n", "line 1, column 2: expected a blank, {"),
    (b"<!DOCTYPE html>\n", "line 1, column 1: expected a metric name"),
    (b"a{b} 1\n", "line 1, column 4: expected = after a label name"),
    (b"a{b=c} 1\n", "line 1, column 5: expected a closed string"),
    (b'a{b="c} 1\n', "line 1, column 5: expected a closed string"),
    (b'a{b="c"\n', "line 1, column 8: expected , or }"),
    (b'a{b="c" d="e"} 1\n', "line 1, column 9: expected , or }"),
    (b'a{,b="c"} 1\n', "line 1, column 3: expected a label name or }"),
    (b'a{b="c",,} 1\n', "line 1, column 9: expected a label name or }"),
    (b'a{b="c",b="d"} 1\n', "line 1, column 9: the label b is given twice"),
    (b'{b="c"} 1\n', "line 1, column 8: no metric name"),
    (b'a{"b"} 1\n', "line 1, column 3: the metric name is given twice"),
    (b'a{__name__="b"} 1\n', "line 1, column 3: the metric name is given twice"),
    (b'a{""="b"} 1\n', "line 1, column 3: expected a label name"),
    (b"\xc3\xbc{} 1\n", "line 1, column 1: expected a metric name"),
    (b'a{b="\xc3\xbc\xff"} 1\n', r"line 1, column 7: not UTF-8: a{b=" + '"ü' + r"\xff"),
    (b'a{b="\xc3\xbc"} \x1b[31m\n', r'line 1, column 10: expected a value: a{b="ü"} \x1b[31m'),
    (b"# TYPE a counters\n", "line 1, column 10: expected a metric type"),
    (b"# TYPE a\n", "line 1, column 9: expected a metric type"),
    (b"# TYPE 1a counter\n", "line 1, column 7: expected a metric name after TYPE"),
    (b"# HELP \xff x\n", "line 1, column 7: expected a metric name after HELP"),
    (b"# HELP a \xff\n", "line 1, column 3: not UTF-8"),
]


@pytest.mark.parametrize(("body", "message"), ERRORS)
def test_an_error_names_line_column_and_text(bench, body, message):
    with pytest.raises(BadDataError) as caught:
        bench.reader().read(body, bench.text)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "line 1: the exposition is cut short: it does not end with # EOF"),
        (b"a 1\n", "line 2: the exposition is cut short"),
        (b"a 1\n# EO", "line 2: the exposition is cut short"),
        (b"# EOF\na 1\n# EOF\n", "line 3, column 1: an earlier # EOF"),
        (b"# EOF\n\n# EOF\n", "line 3, column 1: an earlier # EOF"),
        (b"a 1 inf\n# EOF\n", "line 1, column 8: expected a timestamp in seconds"),
        (b"a 1 # x\n# EOF\n", "line 1, column 7: expected the labels of an exemplar"),
        (b'a 1 # {"b"} 1\n# EOF\n', "line 1, column 8: the metric name is given twice"),
        (b"a 1 # {}\n# EOF\n", "line 1, column 9: expected the value of an exemplar"),
        (b"a 1 # {} 1 x\n# EOF\n", "line 1, column 12: expected a timestamp in seconds"),
        (b"a 1 # {} 1 2 3\n# EOF\n", "line 1, column 14: unexpected text after the sample"),
    ],
)
def test_openmetrics_errors(bench, body, message):
    with pytest.raises(BadDataError) as caught:
        bench.reader().read(body, bench.openmetrics)
    assert message in str(caught.value)


def test_protobuf_is_refused(bench):
    with pytest.raises(BadDataError, match="ask it for text"):
        bench.reader().read(b"\x00", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily")


def test_a_long_line_is_quoted_around_the_mistake(bench):
    body = b'a{b="' + b"x" * 500 + b'",c=d} 1\n'
    with pytest.raises(BadDataError) as caught:
        bench.reader().read(body, bench.text)
    assert str(caught.value) == f'line 1, column 510: expected a closed string in double quotes: …{"x" * 26}",c=d}} 1'


@pytest.mark.parametrize(
    "broken",
    [
        b"# TYPE a gauge\na 5\nb 6\nc{ 7\n",
        b"# TYPE a gauge\na 5\nnew 6\nb x\n",
        b"# TYPE a gauges\na 5\nb 6\n",
        b"# TYPE a counter\na 1\nb x\n",
        b"# TYPE a counter\na 1\nb 2",
    ],
)
def test_nothing_of_a_broken_exposition_is_taken(bench, broken):
    """The next reading is as if the broken one had not been: same rows, nothing new, same metadata."""
    good = b"# TYPE a counter\na 1\nb 2\n"
    reader = bench.reader()
    first = reader.read(good, bench.text)
    with pytest.raises(BadDataError):
        reader.read(broken, bench.text)
    assert len(reader) == 2
    again = reader.read(good, bench.text)
    assert exact([again]) == exact([first])
    assert again.fresh.tolist() == []
    assert reader.series(0).type == "counter"


LIMITED = [
    (Limits(sample_limit=2), b"a 1\nb 2\nc 3\n", "3 samples, more than sample_limit 2"),
    (Limits(label_limit=3), b'a 1\nb{x="1",y="2"} 2\n', "line 2, column 1: 4 labels, more than label_limit 3"),
    (
        Limits(label_value_length_limit=4),
        b'a{x="1234"} 1\na{x="\xc3\xbc345"} 2\n',
        "line 2, column 1: the value of x has 5 bytes",
    ),
    (
        Limits(label_value_length_limit=4),
        b"abcde 1\n",
        "the value of __name__ has 5 bytes, more than label_value_length_limit 4",
    ),
]


@pytest.mark.parametrize(("limits", "body", "message"), LIMITED)
def test_limits_refuse_with_numbers(bench, limits, body, message):
    with pytest.raises(BadDataError) as caught:
        bench.reader((("job", "j"),), limits=limits).read(body, bench.text)
    assert message in str(caught.value)


@pytest.mark.parametrize(("limits", "body", "_message"), LIMITED)
def test_one_less_is_within_the_limits(bench, limits, body, _message):
    bench.reader((("job", "j"),), limits=limits).read(
        body.rpartition(b"\n")[0].rpartition(b"\n")[0] + b"\n", bench.text
    )


TARGET = (("instance", "here:1"), ("job", "node"))


@pytest.mark.parametrize(
    ("exposed", "honor", "merged"),
    [
        ({}, False, {"instance": "here:1", "job": "node"}),
        ({"a": "b"}, False, {"a": "b", "instance": "here:1", "job": "node"}),
        ({"job": "x"}, False, {"exported_job": "x", "instance": "here:1", "job": "node"}),
        (
            {"job": "x", "exported_job": "y"},
            False,
            {"exported_exported_job": "x", "exported_job": "y", "instance": "here:1", "job": "node"},
        ),
        ({"job": ""}, False, {"instance": "here:1", "job": "node"}),
        ({"job": "x"}, True, {"instance": "here:1", "job": "x"}),
        ({"job": ""}, True, {"instance": "here:1"}),
    ],
)
def test_target_labels_are_merged_as_in_prometheus(bench, exposed, honor, merged):
    reader = bench.reader(TARGET, honor=honor)
    labels = ",".join(f'{name}="{value}"' for name, value in exposed.items())
    reader.read(f"a{{{labels}}} 1\n".encode(), bench.text)
    assert dict(reader.series(0).labels) == merged


def test_of_two_samples_of_a_series_the_first_is_kept_and_the_second_counted(bench):
    reader = bench.reader()
    for _ in range(2):  # from scratch, then from the known layout
        reading = reader.read(b'a{x="1",y="2"} 1\nb 2\na{y="2",x="1"} 3\nb 4\na{x="1",y="2"} 5\n', bench.text)
        assert bench.content(reader, reading) == {'a{x="1",y="2"}': 1.0, "b": 2.0}
        assert reading.duplicates == 3


def test_a_series_keeps_its_row_however_the_exposition_is_laid_out(bench):
    reader = bench.reader()
    row = reader.read(b'a{x="1",y="2"} 1\n', bench.text).rows[0]
    for body in (
        b'b 1\na{x="1",y="2"} 2\n',
        b'a{y="2",x="1"} 2 1000\n',
        b'a { x = "1",y="2",} 2\n',
        b'{"a",y="2",x="1"}\t2\n',
    ):
        reading = reader.read(body, bench.text)
        assert row in reading.rows
        assert dict(zip(reading.rows, reading.values, strict=True))[row] == 2.0


def test_more_spellings_than_are_remembered_are_still_the_same_series(bench):
    reader = bench.reader()
    body = b"".join(b"a{" + b" " * blanks + b'x="1"} %d\n' % blanks for blanks in range(12))
    for _ in range(3):
        reading = reader.read(body, bench.text)
        assert bench.content(reader, reading) == {'a{x="1"}': 0.0}
        assert reading.duplicates == 11
        reader.read(b"other 1\n", bench.text)


def test_a_sample_line_in_place_of_a_known_one_is_not_mistaken_for_it(bench):
    """Also where what follows reads like a number, or where a comment or an empty line takes the place."""
    reader = bench.reader()
    reader.read(b"a 1\nb 2\n", bench.text)
    assert bench.content(reader, reader.read(b"a 1\nab 2\n", bench.text)) == {"a": 1.0, "ab": 2.0}
    reader.read(b"a 1\nb 2\n", bench.text)
    with pytest.raises(BadDataError, match="line 2, column 1"):
        reader.read(b"a 1\n5\n", bench.text)
    assert bench.content(reader, reader.read(b"a 1\n\n", bench.text)) == {"a": 1.0}
    reader.read(b"a 1\nb 2\n", bench.text)
    assert bench.content(reader, reader.read(b"a 1\n# b 2\n", bench.text)) == {"a": 1.0}


def test_labels_behind_a_blank_are_not_mistaken_for_the_value_of_a_bare_name(bench):
    for blank in (b" ", b"  ", b" \t"):
        for before_value in (b"", b" "):
            reader = bench.reader()
            reader.read(b"a 1\n", bench.text)
            for _ in range(2):
                reading = reader.read(b"a" + blank + b'{x="1"}' + before_value + b"2\n", bench.text)
                assert bench.content(reader, reading) == {'a{x="1"}': 2.0}


def test_changed_metadata_describes_the_series_anew(bench):
    reader = bench.reader()
    reader.read(b"# TYPE a gauge\n# HELP b Old.\na 1\nb 2\nc 3\n", bench.text)
    reading = reader.read(b"# TYPE a counter\n# HELP b New.\na 1\nb 2\nc 3\n", bench.text)
    assert reading.fresh.tolist() == [0, 1]
    assert reader.series(0).type == "counter"
    assert reader.series(1).help == "New."
    assert reader.read(b"# TYPE a counter\n# HELP b New.\na 1\nb 2\nc 3\n", bench.text).fresh.tolist() == []


def test_metadata_that_changed_while_a_series_was_away_holds_when_it_comes_back(bench):
    reader = bench.reader()
    reader.read(b"# TYPE a gauge\na 1\nb 2\n", bench.text)
    reader.read(b"# TYPE a counter\nb 2\n", bench.text)
    reading = reader.read(b"# TYPE a counter\na 1\nb 2\n", bench.text)
    assert reading.fresh.tolist() == [0]
    assert reader.series(0).type == "counter"


@pytest.mark.parametrize(
    ("family", "name", "expected"),
    [
        ("counter", "x", "counter"),
        ("counter", "x_total", "counter"),
        ("counter", "x_created", "gauge"),
        ("counter", "x_sum", "unknown"),
        ("histogram", "x_bucket", "histogram"),
        ("histogram", "x_sum", "histogram"),
        ("histogram", "x_count", "histogram"),
        ("histogram", "x_total", "unknown"),
        ("gaugehistogram", "x_gcount", "gaugehistogram"),
        ("summary", "x", "summary"),
        ("summary", "x_sum", "summary"),
        ("summary", "x_bucket", "unknown"),
        ("info", "x_info", "info"),
        ("stateset", "x", "stateset"),
        ("gauge", "x_sum", "unknown"),
        ("untyped", "x", "unknown"),
    ],
)
def test_samples_find_the_family_they_belong_to(bench, family, name, expected):
    reader = bench.reader()
    reader.read(f"{name} 1\n# TYPE x {family}\n".encode(), bench.text)
    assert reader.series(0).type == expected


def test_a_family_whose_quoted_name_begins_with_an_escape_is_described(bench):
    reader = bench.reader()
    reader.read(b'# TYPE "\\"x\\\\" counter\n# HELP "\\"x\\\\" Words.\n{"\\"x\\\\"} 1\n', bench.text)
    assert reader.series(0) == Series('"x\\', (), "counter", "Words.")


def test_rows_are_given_out_again_after_their_release(bench):
    reader = bench.reader()
    reader.read(b"a 1\nb 2\nc 3\n", bench.text)
    reader.release([1])
    with pytest.raises(LookupError):
        reader.series(1)
    reading = reader.read(b"a 1\nd 2\nc 3\n", bench.text)
    assert bench.content(reader, reading) == {"a": 1.0, "d": 2.0, "c": 3.0}
    assert reading.rows.tolist() == [0, 1, 2]
    assert reading.fresh.tolist() == [1]


def test_a_released_series_of_the_last_layout_is_new_when_it_is_read_again(bench):
    reader = bench.reader()
    reader.read(b"a 1\nb 2\n", bench.text)
    reader.release([0])
    reading = reader.read(b"a 1\nb 2\n", bench.text)
    assert reading.fresh.tolist() == [0]
    assert bench.content(reader, reading) == {"a": 1.0, "b": 2.0}


def test_memory_stays_bounded_when_all_series_are_new_each_time_and_old_ones_are_released(bench):
    reader = bench.reader()
    highest, before = 0, []
    for scrape in range(6):
        body = b"".join(b'a{scrape="%d",id="%d"} 1\n' % (scrape, i) for i in range(10_000))
        reading = reader.read(body, bench.text)
        assert len(reader) == 10_000 if scrape == 0 else 20_000
        highest = max(highest, int(reading.rows.max()))
        reader.release(before)
        assert len(reader) == 10_000
        before = reading.rows.tolist()
    assert highest < 20_000


WEIRD = st.sampled_from(
    [
        b"a",
        b"{",
        b"}",
        b'"',
        b"=",
        b",",
        b" ",
        b"\t",
        b"\n",
        b"1",
        b"#",
        b"\\",
        b"# TYPE ",
        b"\xff",
        b"\x00",
        b"NaN",
        b"# EOF\n",
        b"e",
    ]
)


@given(st.one_of(st.binary(max_size=60), st.lists(WEIRD, max_size=25).map(b"".join)), st.booleans())
def test_any_bytes_are_read_or_refused(bench, body, openmetrics):
    """Only BadDataError, and its text is fit to print; what is accepted once is accepted the same a second time."""
    kind = bench.openmetrics if openmetrics else bench.text
    reader = bench.reader()
    for text in (body, body + (b"# EOF\n" if openmetrics else b"\n")):
        message = ""
        try:
            first = reader.read(text, kind)
        except BadDataError as error:
            message = str(error)
        else:
            assert exact([reader.read(text, kind)]) == exact([first])
        assert message.isprintable()


@given(
    st.lists(
        st.binary(max_size=12).map(lambda tail: tail.replace(b"\n", b"").replace(b"\r", b"")), min_size=1, max_size=5
    )
)
def test_a_known_layout_accepts_what_a_fresh_reader_accepts(bench, tails):
    """The quick path takes the same values, and refuses the same, as a reader that sees the lines for the first time."""
    plain = b"".join(b"s%d 1\n" % i for i in range(len(tails)))
    body = b"".join(b"s%d %b\n" % (i, tail) for i, tail in enumerate(tails))
    knowing = bench.reader()
    knowing.read(plain, bench.text)
    answers = []
    for reader in (bench.reader(), knowing):
        try:
            reading = reader.read(body, bench.text)
        except BadDataError as error:
            answers.append(str(error))
        else:
            answers.append(str(list(bench.content(reader, reading).items())))
    assert answers[0] == answers[1]
