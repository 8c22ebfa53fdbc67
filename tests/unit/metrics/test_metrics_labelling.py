import re

from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.labelling import OURS, beside_ours, exposed_labels
from exporter.series.labels import labels_of


def test_labels_that_do_not_collide_stay_the_same_object():
    own = labels_of({"instance": "a", "job": "b"})
    assert beside_ours(own) is own


def test_job_and_instance_are_always_there():
    assert exposed_labels(labels_of({"a": "1"})) == (("a", "1"), ("instance", ""), ("job", ""))
    assert exposed_labels(labels_of({"instance": "i", "watch": "w"})) == (
        ("instance", "i"),
        ("exported_watch", "w"),
        ("job", ""),
    )
    both = labels_of({"instance": "i", "job": "j"})
    assert exposed_labels(both) == both


def test_colliding_labels_get_a_prefix():
    own = labels_of({"kind": "k", "metric": "m", "watch": "w", "job": "j"})
    assert dict(beside_ours(own)) == {"exported_kind": "k", "exported_metric": "m", "exported_watch": "w", "job": "j"}


def test_the_prefix_is_repeated_until_the_name_is_free():
    own = labels_of({"watch": "w", "exported_watch": "e"})
    assert dict(beside_ours(own)) == {"exported_exported_watch": "w", "exported_watch": "e"}


def test_names_that_the_classic_formats_do_not_know_become_legal():
    own = labels_of({"http.status": "200", "9lives": "cat", "größe": "1"})
    assert dict(beside_ours(own)) == {"http_status": "200", "_9lives": "cat", "gr__e": "1"}


def test_a_legal_name_keeps_its_name_when_another_becomes_equal_to_it():
    own = labels_of({"a.b": "dotted", "a_b": "plain"})
    assert dict(beside_ours(own)) == {"exported_a_b": "dotted", "a_b": "plain"}


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=3), max_size=6))
def test_names_are_always_legal_distinct_and_not_ours(pairs: dict[str, str]):
    exposed = beside_ours(labels_of(pairs))
    names = [name for name, _ in exposed]
    assert len(set(names)) == len(pairs)
    assert not OURS.intersection(names)
    assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) for name in names)
    assert sorted(value for _, value in exposed) == sorted(pairs.values())
