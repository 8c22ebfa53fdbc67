"""What a picture says: only rows at or above the threshold, what the model said of them, and of whom there is no news."""

from dataclasses import replace

import numpy as np
import pytest
from alerting_cases import NAN, NOW, POLICY, finding, picture, series, subject, table, verdict

from exporter.alerting.observing import Observer, policy_of, speaks_for_the_present
from exporter.alerting.wording import Links
from exporter.config.alerting import Alerting
from exporter.config.model import Watch
from exporter.reasoning.leaning import Weight
from exporter.series.labels import Series

LINKS = Links("http://lmwatch:9917")
A, B = series(instance="a:1"), series(instance="b:1")
OF_A, OF_B = subject(instance="a:1"), subject(instance="b:1")


def observe(shown, known=(), policy=POLICY):
    return Observer().observe(shown, policy, LINKS, known)


def test_what_reaches_the_threshold_is_anomalous_and_nothing_else():
    rows = [series(instance=f"{number}:1") for number in range(5)]
    seen = observe(picture(table(*rows, anomaly=[0.49, 0.5, NAN, 0.97, 0.0], kind=["", "drift", "", "spike", ""])))
    assert {dict(of.labels)["instance"]: (one.score, one.kind) for of, one in seen.anomalous.items()} == {
        "1:1": (0.5, "drift"),
        "3:1": (0.97, "spike"),
    }


@pytest.mark.parametrize(
    ("score", "llm", "confidence", "threshold", "severity"),
    [
        (0.79, NAN, NAN, 0.5, "warning"),
        (0.80, NAN, NAN, 0.5, "critical"),
        (0.80, 0.9, 0.5, 0.5, "critical"),
        (0.95, 0.9, 0.49, 0.5, "warning"),
        (0.85, NAN, NAN, 0.85, "critical"),
    ],
)
def test_severity_comes_from_the_score_and_from_how_sure_the_model_is(score, llm, confidence, threshold, severity):
    shown = picture(table(A, anomaly=[score], llm=[llm], confidence=[confidence]))
    assert observe(shown, policy=replace(POLICY, threshold=threshold)).anomalous[OF_A].severity == severity


def test_of_those_with_an_alert_each_is_calm_unscored_or_gone():
    shown = picture(table(A, B, anomaly=[0.2, NAN]))
    seen = observe(shown, known=[OF_A, OF_B, subject(instance="c:1")])
    assert (seen.calm, seen.unscored) == ({OF_A}, {OF_B})


def test_a_series_that_two_targets_have_counts_by_its_highest_score():
    shown = picture(table(A, anomaly=[0.6]), table(A, target="u", anomaly=[0.9]), table(A, target="v", anomaly=[0.1]))
    assert observe(shown).anomalous[OF_A].score == 0.9
    cool = picture(table(A, anomaly=[NAN]), table(A, target="u", anomaly=[0.1]))
    assert observe(cool, known=[OF_A]).calm == {OF_A}


def test_an_observer_follows_series_that_change_places():
    observer = Observer()
    first = picture(table(A, B, anomaly=[0.1, NAN]))
    assert observer.observe(first, POLICY, LINKS, [OF_A, OF_B]).calm == {OF_A}
    second = picture(table(B, A, anomaly=[0.1, NAN]))
    assert observer.observe(second, POLICY, LINKS, [OF_A, OF_B]).calm == {OF_B}


KEY = (("instance", "a:1"),)
WHOLE = subject("", instance="a:1")


def group_picture(standing, *, series_score=0.3, weight=1.0, **verdicts):
    said = {KEY: verdict(**verdicts)} if verdicts else {}
    return picture(
        table(A, anomaly=[series_score]), standings={KEY: standing}, verdicts=said, model_weight=Weight(weight, weight)
    )


@pytest.mark.parametrize(
    ("shown", "score", "severity"),
    [
        (group_picture(0.6), 0.6, "warning"),
        (group_picture(0.85), 0.85, "critical"),
        (group_picture(0.85, group_score=0.4), pytest.approx(0.83, abs=0.01), "warning"),
        (group_picture(0.45, group_score=1.0), pytest.approx(0.603, abs=0.001), "warning"),
        (group_picture(0.6, group_score=0.0, weight=0.0), 0.6, "warning"),
        (group_picture(0.6, group_score=0.0, outcome="ungrounded"), 0.6, "warning"),
    ],
)
def test_a_group_alerts_by_the_screens_score_moved_by_the_model_within_its_band(shown, score, severity):
    found = observe(shown).anomalous[WHOLE]
    assert (found.score, found.severity, found.kind) == (score, severity, "")


@pytest.mark.parametrize(
    "shown",
    [
        group_picture(0.3),
        group_picture(0.2, group_score=1.0),
        group_picture(0.9, series_score=0.7),
        picture(table(A, anomaly=[0.3]), verdicts={KEY: verdict(group_score=1.0)}, model_weight=Weight(1.0, 1.0)),
    ],
    ids=["calm", "the model alone", "a series carries it", "no screening"],
)
def test_a_group_does_not_alert(shown):
    assert WHOLE not in observe(shown).anomalous


def test_a_group_that_a_series_carries_counts_as_calm_and_one_without_a_score_as_unscored():
    assert observe(group_picture(0.9, series_score=0.7), known=[WHOLE]).calm == {WHOLE}
    assert observe(picture(table(A, anomaly=[0.3])), known=[WHOLE]).unscored == {WHOLE}


