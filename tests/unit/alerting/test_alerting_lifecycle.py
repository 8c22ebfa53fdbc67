"""What becomes of an alert: identity and start never change while it goes on, and everything that fires is resolved."""

from dataclasses import replace

import pytest
from alerting_cases import GONE, NOW, POLICY, WORDS, anomalous, calm, subject, unscored
from hypothesis import given
from hypothesis import strategies as st

from exporter.alerting.alert import identity
from exporter.alerting.lifecycle import RESOLVED_SECONDS, Ledger, retire, step
from exporter.alerting.observing import GONE_SECONDS, Observation

A = subject()
LATE = 10_000.0


def run(*steps, policy=POLICY):
    """The ledger after observations at these seconds."""
    ledger = Ledger()
    for seconds, seen in steps:
        ledger = step(ledger, seen, policy, NOW + seconds)
    return ledger


def state(ledger, of=A):
    """What others see of a subject."""
    if of in ledger.active:
        return ledger.active[of].state
    return "resolved" if any(alert.subject == of for alert in ledger.resolved.values()) else "inactive"


HOT, COLD, MUTE = anomalous(A), calm(A), unscored(A)
FIRED = ((0, HOT), (120, HOT))
TABLE = [
    ("the first sight makes it pending", [(0, HOT)], "pending"),
    ("it is pending until `for` has passed", [(0, HOT), (119, HOT)], "pending"),
    ("it fires when `for` has passed", FIRED, "firing"),
    ("a pending one that calms down is forgotten", [(0, HOT), (60, COLD)], "inactive"),
    ("and begins anew", [(0, HOT), (60, COLD), (119, HOT), (200, HOT)], "pending"),
    ("a pending one without a score is forgotten", [(0, HOT), (60, MUTE)], "inactive"),
    ("a pending one whose series is gone is forgotten", [(0, HOT), (60, GONE)], "inactive"),
    ("a dip does not resolve it", [*FIRED, (180, COLD)], "firing"),
    ("nor dips that are shorter than the hold", [*FIRED, (180, COLD), (300, HOT), (360, COLD), (500, COLD)], "firing"),
    ("it is resolved when it was calm for the hold", [*FIRED, (180, COLD), (360, COLD)], "resolved"),
    ("no score is no news", [*FIRED, (180, MUTE), (3700, MUTE)], "firing"),
    ("for a bounded time", [*FIRED, (180, MUTE), (3780, MUTE)], "resolved"),
    ("a score ends the silence", [*FIRED, (180, MUTE), (3700, HOT), (3900, MUTE)], "firing"),
    ("a series that is gone is waited for", [*FIRED, (180, GONE), (180 + GONE_SECONDS - 1, GONE)], "firing"),
    ("but not as long", [*FIRED, (180, GONE), (180 + GONE_SECONDS, GONE)], "resolved"),
    ("silence does not count as calm", [*FIRED, (180, COLD), (200, MUTE), (600, MUTE)], "firing"),
    ("a resolved one is kept to be repeated", [*FIRED, (180, COLD), (360, COLD), (1259, GONE)], "resolved"),
    ("and forgotten at last", [*FIRED, (180, COLD), (360, COLD), (360 + RESOLVED_SECONDS, GONE)], "inactive"),
    ("a resolved one comes back as pending", [*FIRED, (180, COLD), (360, COLD), (420, HOT)], "pending"),
]


