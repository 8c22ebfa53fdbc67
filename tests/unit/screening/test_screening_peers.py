"""Peers: the one that leaves its set is found, and nobody else."""

import numpy as np
import pytest
from screening_shape_support import BOUND, BOUNDARY, CALM, HOSTILE, ROWS, policy, random
from screening_support import INSTANTS, INTERVAL

from exporter.screening.detection import DROP, SPIKE
from exporter.screening.evidence import numbers_in
from exporter.screening.peers import peers

SETS, SIZE = 40, 10
TIMES = 1.7e9 + INTERVAL * np.arange(INSTANTS)


def judged(values, peer, newest=4, **selection):
    return peers(values, TIMES[: values.shape[1]], np.asarray(peer), policy(len(values), **selection), newest)


def beyond(values, newest=4, **selection):
    """[members]: in how many of some sets `[sets × members × instants]` each member is beyond the boundary."""
    sets, size, instants = values.shape
    found = judged(values.reshape(sets * size, instants), np.repeat(np.arange(sets), size), newest, **selection)
    return np.mean(found.log_tail.reshape(sets, size) <= BOUNDARY, axis=0)


def together(size=SIZE, common=10.0):
    """Sets of series with a load that wanders for all, and noise of their own."""
    walk = np.cumsum(random(1).normal(size=(SETS, 1, INSTANTS)), axis=2)
    load = common * walk / np.ptp(walk, axis=2, keepdims=True)
    return 100 + load + random(2).normal(size=(SETS, size, INSTANTS))


