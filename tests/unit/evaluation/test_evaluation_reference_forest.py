"""Random cut trees, what a point displaces in them, and the samples that they hold."""

import numpy as np
import pytest
from eval_reference_cases import calm, case_of
from hypothesis import given
from hypothesis import strategies as st

from exporter.evaluation.reference.cut_trees import displacement, grow
from exporter.evaluation.reference.random_cut_forest import random_cut_forest, trees_for

LINES = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=40)


def forest_of(*sets, seed=1):
    points = np.concatenate([np.array(points, dtype=np.float64) for points in sets])
    tree = np.repeat(np.arange(len(sets)), [len(points) for points in sets])
    return grow(points, tree, np.random.default_rng(seed))


def displaced(forest, *points, tree=0):
    return displacement(forest, np.full(len(points), tree), np.array(points, dtype=np.float64)).tolist()


def test_a_point_displaces_what_a_cut_may_part_it_from():
    """Of 0 and 1, a point at 3 is parted from both with probability 2 / 3; else it is a sibling of 1 and displaces 1.

    A point between them always is the sibling of one of them. A copy of 1 shares its leaf, and displaces 1 of 2.
    """
    forest = forest_of([[0.0], [1.0]])
    assert displaced(forest, [3.0], [0.5], [1.0]) == pytest.approx([2 / 3 * 2 + 1 / 3 * 1, 1.0, 0.5])


def test_among_equal_points_a_copy_displaces_none_and_any_other_point_all():
    assert displaced(forest_of([[4.0, 4.0]] * 5), [4.0, 4.0], [4.0, 5.0]) == [0.0, 5.0]


def test_a_point_is_measured_in_the_tree_that_is_asked():
    forest = forest_of([[0.0]] * 3, [[0.0]] * 7)
    assert [displaced(forest, [1.0], tree=tree) for tree in (0, 1)] == [[3.0], [7.0]]


@given(LINES, st.integers(0, 100))
def test_children_divide_their_parents_points_and_lie_inside_its_box(numbers, seed):
    forest = forest_of([[number, -number / 2] for number in numbers], seed=seed)
    for node in np.flatnonzero(forest.axis >= 0):
        children = forest.left[node], forest.left[node] + 1
        assert forest.size[node] == sum(forest.size[child] for child in children)
        axis, cut = forest.axis[node], forest.cut[node]
        assert forest.upper[children[0], axis] <= cut < forest.lower[children[1], axis]
        for child in children:
            assert (forest.lower[child] >= forest.lower[node]).all()
            assert (forest.upper[child] <= forest.upper[node]).all()


@given(LINES, st.floats(-100, 100), st.integers(0, 100))
def test_a_point_displaces_at_most_all(numbers, value, seed):
    (found,) = displaced(forest_of([[number] for number in numbers], seed=seed), [value])
    assert 0 <= found <= len(numbers) * (1 + 1e-9)


def test_neighbouring_doubles_can_be_cut_apart():
    one = 1.0
    forest = forest_of([[one], [np.nextafter(one, 2.0)], [np.nextafter(one, 0.0)]] * 10)
    assert forest.size[forest.axis < 0].sum() == 30


def drawn_displacement(points, rng):
    """The displacement of the last point in one tree drawn over all of them, by the definition, point by point."""
    largest, members = 0.0, list(range(len(points)))
    last = members[-1]
    splits = []
    while True:
        box = points[members]
        sides = box.max(axis=0) - box.min(axis=0)
        if sides.sum() == 0:
            break
        axis = rng.choice(sides.size, p=sides / sides.sum())
        cut = rng.uniform(box[:, axis].min(), box[:, axis].max())
        left = [member for member in members if points[member, axis] <= cut]
        right = [member for member in members if points[member, axis] > cut]
        mine, sibling = (left, right) if last in left else (right, left)
        splits.append((len(sibling), len(mine)))
        members = mine
    for sibling, mine in splits:
        largest = max(largest, sibling / mine)
    return largest


@pytest.mark.parametrize("point", [(0.3, 0.1), (2.5, 0.0), (6.0, -5.0)])
def test_displacement_is_the_mean_of_the_paper_over_trees_that_hold_the_point(point):
    """Inserting a point gives the same distribution as drawing a tree with it: 3,000 trees drawn either way agree."""
    points = np.random.default_rng(2).normal(size=(14, 2))
    rng = np.random.default_rng(3)
    draws = [drawn_displacement(np.vstack((points, point)), rng) for _ in range(3000)]
    forest = forest_of(*[points] * 3000)
    mean = displacement(forest, np.arange(3000), np.tile(point, (3000, 1))).mean()
    assert mean == pytest.approx(np.mean(draws), abs=4 * np.std(draws) / np.sqrt(3000))


def test_there_is_no_score_without_enough_points_or_where_one_of_four_values_is_missing():
    values = calm(1, 200)
    values[0, 100] = np.nan
    missing = np.flatnonzero(np.isnan(random_cut_forest(case_of(values), 1)[0]))
    assert missing.tolist() == [*range(48), *range(100, 104)]


def test_a_half_is_a_point_that_displaces_half_of_a_tree():
    """A constant that moves displaces all: 1 / (1 + 1 / 2)."""
    scores = random_cut_forest(case_of([[5.0] * 200 + [6.0]]), 1)[0]
    assert scores[48:200].tolist() == [0.0] * 152
    assert scores[200] == pytest.approx(2 / 3)


def test_other_seeds_draw_other_trees_that_say_much_the_same():
    case = case_of(calm(1, 400))
    one, other = (random_cut_forest(case, seed)[0, 48:] for seed in (1, 2))
    assert not np.array_equal(one, other)
    assert np.corrcoef(one, other)[0, 1] > 0.8


def test_old_points_give_way_to_new_ones():
    """A level that has just been left displaces next to nothing; when it is nearly forgotten, a quarter of the tree."""
    values = np.concatenate((calm(1, 300), calm(1, 6000, middle=200.0)), axis=1)
    values[0, 400:404] = values[0, 6200:6204] = 100.0
    scores = random_cut_forest(case_of(values), 1)[0]
    assert scores[403] < 0.05
    assert scores[6203] > 0.25


@pytest.mark.parametrize(("values", "trees"), [(1, 40), (50_000, 40), (100_000, 20), (2_000_000, 8)])
def test_large_cases_get_fewer_trees(values, trees):
    assert trees_for(values) == trees
