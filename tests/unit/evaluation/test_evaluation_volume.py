"""VUS-PR and its window length are those of the published code; what the code leaves open is stated here."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.evaluation.volume import DEFAULT_WINDOW, vus_pr, window_length

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "evaluation" / "vus.json").read_text())


def label_of(length, *windows):
    label = np.zeros(length, dtype=np.bool_)
    for first, last in windows:
        label[first : last + 1] = True
    return label


@pytest.mark.parametrize("case", GOLDEN["vus_pr"], ids=lambda case: case["name"])
def test_the_volume_is_that_of_the_published_code(case):
    label = label_of(case["instants"], *case["windows"])
    assert vus_pr(np.array(case["score"]), label, case["window"]) == pytest.approx(case["vus_pr"], abs=1e-9)


@pytest.mark.parametrize("case", GOLDEN["window_length"], ids=lambda case: case["name"])
def test_the_window_is_as_long_as_in_the_published_code(case):
    assert window_length(np.array(case["values"])) == case["length"]


def test_a_volume_counted_by_hand():
    """Four instants, the second labelled, no tolerance: thresholds 4, 3, 2, 1 detect 1, 2, 3, 4 instants.

    The labelled instant has the second highest score: recall rises from 0 to 1 at the second threshold, where one of
    two detections is right.
    """
    assert vus_pr(np.array([4.0, 3.0, 2.0, 1.0]), label_of(4, (1, 1)), 0) == pytest.approx(1 / 2)


def test_a_tolerance_counted_by_hand():
    """One labelled instant of five, the detection beside it.

    Without tolerance, and with one of 1, which reaches 0 instants, recall comes with the threshold that detects all:
    precision 1 / 5. With a tolerance of 2 the neighbours are worth s = sqrt(1/2). The first threshold has s hits:
    recall s / (1 + s/2), precision s. The second detects all: recall min(1, (1 + 2s) / (1 + s)) = 1, precision (1 + 2s) / 5.
    """
    s = np.sqrt(0.5)
    first = s / (1 + s / 2)
    with_two = first * s + (1 - first) * (1 + 2 * s) / 5
    score = np.array([0.0, 0.0, 0.0, 1.0, 0.0])
    assert vus_pr(score, label_of(5, (2, 2)), 2) == pytest.approx((1 / 5 + 1 / 5 + with_two) / 3)


@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_only_the_order_of_scores_counts(seed, window):
    draw = np.random.default_rng(seed)
    score, label = draw.integers(0, 20, 200) / 10, label_of(200, (20, 30), (100, 140))
    assert vus_pr(np.exp(score) - 7, label, window) == vus_pr(score, label, window)


def test_no_score_is_lower_than_every_score():
    label = label_of(100, (10, 19))
    score = np.random.default_rng(1).random(100) - 5
    gaps = np.arange(100) % 7 == 0
    assert vus_pr(np.where(gaps, np.nan, score), label, 10) == vus_pr(np.where(gaps, -1e9, score), label, 10)
    assert vus_pr(np.where(gaps, np.nan, -np.inf), label, 10) == vus_pr(np.where(gaps, 0.0, 1.0), label, 10)


def test_without_any_score_the_volume_is_that_of_equal_scores():
    label = label_of(100, (10, 19))
    assert vus_pr(np.full(100, np.nan), label, 10) == vus_pr(np.zeros(100), label, 10)


@pytest.mark.parametrize(
    ("score", "label", "window", "message"),
    [
        (np.zeros(3), label_of(4, (1, 1)), 2, "differ in length: 3 and 4"),
        (np.zeros(4), label_of(4), 2, "no instant is labelled"),
        (np.zeros(4), label_of(4, (1, 1)), -1, "window is -1"),
    ],
)
def test_what_has_no_volume_is_refused(score, label, window, message):
    with pytest.raises(ValueError, match=message):
        vus_pr(score, label, window)


@pytest.mark.parametrize(
    "values", [np.full(500, 0.1), np.full(500, np.nan), np.zeros(0), np.array([1.0]), np.array([1.0, 2.0, 1.0])]
)
def test_a_series_without_a_period_has_the_default_window(values):
    assert window_length(values) == DEFAULT_WINDOW


def test_missing_values_do_not_hide_the_period():
    values = np.sin(2 * np.pi * np.arange(1000) / 25)
    values[np.random.default_rng(2).random(1000) < 0.05] = np.nan
    values[:3] = np.nan
    assert window_length(values) == 25


def test_only_the_beginning_of_a_long_series_is_looked_at():
    at = np.arange(40_000)
    assert window_length(np.where(at < 20_000, np.sin(2 * np.pi * at / 40), np.sin(2 * np.pi * at / 90))) == 40
