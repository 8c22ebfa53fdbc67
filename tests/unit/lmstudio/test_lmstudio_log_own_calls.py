import threading
from dataclasses import replace

import pytest

from exporter.lmstudio.logfigures import LoggedPrediction, outcome
from exporter.lmstudio.own_calls import MOST_CALLS, WINDOW_SECONDS, OwnCalls, Settling

LOGGED = LoggedPrediction("qwen", 1000.0, "eosFound", 20, 101, 0.5, 2.5, 50.0)


@pytest.fixture
def own():
    return OwnCalls()


@pytest.mark.parametrize(
    ("call", "ours"),
    [
        pytest.param(("qwen", 20, 101, 1000.0), True, id="the same"),
        pytest.param(("qwen", 20, 101, 1000.0 + WINDOW_SECONDS), True, id="the answer was read a little later"),
        pytest.param(("qwen", 20, 101, 1000.0 - WINDOW_SECONDS), True, id="the clocks differ a little"),
        pytest.param(("qwen", 20, 101, 1000.1 + WINDOW_SECONDS), False, id="too late"),
        pytest.param(("qwen", 20, 101, 999.9 - WINDOW_SECONDS), False, id="too early"),
        pytest.param(("qwen:2", 20, 101, 1000.0), False, id="another instance"),
        pytest.param(("qwen", 21, 101, 1000.0), False, id="another prompt"),
        pytest.param(("qwen", 20, 100, 1000.0), True, id="off by one at the token limit"),
        pytest.param(("qwen", 20, 99, 1000.0), False, id="another answer"),
        pytest.param(("qwen", None, None, 1000.0), True, id="counts that the client never saw"),
        pytest.param(("qwen", None, 50, 1000.0), False, id="one count unknown, the other wrong"),
    ],
)
def test_a_call_and_its_event(own, call, ours):
    own.note(*call)
    assert own.claim(LOGGED, 1000.0) is ours


def test_an_event_without_figures_fits_any_call_of_its_model(own):
    own.note("qwen", 20, 101, 1000.0)
    assert own.claim(LoggedPrediction("qwen", 1000.0, "userStopped"), 1000.0)


def test_a_call_is_taken_once(own):
    own.note("qwen", 20, 101, 1000.0)
    assert [own.claim(LOGGED, 1000.0) for _ in range(2)] == [True, False]


def test_a_call_has_the_name_that_was_asked_for_and_the_one_that_answered(own):
    prediction = outcome(LOGGED, "desk")
    own.note_prediction(replace(prediction, model="qwen", asked_model="qwen/qwen3-4b"), 1000.0)
    own.note_prediction(replace(prediction, model="qwen/qwen3-4b", asked_model="qwen"), 1000.0)
    assert [own.claim(LOGGED, 1000.0) for _ in range(3)] == [True, True, False]


def test_the_most_exact_call_is_taken_then_the_nearest(own):
    """So the vague one, which fits anything, is left for an event that fits nothing else."""
    own.note("qwen", None, None, 1000.0)
    own.note("qwen", 20, 101, 1003.0)
    own.note("qwen", 20, 101, 1001.0)
    assert own.claim(LOGGED, 1000.0)
    assert own.claim(LOGGED, 1000.0)
    assert own.claim(replace(LOGGED, prompt_tokens=77), 1000.0)


def test_of_equal_calls_the_nearest_in_time_is_taken(own):
    own.note("qwen", 20, 101, 1003.0)
    own.note("qwen", 20, 101, 1001.0)
    assert own.claim(LOGGED, 1000.0)
    assert own.expire(1e9) == 1003.0


def test_two_alike_at_the_same_time_keep_the_number_right(own):
    """One of two equal predictions was ours: one is counted as a stranger's, whichever it is."""
    own.note("qwen", 20, 101, 1000.0)
    assert [own.claim(LOGGED, 1000.0), own.claim(LOGGED, 1000.2)].count(False) == 1


def test_calls_without_an_event_are_told_and_forgotten(own):
    own.note("qwen", 20, 101, 1000.0)
    own.note("qwen", 20, 101, 1002.0)
    own.note("qwen", 20, 101, 1010.0)
    assert own.expire(1000.0) is None
    assert own.expire(1005.0) == 1002.0
    assert own.expire(1005.0) is None
    assert own.claim(replace(LOGGED, at=1010.0), 1010.0)


def test_calls_are_bounded(own):
    for second in range(3 * MOST_CALLS):
        own.note("qwen", 20, 101, float(second))
    assert own.expire(float(2 * MOST_CALLS)) is None
    assert own.expire(float(2 * MOST_CALLS) + 1) == 2 * MOST_CALLS


def test_calls_noted_from_many_threads_are_each_taken_once(own):
    def note():
        for _ in range(200):
            own.note("qwen", 20, 101, 1000.0)

    claimed = []
    threads = [threading.Thread(target=note) for _ in range(4)]
    threads.append(threading.Thread(target=lambda: claimed.extend(own.claim(LOGGED, 1000.0) for _ in range(200))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claimed += [own.claim(LOGGED, 1000.0) for _ in range(1000)]
    assert claimed.count(True) == 800


def put(settling, *models, at=0.0):
    for model in models:
        settling.put(replace(LOGGED, model=model), monotonic=at, now=1000.0)


def test_an_event_waits_for_a_call_that_is_noted_after_it(own):
    settling = Settling(own, seconds=3.0)
    put(settling, "qwen", "other")
    assert settling.due(2.9) == []
    own.note("qwen", 20, 101, 1001.0)
    assert settling.next_due() == 3.0
    assert [logged.model for logged in settling.due(3.0)] == ["other"]
    assert settling.claimed == 1
    assert settling.next_due() is None


def test_an_event_that_does_not_tell_its_time_has_the_time_of_its_arrival(own):
    settling = Settling(own, seconds=3.0)
    settling.put(replace(LOGGED, at=None), monotonic=0.0, now=1000.0)
    own.note("qwen", 20, 101, 1000.0)
    assert settling.due(3.0) == []
    assert settling.claimed == 1


def test_without_calls_to_be_told_apart_nothing_waits():
    settling = Settling(None)
    put(settling, "qwen")
    assert [logged.model for logged in settling.due(0.0)] == ["qwen"]


def test_in_a_flood_the_oldest_go_early(own):
    settling = Settling(own, seconds=3.0, most=2)
    put(settling, "a", "b", "c", "d")
    assert [logged.model for logged in settling.due(0.0)] == ["a", "b"]
    assert len(settling) == 2
