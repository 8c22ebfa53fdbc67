"""Calls to models within any minute stay within the limit."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.alerting.budget import CallBudget
from exporter.clock import ManualClock


def test_a_call_is_free_again_after_a_minute():
    clock = ManualClock()
    budget = CallBudget(clock)
    assert budget.take(2) is not None
    clock.advance(10)
    assert budget.take(2) is not None
    assert budget.take(2) is None
    assert budget.wait(2) == 50.0
    clock.advance(50)
    assert budget.wait(2) == 0.0
    assert budget.take(2) is not None
    assert budget.wait(2) == 10.0


def test_a_call_that_was_not_made_does_not_count_and_gives_nobody_elses_back():
    clock = ManualClock()
    budget = CallBudget(clock)
    taken = budget.take(1)
    budget.give_back(taken)
    assert budget.take(1) is not None
    clock.advance(61)
    assert budget.take(1) is not None
    budget.give_back(taken)
    assert budget.take(1) is None


def test_a_call_that_is_made_in_any_case_holds_up_the_next():
    budget = CallBudget(ManualClock())
    budget.take(2)
    budget.charge()
    budget.charge()
    assert budget.wait(2) == 60.0


def test_with_no_calls_allowed_there_is_nothing_to_wait_for():
    budget = CallBudget(ManualClock())
    assert budget.take(0) is None
    assert budget.wait(0) is None


@given(st.lists(st.floats(0.0, 40.0), max_size=60), st.integers(1, 5))
def test_no_minute_holds_more_than_the_limit(pauses: list[float], limit: int):
    clock = ManualClock()
    budget = CallBudget(clock)
    made: list[float] = []
    for pause in pauses:
        clock.advance(pause)
        if budget.take(limit) is not None:
            made.append(clock.monotonic())
        else:
            assert budget.wait(limit) > 0
    assert all(later - first >= 60.0 for first, later in zip(made, made[limit:], strict=False))
