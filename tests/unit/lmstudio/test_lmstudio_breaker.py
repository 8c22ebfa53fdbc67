import pytest

from exporter.lmstudio.breaker import Breaker


@pytest.fixture
def breaker(clock):
    return Breaker(clock, threshold=3, first_wait=10, longest_wait=35)


def open_it(breaker):
    for _ in range(3):
        assert breaker.admit()
        breaker.failed()
    assert breaker.state == "open"


def test_it_opens_after_failures_in_a_row(breaker):
    breaker.failed()
    breaker.failed()
    assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "open"
    assert not breaker.would_admit()
    assert not breaker.admit()


def test_a_success_between_failures_starts_the_count_anew(breaker):
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"


def test_a_good_poll_opens_it_half_but_only_after_the_wait(breaker, clock):
    open_it(breaker)
    clock.advance(9.9)
    breaker.polled_well()
    assert breaker.state == "open"
    clock.advance(0.1)
    assert not breaker.admit()
    breaker.polled_well()
    assert breaker.state == "half_open"


def test_half_open_lets_exactly_one_call_try(breaker, clock):
    open_it(breaker)
    clock.advance(10)
    breaker.polled_well()
    assert breaker.would_admit()
    assert breaker.admit()
    assert not breaker.would_admit()
    assert not breaker.admit()
    breaker.succeeded()
    assert breaker.state == "closed"
    assert breaker.admit()
    assert breaker.admit()


def test_a_trial_that_was_not_made_lets_another_try(breaker, clock):
    open_it(breaker)
    clock.advance(10)
    breaker.polled_well()
    assert breaker.admit()
    breaker.released()
    assert breaker.admit()


def test_each_failed_trial_doubles_the_wait_up_to_a_limit(breaker, clock):
    open_it(breaker)
    for wait in (10, 20, 35, 35):
        clock.advance(wait - 1)
        breaker.polled_well()
        assert breaker.state == "open"
        clock.advance(1)
        breaker.polled_well()
        assert breaker.admit()
        breaker.failed()
        assert breaker.state == "open"


def test_a_success_resets_the_wait(breaker, clock):
    open_it(breaker)
    clock.advance(10)
    breaker.polled_well()
    breaker.failed()
    clock.advance(20)
    breaker.polled_well()
    breaker.succeeded()
    open_it(breaker)
    clock.advance(10)
    breaker.polled_well()
    assert breaker.state == "half_open"


def test_late_failures_of_old_calls_do_not_prolong_an_open_state(breaker, clock):
    open_it(breaker)
    clock.advance(9)
    breaker.failed()
    clock.advance(1)
    breaker.polled_well()
    assert breaker.state == "half_open"


def test_good_polls_change_nothing_while_it_is_closed(breaker):
    breaker.failed()
    breaker.failed()
    breaker.polled_well()
    breaker.failed()
    assert breaker.state == "open"