@pytest.mark.parametrize("size", [4, 7, 50])
@pytest.mark.parametrize("name", CALM)
def test_series_that_have_nothing_in_common_do_not_leave_each_other(name, size):
    assert np.mean(judged(CALM[name](), np.arange(ROWS) // size).log_tail <= BOUNDARY) <= BOUND


@pytest.mark.parametrize("size", [4, 5, 10, 60])
@pytest.mark.parametrize("shift", [9.0, -9.0])
def test_the_one_that_leaves_is_found_and_nobody_else(size, shift):
    values = together(size)
    values[:, 0, -6:] += shift
    found = beyond(values)
    assert found[0] >= 0.9
    assert found[1:].max() == 0


def test_one_that_stays_where_it_is_while_the_others_go_is_found():
    values = together()
    values[:, 1:, -6:] += 30
    found = beyond(values)
    assert found[0] == 1
    assert found[1:].max() == 0


def test_it_says_to_which_side():
    values = together()
    values[0, 0, -6:] += 30
    values[1, 0, -6:] -= 30
    found = judged(values.reshape(-1, INSTANTS), np.repeat(np.arange(SETS), SIZE))
    assert found.kind[[0, SIZE]].tolist() == [SPIKE, DROP]


@pytest.mark.parametrize("many", [3, 5, 9, 10])
def test_when_many_leave_at_once_most_of_them_are_not_odd(many):
    values = together()
    values[:, :many, -6:] += 30
    assert beyond(values)[:many].max() == 0


def test_two_of_ten_may_leave_at_once():
    values = together()
    values[:, :2, -6:] += 30
    assert beyond(values)[:2].min() == 1


def test_a_series_that_always_differs_is_calm():
    values = together()
    values[:, 0] += 1000
    values[:, 1] -= 90
    assert beyond(values).max() == 0


def test_when_all_grow_by_a_share_the_larger_ones_are_not_odd():
    shares = np.array([1, 1, 1, 1, 1, 0.1, 0.5, 2, 5, 10])
    values = together() * shares[None, :, None]
    values[:, :, -6:] *= 1.5
    assert beyond(values).max() == 0


def test_a_standby_is_calm_while_the_others_get_more_load_than_ever():
    values = together(common=60.0)
    values[:, 0] = 7 + random(3).normal(size=(SETS, INSTANTS))
    values[:, 1] = 0.0
    values[:, 1:, -6:] += np.where(np.arange(1, SIZE) > 1, 25.0, 0.0)[None, :, None]
    assert beyond(values).max() == 0


def test_one_spike_is_no_leaving():
    values = together()
    values[:, 0, -2] += 500
    assert beyond(values).max() == 0


def test_with_one_judged_value_one_value_is_enough():
    values = together()
    values[:, 0, -1] += 30
    assert beyond(values, newest=1)[0] >= 0.95


def test_sets_of_less_than_four_say_nothing():
    values = together(size=3)
    values[:, 0, -6:] += 500
    assert beyond(values).max() == 0


def test_series_without_peers_are_left_out():
    values = together()[:, 0].copy()
    values[:, -6:] += 500
    found = judged(values, np.full(SETS, -1))
    assert not found.log_tail.any()
    assert found.block(slice(0, SETS)).words(0, "") is None


def test_sets_may_be_of_any_size_and_in_any_order():
    """Sets of 4, 5, 8, 9 and 33, shuffled among series without peers: each says what it says alone."""
    sizes = [4, 5, 8, 9, 33]
    peer = np.concatenate([np.full(6, -1), *(np.full(size, 3 * number) for number, size in enumerate(sizes))])
    values = 100 + random(4).normal(size=(peer.size, INSTANTS))
    for number in range(len(sizes)):
        values[np.flatnonzero(peer == 3 * number)[1], -6:] -= 20
    order = random(5).permutation(peer.size)
    found = judged(values[order], peer[order])
    for number, size in enumerate(sizes):
        alone = judged(values[peer == 3 * number], np.zeros(size, dtype=np.intp))
        assert alone.log_tail[1] < BOUNDARY
        back = np.argsort(order)[peer == 3 * number]
        assert np.allclose(found.log_tail[back], alone.log_tail)
        assert [found.block(slice(0, peer.size)).words(row, "s") for row in back.tolist()] == [
            alone.block(slice(0, size)).words(row, "s") for row in range(size)
        ]


def test_the_policy_decides_which_leaving_counts():
    values = together()
    values[:, 0, -6:] += 20
    share = {direction: beyond(values, direction=direction)[0] for direction in ("both", "above", "below")}
    assert share["both"] == share["above"] >= 0.95
    assert share["below"] == 0
    assert beyond(values, min_change="15")[0] >= 0.9
    assert beyond(values, min_change="40")[0] == 0


def test_leaving_shows_in_spite_of_gaps():
    values = together()
    values[:, 0, -6:] += 20
    values[random(6).random(values.shape) < 0.1] = np.nan
    assert beyond(values)[0] >= 0.9


def test_a_set_of_constants_of_which_one_moves():
    values = np.full((5, INSTANTS), 1.0)
    values[2, -4:] = 0.0
    assert (judged(values, np.zeros(5, dtype=np.intp)).log_tail <= BOUNDARY).tolist() == [
        False,
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("instants", [4, 12, 35, 36, 60, 1000])
def test_windows_of_any_length_are_calm_when_their_series_are(instants):
    values = random().normal(size=(2000, instants))
    times = np.arange(instants) * INTERVAL
    found = peers(values, times, np.arange(2000) // 5, policy(2000), 4)
    assert np.mean(found.log_tail <= BOUNDARY) <= 0.0005


def test_no_series_fails_it_and_values_are_not_changed():
    values = np.stack([*HOSTILE.values(), *random(9).normal(size=(7, INSTANTS))])
    before = values.copy()
    for peer in (np.zeros(len(values), dtype=np.intp), np.arange(len(values)) // 4, np.arange(len(values)) % 5 - 1):
        found = judged(values, peer)
        assert np.isfinite(found.log_tail).all()
        assert (found.log_tail <= 0).all()
        said = [found.block(slice(0, None)).words(row, "bytes") for row in range(len(values))]
        assert [text is None for text in said] == (found.log_tail == 0).tolist()
    assert np.array_equal(values, before, equal_nan=True)


def test_leaving_in_words():
    values = np.tile(np.where(np.arange(INSTANTS) % 2, 0.3, 0.32), (6, 1))
    values += np.array([0.0, 0.0, 0.01, -0.01, 0.02, 0.0])[:, None]
    values[4, -8:] = 0.95
    found = judged(values, np.zeros(6, dtype=np.intp))
    said = found.block(slice(3, 6)).words(1, "seconds")
    assert said == (
        "the median of the newest 4 values is 0.95 s, which is 0.64 from the median 0.31 of its set of 6 peers; "
        "in the 56 min before, that was always 0.02"
    )
    assert numbers_in(said) == (4.0, 0.95, 0.64, 0.31, 6.0, 56.0, 0.02)
    assert found.block(slice(3, 6)).words(0, "seconds") is None


def test_a_single_judged_value_in_words():
    values = 5.0 + np.arange(4)[:, None] * np.where(np.arange(INSTANTS) % 2, 1.0, 1.5)
    values[0, -1] = -40.0
    said = judged(values, np.zeros(4, dtype=np.intp), newest=1).block(slice(0, 1)).words(0, "")
    assert said is not None
    assert said.startswith("the newest value is -40, which is -46.5 from the median 6.5 of its set of 4 peers; in the ")