@pytest.mark.parametrize(("steps", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_state_follows_from_what_was_seen(steps, expected):
    assert state(run(*steps)) == expected


def test_without_for_it_fires_at_once():
    alert = run((0, HOT), policy=replace(POLICY, pending=0)).active[A]
    assert (alert.state, alert.starts_at, alert.active_at) == ("firing", NOW, NOW)


def test_it_starts_when_it_fires_and_has_been_active_for_longer():
    alert = run(*FIRED, (240, HOT)).active[A]
    assert (alert.active_at, alert.starts_at) == (NOW, NOW + 120)


def test_the_kind_may_change_until_it_fires_and_never_after():
    ledger = run((0, anomalous(A, kind="")), (60, anomalous(A, kind="spike")), (120, anomalous(A, kind="drift")))
    assert dict(ledger.active[A].labels)["kind"] == "drift"
    ledger = step(ledger, anomalous(A, kind="level_shift"), POLICY, NOW + 180)
    assert dict(ledger.active[A].labels)["kind"] == "drift"


def test_a_rise_resolves_the_warning_and_fires_the_critical_alert_of_the_same_kind():
    ledger = run(*FIRED, (180, anomalous(A, severity="critical", kind="drift")))
    alert = ledger.active[A]
    (old,) = ledger.resolved.values()
    assert dict(alert.labels) == dict(old.labels) | {"severity": "critical"}
    assert dict(old.labels)["severity"] == "warning"
    assert (alert.starts_at, old.resolved_at, old.starts_at) == (NOW + 180, NOW + 180, NOW + 120)
    assert alert.active_at == NOW


def test_nothing_makes_it_milder():
    ledger = run((0, anomalous(A, severity="critical")), (120, anomalous(A, severity="critical")), (180, HOT))
    assert ledger.active[A].severity == "critical"
    assert not ledger.resolved


def test_one_that_fires_again_is_no_longer_repeated_as_resolved():
    ledger = run(*FIRED, (180, COLD), (360, COLD), (420, HOT), (540, HOT))
    assert [(alert.state, alert.starts_at) for alert in ledger.told()] == [("firing", NOW + 540)]


def test_words_follow_the_picture_and_keep_evidence_that_the_picture_lacks():
    told = replace(WORDS, evidence=("E.",))
    ledger = run((0, HOT), (120, anomalous(A, words=told)), (180, anomalous(A, words=replace(WORDS, summary="New."))))
    assert (ledger.active[A].words.summary, ledger.active[A].words.evidence) == ("New.", ("E.",))


def test_a_watch_that_is_no_longer_configured_resolves_what_fires():
    b = subject("other")
    ledger = retire(run((0, HOT), (60, anomalous(A, b)), (120, anomalous(A, b))), NOW + 130)
    assert not ledger.active
    assert [(alert.subject, alert.resolved_at) for alert in ledger.resolved.values()] == [(A, NOW + 130)]


def test_a_clock_that_is_set_back_does_not_prolong_anything():
    """A day back: what was pending or calm begins to count from the new time."""
    day = 86_400.0
    fired = run((day, HOT), (0, HOT), (120, HOT))
    assert state(fired) == "firing"
    ended = step(step(fired, COLD, POLICY, NOW - day), COLD, POLICY, NOW - day + POLICY.hold)
    assert state(ended) == "resolved"


@pytest.mark.parametrize(
    ("own", "user", "expected"),
    [
        ({}, {}, {}),
        ({"instance": "a"}, {"team": "ops"}, {"instance": "a", "team": "ops"}),
        (
            {"watch": "x", "severity": "y", "kind": "z", "alertname": "q", "metric": "m"},
            {},
            {
                "exported_watch": "x",
                "exported_severity": "y",
                "exported_kind": "z",
                "exported_alertname": "q",
                "exported_metric": "m",
            },
        ),
        ({"team": "blue"}, {"team": "ops"}, {"exported_team": "blue", "team": "ops"}),
        ({"team": "blue"}, {"team": ""}, {"exported_team": "blue"}),
        ({"exported_watch": "1", "watch": "2"}, {}, {"exported_watch": "1", "exported_exported_watch": "2"}),
        ({"a-b": "1"}, {}, {"a_b": "1"}),
    ],
)
def test_own_labels_give_way_to_ours_and_the_users(own, user, expected):
    ours = {"alertname": "LMWatchAnomaly", "watch": "w", "metric": "load", "kind": "spike", "severity": "warning"}
    assert dict(identity(replace(A, labels=tuple(own.items())), "warning", "spike", user)) == ours | expected


def test_a_groups_alert_has_a_name_of_its_own_and_neither_metric_nor_kind():
    labels = identity(replace(A, metric=""), "critical", "", {})
    assert dict(labels) == {"alertname": "LMWatchGroupAnomaly", "watch": "w", "instance": "a:1", "severity": "critical"}


SUBJECTS = [subject("load"), subject("load", instance="b:1"), subject("")]
STANDING = st.sampled_from(["warning", "critical", "calm", "unscored", "gone"])
STORY = st.lists(
    st.tuples(st.integers(1, 1000), st.tuples(*[STANDING] * len(SUBJECTS)), st.sampled_from(["spike", "drift", ""])),
    max_size=40,
)


def observation(standings, kind):
    hot = {}
    for one, standing in zip(SUBJECTS, standings, strict=True):
        if standing in ("warning", "critical"):
            hot |= anomalous(one, severity=standing, kind=kind).anomalous
    pick = lambda wanted: frozenset(s for s, standing in zip(SUBJECTS, standings, strict=True) if standing == wanted)  # noqa: E731
    return Observation(hot, pick("calm"), pick("unscored"))


@given(STORY, st.sampled_from([0.0, 60.0, 120.0]))
def test_whatever_is_seen_identity_and_start_stay_and_all_that_fires_is_resolved(story, pending):
    """A firing identity stays with its start until it is resolved once; a subject fires under one identity at a time."""
    policy = replace(POLICY, pending=pending)
    ledger, now = Ledger(), NOW
    fired = set()
    calm_end = [(120, ("calm",) * len(SUBJECTS), "")] * 4
    for seconds, standings, kind in [*story, *calm_end]:
        before, now = ledger, now + seconds
        ledger = step(ledger, observation(standings, kind), policy, now)
        told = list(ledger.told())
        assert len({alert.labels for alert in told}) == len(told)
        for alert in before.active.values():
            if alert.state != "firing":
                continue
            after = ledger.active.get(alert.subject)
            if after is not None and after.labels == alert.labels:
                assert after.starts_at == alert.starts_at
            else:
                assert ledger.resolved[alert.labels].starts_at == alert.starts_at
                assert ledger.resolved[alert.labels].resolved_at == now
                rises = after is not None and after.state == "firing"
                assert not rises or (alert.severity, after.severity, after.kind) == ("warning", "critical", alert.kind)
        fired |= {alert.labels for alert in told if alert.state == "firing"}
    assert not ledger.active
    assert {alert.labels for alert in ledger.resolved.values()} <= fired
