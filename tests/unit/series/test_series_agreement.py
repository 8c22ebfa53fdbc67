"""The reader against prometheus_client's parsers and writers, on stored expositions and on generated ones."""

import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
    UntypedMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.series.labels import escape_label_value, labels_of


def theirs(parse, text):
    """(name, labels) → value, timestamp, and for all but creation times type, help and unit; the first of several."""
    found = {}
    for family in parse(text):
        for sample in family.samples:
            created = sample.name == f"{family.name}_created"
            key = (sample.name, labels_of(sample.labels))
            timestamp = None if sample.timestamp is None else float(sample.timestamp)
            said = None if created else (family.type, family.documentation, family.unit)
            found.setdefault(key, (float(sample.value), timestamp, said))
    return found


def ours(reader, reading):
    found = {}
    for i, row in enumerate(reading.rows):
        series = reader.series(row)
        # prometheus_client gives counters their suffix where the text does not.
        bare = series.type == "counter" and not series.name.endswith("_total")
        name = series.name + "_total" if bare else series.name
        stamp = math.nan if reading.timestamps is None else reading.timestamps[i]
        created = series.type == "gauge" and name.endswith("_created")
        said = None if created else (series.type, series.help, series.unit)
        found[name, series.labels] = (float(reading.values[i]), None if math.isnan(stamp) else float(stamp), said)
    return found


def shown(found):
    """Comparable: NaN written out, so that it equals itself."""
    return {repr(key): repr(said) for key, said in found.items()}


@pytest.mark.parametrize("name", ["node_exporter.prom", "ugly.prom"])
def test_agrees_with_prometheus_client_on_text(bench, name):
    body = (bench.expositions / name).read_bytes()
    reader = bench.reader()
    expected = theirs(parse_text, body.decode())
    assert len(expected) > 10
    for _ in range(2):
        assert shown(ours(reader, reader.read(body, bench.text))) == shown(expected)


def test_agrees_with_prometheus_client_on_openmetrics(bench):
    body = (bench.expositions / "exemplars.openmetrics").read_bytes()
    reader = bench.reader()
    expected = theirs(parse_openmetrics, body.decode())
    assert len(expected) > 20
    for _ in range(2):
        assert shown(ours(reader, reader.read(body, bench.openmetrics))) == shown(expected)


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=6).map("m_{}".format)
LABEL_VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=10)
NUMBERS = st.one_of(st.floats(), st.integers(-(2**53), 2**53).map(float))
POSITIVE = st.floats(0, 1e300)
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\x00", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20
)


@st.composite
def families(draw):
    """Metric families of every type that prometheus_client can build, with unique label sets."""
    made = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        words = draw(WORDS).strip()
        keys = draw(st.lists(LABEL_VALUES, min_size=1, max_size=4, unique=True))
        kind = draw(st.sampled_from(["counter", "gauge", "untyped", "summary", "histogram"]))
        if kind == "histogram":
            family = HistogramMetricFamily(name, words, labels=["k"])
            for key in keys:
                low, high = sorted(draw(st.tuples(st.integers(0, 99), st.integers(0, 99))))
                family.add_metric([key], [("0.5", low), ("+Inf", high)], draw(POSITIVE))
        elif kind == "summary":
            family = SummaryMetricFamily(name, words, labels=["k"])
            for key in keys:
                family.add_metric([key], draw(st.integers(0, 99)), draw(POSITIVE))
        elif kind == "counter":
            family = CounterMetricFamily(name, words, labels=["k"])
            for key in keys:
                family.add_metric([key], draw(POSITIVE))
        else:
            family = (GaugeMetricFamily if kind == "gauge" else UntypedMetricFamily)(name, words, labels=["k"])
            for key in keys:
                family.add_metric([key], draw(NUMBERS))
        made.append(family)
    return made


class Fixed:
    def __init__(self, made):
        self._made = made

    def collect(self):
        return self._made


@settings(max_examples=60)
@given(families())
def test_reads_back_what_prometheus_client_writes(bench, made):
    registry = CollectorRegistry()
    registry.register(Fixed(made))
    written = {
        (sample.name, labels_of(sample.labels)): (float(sample.value), None, (family.type, family.documentation, ""))
        for family in made
        for sample in family.samples
    }
    for body, kind in ((generate_latest(registry), bench.text), (generate_openmetrics(registry), bench.openmetrics)):
        reader = bench.reader()
        for _ in range(2):
            assert shown(ours(reader, reader.read(body, kind))) == shown(written)


METRIC_NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
LABEL_NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,6}", fullmatch=True).filter(lambda name: name != "__name__")
IDENTITIES = st.tuples(
    st.one_of(METRIC_NAMES, LABEL_VALUES.filter(bool)),
    st.dictionaries(
        st.one_of(LABEL_NAMES, LABEL_VALUES.filter(lambda n: n not in ("", "__name__"))), LABEL_VALUES, max_size=4
    ),
)
BLANKS = st.text(" \t", max_size=2)
TIMESTAMPS = st.one_of(st.none(), st.integers(-(10**13), 10**13))


@st.composite
def lines(draw):
    """One sample line with every freedom the format leaves, and what it means."""
    name, labels = draw(IDENTITIES)
    bare = name.isascii() and name.replace(":", "_").isidentifier()
    pairs = [] if bare else [f'"{escape_label_value(name)}"']
    for label, value in labels.items():
        blank = draw(BLANKS)
        plain = label.isascii() and label.isidentifier()
        key = label if plain else f'"{escape_label_value(label)}"'
        pairs.append(f'{blank}{key}{blank}={blank}"{escape_label_value(value)}"{blank}')
    comma = "," if pairs and draw(st.booleans()) else ""
    braces = "{" + ",".join(pairs) + comma + draw(BLANKS) + "}" if pairs or draw(st.booleans()) else ""
    value, timestamp = draw(NUMBERS), draw(TIMESTAMPS)
    parts = [draw(BLANKS) + (name if bare else ""), draw(BLANKS) + braces + (draw(BLANKS) if braces else " ")]
    parts.append(repr(value) + ("" if timestamp is None else " " + draw(BLANKS) + str(timestamp)) + draw(BLANKS))
    return (name, labels_of(labels)), value, timestamp, "".join(parts)


@given(st.lists(lines(), min_size=1, max_size=6))
def test_reads_back_every_way_of_writing_a_sample(bench, written):
    body = "".join(line + "\n" for *_, line in written).encode()
    expected = {}
    for identity, value, timestamp, _ in written:
        expected.setdefault(identity, (value, None if timestamp is None else timestamp / 1000, ("unknown", "", "")))
    reader = bench.reader()
    for _ in range(2):
        reading = reader.read(body, bench.text)
        assert shown(ours(reader, reading)) == shown(expected)
        assert reading.duplicates == len(written) - len(expected)
