"""The heartbeat through a real watcher: when it counts as right, and what it costs."""

import json
import re
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from watching_world import START, Pool, says

from exporter.clock import ManualClock
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.memory import Memory
from exporter.watching.heartbeat import STEPS, HeartbeatFeed, Pulse, heartbeat_watch
from exporter.watching.watcher import Judging, Watcher

INTERVAL = 300.0
STEP = INTERVAL / STEPS


class Beating:
    """A heartbeat whose model answers what `answer` says as soon as it is asked."""

    def __init__(self, answer, interval=INTERVAL, late=lambda: 0.0):
        self.clock = ManualClock(START)
        self.pool = Pool()
        self.pictures, self.outcomes, self.verdicts = [], [], []
        feed = HeartbeatFeed(interval, START)
        self.pulse = Pulse(interval, feed, START)
        analyst = Analyst(lambda text, _model: len(text) // 4, lambda *_: None, Memory())
        judging = Judging(self.pool, analyst, self, self._hear)
        self.watcher = Watcher(heartbeat_watch(interval), feed, judging, self._look, self.clock)
        self.answer, self._late, self._step, self._beats = answer, late, interval / STEPS, 0

    def _hear(self, verdict):
        self.verdicts.append(verdict)
        self.pulse.hear(verdict)

    def _look(self, picture):
        self.pictures.append(picture)
        self.pulse.look(picture)

    def analysis(self, watch, outcome, duration_seconds):
        self.outcomes.append(outcome)

    def snapshot(self, watch, dropped):
        assert dropped == 0

    def tick(self, *steps):
        """One beat, of which these steps are seen, each in its middle or later."""
        for step in steps:
            due = START + (self._beats * STEPS + step + 0.5 + self._late()) * self._step
            self.clock.advance(due - self.clock.now())
            self.watcher.tick()
            self.pool.run(self.answer)
        self._beats += 1

    def beat(self, beats=1):
        """Whole beats."""
        for _ in range(beats):
            self.tick(*range(STEPS))


def says_of(latency, connections):
    """A model that gives the two series these scores, found by what the question calls them."""
    scores = {"heartbeat_latency_seconds": latency, "heartbeat_connections": connections}

    def answer(request):
        document = json.loads(says(0)(request))
        named = dict(re.findall(r"^(S\d+) (heartbeat_\w+)", request.messages[-1].content, re.MULTILINE))
        for id_, finding in document["findings"].items():
            score = scores[named[id_]]
            finding |= {"score": score, "kind": "spike" if score >= 5 else "none"}
        return json.dumps(document | {"score": latency})

    return answer


RIGHT = says_of(9, 1)


def test_each_beat_costs_one_question_and_a_right_answer_moves_both_timestamps():
    beating = Beating(RIGHT)
    for beat in range(4):
        beating.beat()
        began = START + beat * INTERVAL
        state = beating.pulse.state
        assert len(beating.verdicts) == beat + 1
        assert state.interval_seconds == INTERVAL
        assert (state.success_at, state.screen_success_at) == (began + 17.5 * STEP, began + 18.5 * STEP)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(says_of(0, 0), id="nothing is anomalous"),
        pytest.param(says_of(9, 9), id="everything is anomalous"),
        pytest.param(says_of(1, 9), id="the other one is"),
        pytest.param(lambda _request: "I would rather not say.", id="unreadable"),
        pytest.param(
            lambda request: RIGHT(request).replace("usual range", "usual 4711"), id="a number that it was not told"
        ),
    ],
)
def test_a_wrong_answer_leaves_the_time_of_the_last_right_one(answer):
    beating = Beating(RIGHT)
    beating.beat()
    right_at = beating.pulse.state.success_at
    beating.answer = answer
    beating.beat(2)
    state = beating.pulse.state
    assert len(beating.verdicts) == 3
    assert state.success_at == right_at
    assert state.screen_success_at > right_at + INTERVAL


def test_without_a_model_the_screen_alone_goes_on():
    beating = Beating(RIGHT)
    beating.pool.accepts = False
    beating.beat(2)
    assert beating.pulse.state.success_at == START
    assert beating.pulse.state.screen_success_at == START + 2 * INTERVAL - 1.5 * STEP
    assert set(beating.outcomes) == {"skipped_calm", "skipped_busy"}


@pytest.mark.parametrize("interval", [60.0, 90.0, 300.0, 3600.0])
def test_the_screen_is_right_in_every_beat_though_ticks_come_late_or_are_left_out(interval):
    random = Random(5)
    beating = Beating(RIGHT, interval=interval, late=lambda: random.choice([0.0, 0.1, 0.4]))
    for beat in range(1, 13):
        left_out = random.randrange(STEPS)
        beating.tick(*(step for step in range(STEPS) if step != left_out))
        assert beating.pulse.state.screen_success_at > START + (beat - 1) * interval
        assert len(beating.verdicts) == beat


def test_a_screen_that_finds_the_anomaly_and_never_calms_down_is_wrong():
    beating = Beating(RIGHT)
    pulse = beating.pulse
    beating.beat()
    for picture in beating.pictures:
        (table,) = picture.tables
        odd = replace(picture, at=picture.at + INTERVAL, tables=(replace(table, screen=np.array([0.9, 0.1])),))
        pulse.look(odd)
    assert pulse.state.screen_success_at < START + INTERVAL


def test_a_screen_that_was_not_seen_calm_since_the_last_beat_is_not_right_yet():
    beating = Beating(RIGHT)
    beating.tick(17, 18, 19)
    assert beating.verdicts
    assert beating.pulse.state.screen_success_at == START


def test_an_answer_about_a_beat_that_the_screen_had_wrong_does_not_count():
    beating = Beating(RIGHT)
    beating.beat()
    (verdict,) = beating.verdicts
    right_at = beating.pulse.state.success_at
    beating.pulse.hear(replace(verdict, at=verdict.at + 2 * INTERVAL))
    assert beating.pulse.state.success_at == right_at


def test_while_models_are_spared_no_verdict_is_expected_and_later_none_before_that():
    pulse = Beating(RIGHT).pulse
    pulse.spared(START + 100)
    assert pulse.state.success_at is None
    pulse.spared(START + 400)
    pulse.asked()
    assert pulse.state.success_at == START + 400
    pulse.asked()
    assert pulse.state.success_at == START + 400
