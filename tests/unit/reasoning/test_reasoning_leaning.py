"""How much a model's word counts: nothing where it always says the same."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.reasoning.leaning import Leaning, Weight


@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_a_model_that_always_says_the_same_is_heard_less_and_less(score):
    weights = [Leaning().heard([score] * times).weight.lowering for times in (20, 50, 200, 2000)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] < 0.9
    assert weights[2] < 0.1
    assert weights[3] < 0.01


def test_a_new_model_is_heard():
    assert Leaning().weight == Weight(raising=1.0, lowering=1.0)
    assert Leaning().heard([1.0, 1.0, 1.0]).weight.lowering == 1.0


def test_a_model_that_tells_calm_from_odd_is_heard_in_full():
    assert Leaning().heard([0.1, 0.9] * 500).weight == Weight(raising=1.0, lowering=1.0)


@pytest.mark.parametrize(
    ("said", "raising"),
    [
        pytest.param([1.0], 2 / 3, id="once yes"),
        pytest.param([1.0] * 2, 1 / 2, id="twice yes"),
        pytest.param([1.0] * 8, 1 / 5, id="nothing but yes"),
        pytest.param([0.0] * 9 + [1.0], 1.0, id="one yes of a model that mostly says no"),
    ],
)
def test_the_more_of_what_a_model_says_is_yes_the_less_a_yes_raises(said, raising):
    weight = Leaning().heard(said).weight
    assert weight.raising == pytest.approx(raising)
    assert weight.lowering == 1.0


def test_a_weight_is_of_each_score_by_the_side_it_is_on():
    of = Weight(raising=0.2, lowering=0.8).of(np.array([0.0, 0.5, 0.6, 1.0]))
    assert of.tolist() == [0.8, 0.8, 0.2, 0.2]


@given(st.lists(st.floats(0, 1), max_size=50), st.lists(st.floats(0, 1), max_size=50))
def test_it_is_the_same_whether_scores_come_together_or_one_after_the_other(first, second):
    together, apart = Leaning().heard(first + second), Leaning().heard(first).heard(second)
    for whole, parts in zip(astuple(together.weight), astuple(apart.weight), strict=True):
        assert whole == pytest.approx(parts, abs=1e-6)
        assert 0.0 <= whole <= 1.0