def test_a_group_without_any_series_is_gone():
    seen = observe(picture(table(B, anomaly=[0.3]), standings={(("instance", "b:1"),): 0.2}), known=[WHOLE])
    assert (seen.calm, seen.unscored) == (set(), set())


def test_a_group_of_another_division_is_gone_although_the_series_are_the_same():
    observer, shown = Observer(), picture(table(A, anomaly=[0.3]))
    assert observer.observe(shown, POLICY, LINKS, [WHOLE]).unscored == {WHOLE}
    assert not observer.observe(shown, replace(POLICY, group_by=("job",)), LINKS, [WHOLE]).unscored


def test_an_alert_says_what_the_model_said_on_what_evidence_and_where_the_value_stands():
    of = Series("node_load1", KEY, unit="seconds")
    shown = picture(
        table(
            of,
            anomaly=[0.91],
            screen=[0.88],
            llm=[0.9],
            confidence=[0.7],
            value=[12.3456789],
            expected_lower=[1],
            expected_upper=[4],
            kind=["level_shift"],
        ),
        verdicts={KEY: verdict(finding(of))},
    )
    words = observe(shown).anomalous[subject("node_load1")].words
    assert words.annotations() == {
        "summary": 'node_load1{instance="a:1"} of watch w is anomalous (level shift).',
        "description": (
            "The load doubled and stayed. Probable cause: A job that was started at noon. "
            "Evidence: 3 times its usual range above it. "
            "Score 0.91 (screen 0.88, model 0.90 with confidence 0.70). Value 12.3457 seconds, expected 1 to 4."
        ),
        "lmwatch_url": "http://lmwatch:9917/verdicts/0abc",
    }


def test_without_a_verdict_the_figures_speak_and_the_link_leads_to_the_watch():
    words = observe(picture(table(A, anomaly=[0.9], screen=[0.9], value=[3]))).anomalous[OF_A].words
    assert words.description == "Score 0.90 (screen 0.90). Value 3."
    assert words.url == "http://lmwatch:9917/watches/w"


def test_of_a_series_that_the_model_was_not_shown_its_verdict_says_nothing():
    shown = picture(table(A, anomaly=[0.9], screen=[0.9]), verdicts={KEY: verdict(finding(B))})
    words = observe(shown).anomalous[OF_A].words
    assert (words.description, words.url) == ("Score 0.90 (screen 0.90).", "http://lmwatch:9917/watches/w")


def test_what_did_not_pass_the_checks_is_left_to_the_verdicts_page():
    said = verdict(finding(A, grounded=False), outcome="ungrounded")
    words = observe(picture(table(A, anomaly=[0.9], screen=[0.9]), verdicts={KEY: said})).anomalous[OF_A].words
    assert (words.description, words.url) == ("Score 0.90 (screen 0.90).", "http://lmwatch:9917/verdicts/0abc")
    group = observe(group_picture(0.6, outcome="ungrounded")).anomalous[WHOLE].words
    assert group.description == "Score 0.60 (screen 0.60, model 0.90); no single series reaches the threshold."


def test_without_an_address_there_is_no_link():
    seen = Observer().observe(picture(table(A, anomaly=[0.9], screen=[0.9])), POLICY, Links(""), ())
    assert "lmwatch_url" not in seen.anomalous[OF_A].words.annotations()


def test_a_group_says_that_no_single_series_stands_out():
    words = observe(group_picture(0.6, group_score=0.9)).anomalous[WHOLE].words
    assert words.summary == 'The group instance="a:1" of watch w is anomalous as a whole.'
    assert words.description.startswith("The host is overloaded. Probable cause: ")
    assert words.description.endswith("(screen 0.60, model 0.90); no single series reaches the threshold.")


@pytest.mark.parametrize(
    ("state", "age", "present"),
    [
        ("ok", 0, True),
        ("degraded", 180, True),
        ("ok", 181, False),
        ("warming", 0, False),
        ("stale", 0, False),
        ("failed", 0, False),
    ],
)
def test_a_picture_speaks_for_the_present_while_its_watch_works(state, age, present):
    shown = picture(state=state, at=NOW - age)
    assert speaks_for_the_present(shown, POLICY, NOW) is present


def test_the_hold_outlasts_two_screenings_and_one_more_answer_of_the_model():
    given = {"name": "w", "source": "s", "select": ["x"], "interval": "1m"}
    watch = Watch.model_validate(given)
    policy = policy_of(watch, Alerting.model_validate({"for": 0}))
    assert (policy.pending, policy.hold, policy.patience) == (0, 180, 3600)
    assert policy_of(watch, Alerting.model_validate({"for": "10m"})).hold == 600
    unasked = Watch.model_validate({**given, "reason": {"when": "never"}})
    assert policy_of(unasked, Alerting.model_validate({"for": 0})).hold == 120


def test_calm_series_cost_no_python_each():
    """A hundred thousand calm series are looked at as one column: no row is touched."""

    class Untouchable(tuple):
        __slots__ = ()

        def __getitem__(self, index):
            raise AssertionError("a calm series was looked at")

        def __iter__(self):
            raise AssertionError("the series were gone through")

    count = 100_000
    rows = Untouchable([A] * count)
    shown = replace(table(A), series=rows, anomaly=np.zeros(count), kind=Untouchable([""] * count))
    assert not observe(picture(shown)).anomalous
