"""When the planted anomalies happen."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.embedded.plan import Plan, Planted, plan_default


def test_four_minutes_hold_all_four_after_a_warm_up() -> None:
    planted = plan_default(240).planted
    assert {each.kind for each in planted} == {"spike", "drop", "leak", "flatline"}
    assert 60 <= planted[0].starts_after_seconds <= 80
    assert planted[-1].ends_after_seconds < 230
    assert all(each.lasts_seconds >= 20 for each in planted)


def test_a_long_demo_repeats_them_with_calm_between() -> None:
    planted = plan_default(3600).planted
    assert len(planted) == 24
    assert sum(each.lasts_seconds for each in planted) < 0.3 * 3600


@given(st.floats(30, 20000))
def test_anomalies_come_one_after_the_other_and_end_in_time(duration: float) -> None:
    planted = plan_default(duration).planted
    for earlier, later in itertools.pairwise(planted):
        assert earlier.ends_after_seconds < later.starts_after_seconds
    assert planted[-1].ends_after_seconds <= duration


def test_a_warm_up_may_be_chosen() -> None:
    assert plan_default(240, warm_up=10).planted[0].starts_after_seconds == pytest.approx(16.9)


def test_what_is_active_when() -> None:
    first = Planted("spike", "shop_queue_length", 10, 5, "")
    second = Planted("drop", "shop_orders_total", 12, 5, "")
    plan = Plan((first, second))
    assert [plan.active(at) for at in (9.9, 10, 12, 15, 17)] == [(), (first,), (first, second), (second,), ()]
    assert plan.on("shop_orders_total", 13) is second
    assert plan.on("shop_orders_total", 11) is None


def test_a_leak_grows_from_nothing_to_its_end() -> None:
    leak = Planted("leak", "shop_heap_bytes", 100, 40, "")
    assert [leak.factor(at) for at in (100, 120, 140)] == [1, 2.25, 3.5]
