"""When a group is put to the model."""

import math

import pytest

from exporter.config.model import Watch
from exporter.screening.groups import GroupScore
from exporter.watching.decision import Asked, decide, still_holds

CALM = GroupScore(key=(), total=3, suspicious=0, top_score=0.2)
ODD = GroupScore(key=(), total=3, suspicious=1, top_score=0.9)
ODD_TOGETHER = GroupScore(key=(), total=30, suspicious=0, top_score=0.4, score=0.6)
WARMING = GroupScore(key=(), total=3, suspicious=0, top_score=math.nan)
REASON = {"when": "suspicious", "every": "30m", "cooldown": "2m"}


@pytest.mark.parametrize(
    ("changes", "score", "asked", "expected"),
    [
        pytest.param(
            {}, ODD, Asked(at=1000.0), "ask", id="a suspicious group never asked about is asked about at once"
        ),
        pytest.param(
            {}, ODD, Asked(at=900.0, ever=True, score=0.85), "skipped_cooldown", id="not again within the cooldown"
        ),
        pytest.param(
            {}, ODD, Asked(at=999.0, ever=True, score=0.79), "ask", id="at once where its score has risen by 0.1"
        ),
        pytest.param(
            {},
            CALM,
            Asked(at=999.0, ever=True, score=0.0),
            "skipped_calm",
            id="a calm group's rise is no reason to ask",
        ),
        pytest.param(
            {}, ODD_TOGETHER, Asked(at=1000.0), "ask", id="a group that is odd only as a whole is asked about too"
        ),
        pytest.param({}, ODD, Asked(at=880.0, ever=True), "ask", id="again once the cooldown has passed"),
        pytest.param(
            {}, ODD, Asked(at=0.0, in_flight=True, ever=True), "skipped_busy", id="not while an answer is awaited"
        ),
        pytest.param({}, CALM, Asked(at=1000.0), "skipped_calm", id="a calm group just met is left alone"),
        pytest.param({}, CALM, Asked(at=-800.0, ever=True), "ask", id="a calm group is asked about every 30 minutes"),
        pytest.param({}, CALM, Asked(at=-799.0, ever=True), "skipped_calm", id="but not before"),
        pytest.param(
            {},
            ODD,
            Asked(at=8200.0, ever=True, score=0.9),
            "ask",
            id="no cooldown holds out until a clock that was set back has caught up",
        ),
        pytest.param(
            {},
            ODD,
            Asked(at=1001.0, ever=True, score=0.9),
            "skipped_cooldown",
            id="what was noted a moment ahead is the present",
        ),
        pytest.param({"every": 0}, CALM, Asked(at=-1e9, ever=True), "skipped_calm", id="every 0: a calm group never"),
        pytest.param({"when": "always"}, CALM, Asked(at=1000.0), "ask", id="always: a calm group too"),
        pytest.param(
            {"when": "always"},
            CALM,
            Asked(at=900.0, ever=True),
            "skipped_cooldown",
            id="always: within the cooldown not",
        ),
        pytest.param({"when": "always"}, WARMING, Asked(at=0.0), "warming", id="not before any series has a score"),
        pytest.param({"when": "never"}, ODD, Asked(at=0.0), "never", id="never"),
    ],
)
def test_who_is_asked(changes, score, asked, expected):
    watch = Watch.model_validate({"name": "w", "source": "s", "select": ["up"], "reason": REASON | changes})
    assert decide(watch, score, asked, now=1000.0) == expected


@pytest.mark.parametrize(("verdict_at", "holds"), [(990.0, True), (1005.0, True), (8200.0, False)])
def test_a_verdict_of_before_the_clock_was_set_back_no_longer_speaks_for_the_present(verdict_at, holds):
    watch = Watch(name="w", source="s", select=["x"], reason=REASON)
    assert still_holds(watch, verdict_at, Asked(at=verdict_at, ever=True), CALM, 1000.0) is holds
