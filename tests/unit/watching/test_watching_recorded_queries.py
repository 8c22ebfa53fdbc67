"""The PromQL of `screen: pushdown`, read by a parser of PromQL."""

import re

import promql_parser
import pytest

from exporter.config.load import parse_config
from exporter.config.model import Selection
from exporter.errors import ConfigError
from exporter.loading import _pushdown_asks_for_records
from exporter.watching.recorded_queries import closer_query, scores_query, window_query

AWKWARD = (("job", 'a"b\\c\nd'), ("zone", "x"))


def test_every_query_is_promql():
    selections = [
        Selection(query='lmwatch:input{anomaly_name="shop",job=~"a|\\"b"}', name="a", valid_min=-1.5, valid_max=1e9),
        Selection(query="lmwatch:input", name="b"),
    ]
    for query in (
        scores_query(selections),
        closer_query([AWKWARD, ()], {"job", "zone", "other"}),
        window_query([AWKWARD, ()], {"job", "zone", "other"}),
    ):
        assert promql_parser.parse(query)


def test_a_series_is_named_so_that_no_other_one_is_meant():
    query = window_query([AWKWARD], {"job", "zone", "other"})
    assert query == 'lmwatch:input{job="a\\"b\\\\c\\nd",other="",zone="x"}'


def config(query, **watch):
    text = (
        "sources: [{name: tsdb, prometheus: {url: 'http://127.0.0.1:9090'}}]\n"
        "watches:\n"
        "  - name: w\n"
        "    source: tsdb\n"
        "    screen: pushdown\n"
        f"    select: [{{query: '{query}', name: x}}]\n"
    )
    text += "".join(f"    {key}: {value}\n" for key, value in watch.items())
    return parse_config(text, file="f", directory=None, environ={}, checks=[_pushdown_asks_for_records])


@pytest.mark.parametrize("query", ["lmwatch:input", 'lmwatch:input{anomaly_name="shop"}', '{__name__="lmwatch:input"}'])
def test_a_selector_of_the_input_is_taken(query):
    assert config(query).watches[0].screen == "pushdown"


@pytest.mark.parametrize(
    "query",
    ["up", "rate(lmwatch:input[5m])", "sum(lmwatch:input)", '{anomaly_name="shop"}', '{__name__=~"lmwatch:input"}'],
)
def test_anything_else_is_refused_with_its_place_and_what_is_wanted(query):
    with pytest.raises(ConfigError, match=re.escape("give a selector of lmwatch:input")) as caught:
        config(query)
    assert "f:6:" in str(caught.value)
    assert "watches[0].select[0].query" in str(caught.value)


def test_calm_groups_cannot_be_asked_about():
    with pytest.raises(ConfigError, match="only suspicious groups can be put to the model"):
        config("lmwatch:input", reason="{when: always}")
