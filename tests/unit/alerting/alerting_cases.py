"""Watches, pictures and alerts for the tests of the bridge."""

from dataclasses import replace

import numpy as np

from exporter.alerting.alert import Subject, Words
from exporter.alerting.observing import Observation, Policy, Sighting
from exporter.board import ScoreTable, WatchPicture
from exporter.reasoning.verdict import Fact, Finding, Verdict
from exporter.series.labels import Series, labels_of

NAN = float("nan")
NOW = 1_700_000_000.0
POLICY = Policy(threshold=0.5, group_by=("instance",), interval=60, pending=120, hold=180, patience=3600)
WORDS = Words("Something is wrong.", "", (), "Score 0.90 (screen 0.90).", "")


def series(name="load", /, **labels):
    return Series(name, labels_of(labels or {"instance": "a:1"}))


def subject(name="load", /, watch="w", **labels):
    return Subject(watch, name, labels_of(labels or {"instance": "a:1"}))


def sighting(score=0.9, severity="warning", kind="spike", words=WORDS):
    return Sighting(score, severity, kind, words)


def anomalous(*subjects, **changes):
    """An observation in which these are anomalous and all others are gone."""
    return Observation(anomalous={one: sighting(**changes) for one in subjects})


def calm(*subjects):
    return Observation(calm=frozenset(subjects))


def unscored(*subjects):
    return Observation(unscored=frozenset(subjects))


GONE = Observation()


def table(*rows, target="t", **columns):
    """A table of these series; columns that are not given hold nothing."""
    nothing = [NAN] * len(rows)
    names = ("anomaly", "screen", "llm", "confidence", "value", "expected_lower", "expected_upper")
    filled = {name: np.array(columns.get(name, nothing), dtype=float) for name in names}
    return ScoreTable(target=target, series=rows, kind=tuple(columns.get("kind", [""] * len(rows))), **filled)


def picture(*tables, name="w", at=NOW, **changes):
    return replace(WatchPicture(name, "ok", "", at, tables), **changes)


def finding(of, **changes):
    made = Finding(
        series=of,
        screen_score=0.8,
        llm_score=0.9,
        confidence=0.9,
        kind="level_shift",
        evidence=("E2",),
        text="The load doubled and stayed",
        grounded=True,
    )
    return replace(made, **changes)


def verdict(*findings, group=(("instance", "a:1"),), **changes):
    made = Verdict(
        id="0abc",
        watch="w",
        group=group,
        at=NOW,
        outcome="ok",
        model="m",
        server="desk",
        group_score=0.9,
        summary="The host is overloaded.",
        cause="A job that was started at noon.",
        next_steps="Look at the job.",
        findings=findings,
        problems=(),
        facts=(Fact("E1", "S1", "not cited"), Fact("E2", "S1", "3 times its usual range above it")),
        prompt="",
        answer="",
        shown=1,
        dropped=0,
        prompt_tokens_estimated=0,
        predictions=(),
    )
    return replace(made, **changes)
