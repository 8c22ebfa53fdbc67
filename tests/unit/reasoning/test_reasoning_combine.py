"""The model moves a score within a band and never changes which series rank first by saying the same of all."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exporter.reasoning.combine import BAND_STEP, CLIP, combine, combine_groups

SCORES = arrays(np.float64, st.integers(min_value=1, max_value=30), elements=st.floats(min_value=0.0, max_value=1.0))
UNIT = st.floats(min_value=0.0, max_value=1.0)
NOISE = 1e-12
"""Of one logit and one sigmoid in floats."""


def full(scores: np.ndarray, value: float) -> np.ndarray:
    return np.full(scores.shape, value)


@pytest.mark.parametrize(
    ("screen", "llm", "confidence", "expected"),
    [
        (0.5, 1.0, 1.0, 0.65),
        (0.5, 0.0, 1.0, 0.35),
        (0.5, 0.5, 1.0, 0.5),
        (0.5, 1.0, 0.0, 0.5),
        (0.9, 1.0, 1.0, 0.9435),
        (0.1, 0.0, 1.0, 0.0565),
        (0.7, np.nan, 1.0, 0.7),
        (0.7, 1.0, np.nan, 0.7),
        (np.nan, 1.0, 1.0, np.nan),
        (0.7, 7.0, 1.0, 0.8125),
    ],
)
def test_known_values(screen: float, llm: float, confidence: float, expected: float) -> None:
    combined = combine(np.array([screen]), np.array([llm]), np.array([confidence]))
    np.testing.assert_allclose(combined, [expected], atol=1e-4)


@given(SCORES, UNIT, UNIT)
def test_a_model_that_says_the_same_of_all_keeps_the_order(screen: np.ndarray, llm: float, confidence: float) -> None:
    combined = combine(screen, full(screen, llm), full(screen, confidence))
    order = np.argsort(screen, kind="stable")
    assert (np.diff(combined[order]) >= -NOISE).all()


@given(SCORES, UNIT, UNIT)
def test_scores_stay_within_the_band_around_the_screen(screen: np.ndarray, llm: float, confidence: float) -> None:
    combined = combine(screen, full(screen, llm), full(screen, confidence))
    clipped = np.clip(screen, CLIP, 1 - CLIP)
    odds = np.log(clipped / (1 - clipped))
    lowest, highest = (1 / (1 + np.exp(-(odds + step))) for step in (-BAND_STEP, BAND_STEP))
    assert (combined >= np.minimum(lowest, screen) - NOISE).all()
    assert (combined <= np.maximum(highest, screen) + NOISE).all()
    assert ((combined >= 0) & (combined <= 1)).all()


@given(SCORES, UNIT)
def test_without_confidence_or_answer_the_screen_stays_exactly(screen: np.ndarray, llm: float) -> None:
    assert np.array_equal(screen, combine(screen, full(screen, llm), full(screen, 0.0)))
    assert np.array_equal(screen, combine(screen, full(screen, np.nan), full(screen, 1.0)))


@pytest.mark.parametrize("said", [0.0, 1.0])
def test_certain_screens_stay_certain(said: float) -> None:
    combined = combine(np.array([0.0, 1.0]), full(np.zeros(2), said), full(np.zeros(2), 1.0))
    assert combined[0] < 3 * CLIP
    assert combined[1] > 1 - 3 * CLIP


def test_at_the_ends_a_yes_never_lowers_and_a_no_never_raises() -> None:
    """The clipping before the logarithm must not show."""
    assert combine(np.array([1.0]), np.array([0.7]), np.array([1.0]))[0] == 1.0
    assert combine(np.array([0.0]), np.array([0.3]), np.array([1.0]))[0] == 0.0


@given(SCORES, SCORES, UNIT)
def test_more_alarm_from_the_model_never_lowers_a_score(screen: np.ndarray, low: np.ndarray, confidence: float) -> None:
    count = min(screen.size, low.size)
    screen, low = screen[:count], low[:count]
    high = np.minimum(1.0, low + 0.2)
    weight = full(screen, confidence)
    assert (combine(screen, high, weight) >= combine(screen, low, weight) - NOISE).all()


@given(SCORES, st.data(), UNIT)
def test_a_shown_series_never_sinks_below_the_best_that_was_not_shown(
    screen: np.ndarray, data: st.DataObject, confidence: float
) -> None:
    shown = data.draw(arrays(np.bool_, screen.shape))
    said = data.draw(arrays(np.float64, screen.shape, elements=UNIT))
    one_group = np.zeros(screen.shape, dtype=np.intp)
    combined = combine_groups(screen, np.where(shown, said, np.nan), full(screen, confidence), one_group)
    assert np.array_equal(screen[~shown], combined[~shown])
    if shown.all():
        return
    best = screen[~shown].max()
    assert (combined[shown & (screen >= best)] >= best - NOISE).all()
    assert (combined[shown & (screen < best)] >= screen[shown & (screen < best)] - NOISE).all()


@given(SCORES, st.data(), UNIT, UNIT)
def test_saying_the_same_of_all_shown_keeps_the_order_of_the_whole_group(
    screen: np.ndarray, data: st.DataObject, said: float, confidence: float
) -> None:
    """What is shown is the head of the ranking, as snapshots show it."""
    screen = -np.sort(-screen)
    shown = np.arange(screen.size) < data.draw(st.integers(min_value=0, max_value=screen.size))
    one_group = np.zeros(screen.shape, dtype=np.intp)
    combined = combine_groups(screen, np.where(shown, said, np.nan), full(screen, confidence), one_group)
    assert (np.diff(combined) <= NOISE).all()


def test_a_naysayer_still_separates_what_it_was_shown() -> None:
    """Scores that the floor holds up keep a distance, so that ties do not hide which is worse."""
    combined = combine_groups(
        np.array([0.7, 0.6, 0.56, 0.55]), np.array([0.0, 0.0, 0.0, np.nan]), np.ones(4), np.zeros(4, dtype=np.intp)
    )
    assert (np.diff(combined) < 0).all()
    assert math.isclose(combined[1], 0.5505)


def test_groups_do_not_hold_each_other_up() -> None:
    screen = np.array([0.6, 0.9, 0.6, 0.2, np.nan])
    llm = np.array([0.0, np.nan, 0.0, np.nan, np.nan])
    group = np.array([0, 0, 1, 1, 1])
    combined = combine_groups(screen, llm, np.ones(5), group)
    np.testing.assert_allclose(combined, [0.6, 0.9, 0.4468, 0.2, np.nan], atol=1e-4)


def test_no_series_is_no_error() -> None:
    assert combine_groups(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.intp)).size == 0
