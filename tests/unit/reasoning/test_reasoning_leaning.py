"""How much a model's word counts: nothing where it always says the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.reasoning.leaning import Leaning


@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_a_model_that_always_says_the_same_is_heard_less_and_less(score):
    weights = [Leaning().heard([score] * times).weight for times in (20, 50, 200, 2000)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] < 0.9
    assert weights[2] < 0.1
    assert weights[3] < 0.01


def test_a_new_model_is_heard():
    assert Leaning().weight == 1.0
    assert Leaning().heard([1.0, 1.0, 1.0]).weight == 1.0


def test_a_model_that_tells_calm_from_odd_is_heard_in_full():
    assert Leaning().heard([0.1, 0.9] * 500).weight == 1.0


@given(st.lists(st.floats(0, 1), max_size=50), st.lists(st.floats(0, 1), max_size=50))
def test_it_is_the_same_whether_scores_come_together_or_one_after_the_other(first, second):
    together, apart = Leaning().heard(first + second), Leaning().heard(first).heard(second)
    assert together.weight == pytest.approx(apart.weight, abs=1e-6)
    assert 0.0 <= together.weight <= 1.0
