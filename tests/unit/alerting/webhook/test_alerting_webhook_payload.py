"""Alertmanager's payload is read leniently, refused in words, and written back with nothing but annotations added."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webhook_cases import FIRING, RESOLVED, TRUNCATED, alert, payload

from exporter.alerting.webhook import annotated, parse_notification
from exporter.errors import BadDataError

NOTES = {"lmwatch_summary": 'It "broke" <here>.', "lmwatch_cause": "Ürsache", "lmwatch_url": "http://x/verdicts/1"}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
TEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4)
ALMOST = st.fixed_dictionaries(
    {"alerts": st.lists(st.fixed_dictionaries({"labels": TEXTS}, optional={"annotations": TEXTS, "x": ANY_JSON}), min_size=1)},
    optional={
        "status": st.sampled_from(["firing", "resolved"]),
        "commonAnnotations": TEXTS,
        "groupLabels": TEXTS,
        "groupKey": st.text(),
        "version": ANY_JSON,
        "more": ANY_JSON,
    },
)  # fmt: skip


def test_a_firing_notification_is_read_whole():
    found = parse_notification(FIRING)
    assert (found.version, found.status, found.receiver, found.truncated) == ("4", "firing", "lmwatch", 0)
    assert found.group_key == '{}:{alertname="CheckoutErrors"}'
    assert found.group_labels == (("alertname", "CheckoutErrors"),)
    first, second = found.alerts
    assert (first.name, first.status, first.fingerprint) == ("CheckoutErrors", "firing", "7f2d1b2f3c9b5b1e")
    assert first.starts_at == "2026-02-02T09:14:08.261Z"
    assert first.started == pytest.approx(1770023648.261)
    assert first.annotations["summary"] == "The checkout fails > 10 % of its requests."
    assert dict(second.labels)["severity"] == "warning"
    assert found.payload.encode() == FIRING


def test_a_resolved_notification_has_nothing_firing():
    found = parse_notification(RESOLVED)
    assert found.status == "resolved"
    assert found.firing == ()
    assert [one.status for one in found.alerts] == ["resolved", "resolved"]


def test_unknown_keys_and_versions_and_left_out_alerts_are_accepted():
    found = parse_notification(TRUNCATED)
    assert (found.version, found.truncated, len(found.firing)) == ("5", 12, 2)
    assert found.alerts[0].started == pytest.approx(1770025946.739266)
    assert found.alerts[1].annotations == {}


def test_what_older_versions_lack_is_made_up_from_the_rest():
    bare = json.dumps({"alerts": [{"labels": {"a": "1"}}, {"labels": {"a": "2"}}], "receiver": "r"}).encode()
    found = parse_notification(bare)
    assert found.group_key == parse_notification(bare).group_key != ""
    assert found.alerts[0].fingerprint != found.alerts[1].fingerprint
    assert found.alerts[0].started is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "no JSON"),
        (b"null", "nothing"),
        (b'"alert"', "a text"),
        (b"[]", "the body is a list"),
        (b'[{"labels":{"alertname":"X"},"startsAt":"2026-02-02T09:14:08Z"}]', "name your Alertmanager under"),
        (b"{}", "alerts must be a list"),
        (b'{"alerts":[]}', "at least one alert"),
        (b'{"alerts":[1]}', r"alerts\[0\] must be an alert, not a number"),
        (b'{"alerts":[{}]}', r"alerts\[0\] has no labels"),
        (b'{"alerts":[{"labels":{"a":1}}]}', r"alerts\[0\].labels.a must be a text, not a number"),
        (b'{"alerts":[{"labels":{},"annotations":[]}]}', "annotations must be an object, not a list"),
        (b'{"alerts":[{"labels":{},"status":"pending"}]}', "must be firing or resolved, not 'pending'"),
        (b'{"alerts":[{"labels":{}}],"status":true}', "must be firing or resolved, not a boolean"),
        (b'{"alerts":[{"labels":{}}],"alerts":[{"labels":{}}]}', "'alerts' stands twice"),
        (b'{"alerts":[{"labels":{}}],"x":NaN}', "NaN is no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"alerts":[{"labels":{}}],"x":' + b"9" * 5000 + b"}", "cannot|can be read"),
    ],
)
def test_nonsense_is_refused_in_words(body: bytes, says: str):
    with pytest.raises(BadDataError, match=says):
        parse_notification(body)


@pytest.mark.parametrize("body", [FIRING, RESOLVED, TRUNCATED])
def test_annotations_are_all_that_changes(body: bytes):
    before, after = json.loads(body), json.loads(annotated(body.decode(), NOTES))
    for holder in (*after["alerts"], after):
        key = "commonAnnotations" if holder is after else "annotations"
        assert {name: holder[key].pop(name) for name in NOTES} == NOTES
    for place, each in enumerate(before["alerts"]):
        if "annotations" not in each:
            assert after["alerts"][place].pop("annotations") == {}
    assert after == before
    assert [list(each) for each in (before, *before["alerts"])] == [list(each) for each in (after, *after["alerts"])]


def test_numbers_order_and_blanks_stay_as_they_were_written():
    text = annotated(TRUNCATED.decode(), NOTES)
    assert '"score": 1.50,\n  "count": 1e3,\n' in text
    assert '"extra": {"deep": [1, 2.0, {"annotations": {"not": "these"}}]}' in text
    added = json.dumps(NOTES, separators=(",", ":"))
    assert text.replace(f'"annotations":{added},', "").replace(added, "{}") == TRUNCATED.decode()


def test_an_explanation_that_is_there_already_is_replaced():
    text = annotated(
        payload(alert(annotations={"lmwatch_summary": "old", "b": "c"})).decode(), {"lmwatch_summary": "new"}
    )
    assert json.loads(text)["alerts"][0]["annotations"] == {"lmwatch_summary": "new", "b": "c"}
    assert "old" not in text


def test_without_annotations_every_byte_stays():
    assert annotated(TRUNCATED.decode(), {}) == TRUNCATED.decode()


@given(ANY_JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_any_body_is_a_notification_or_refused(body: bytes):
    said = ""
    try:
        alerts = parse_notification(body).alerts
    except BadDataError as error:
        alerts, said = (), str(error)
    assert bool(alerts) != bool(said)
    assert "\n" not in said


@given(ALMOST, st.booleans())
def test_whatever_is_accepted_can_be_annotated(document: dict, ascii_only: bool):
    try:
        body = json.dumps(document, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    try:
        found = parse_notification(body)
    except BadDataError:
        return
    after = json.loads(annotated(found.payload, {"lmwatch_summary": "s"}))
    for each in (*after["alerts"], {"annotations": after["commonAnnotations"]}):
        assert each["annotations"].pop("lmwatch_summary") == "s"
    empty = {key: {} for key in ("commonAnnotations",) if key not in document}
    alerts = [{**each, "annotations": {k: v for k, v in (each.get("annotations") or {}).items() if k != "lmwatch_summary"}}
              for each in document["alerts"]]  # fmt: skip
    assert after == json.loads(json.dumps({**document, **empty, "alerts": alerts}))
