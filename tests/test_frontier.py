import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunefront import InputError, pareto_front, score
from prunefront.frontier.pareto import hypervolume, hypervolumes, scored, select

shares = st.sampled_from([0, 0.25, 0.5, 0.75, 1]) | st.floats(0, 1)
clouds = st.lists(st.tuples(shares, shares), max_size=12)


def dominates(one, other):
    return one[0] >= other[0] and one[1] >= other[1] and one != other


def test_score():
    assert score(0.8, 0.9, 0.6) == pytest.approx(0.85)
    assert score(0.6, 0.9, 0.6) == 0  # at the gate is not above it
    assert score(0.61, 0.0) == pytest.approx(0.305)


@given(*[shares] * 5)
def test_score_is_monotone(accuracy, more_accuracy, sparsity, more_sparsity, gate):
    low = score(min(accuracy, more_accuracy), min(sparsity, more_sparsity), gate)
    assert low <= score(max(accuracy, more_accuracy), max(sparsity, more_sparsity), gate)


@pytest.mark.parametrize("values", [(1.2, 0.5, 0.6), (0.5, -0.1, 0.6), (0.5, 0.5, 60), (math.nan, 0.5, 0.6)])
def test_score_of_no_share_is_refused(values):
    with pytest.raises(InputError, match="between 0 and 1"):
        score(*values)


def test_pareto_front_of_four():
    points = [(0.9, 0.1), (0.8, 0.5), (0.7, 0.4), (0.8, 0.3)]
    assert pareto_front(points) == [(0.9, 0.1), (0.8, 0.5)]


def test_pareto_front_keeps_twins_and_takes_arrays():
    assert pareto_front([(0.5, 0.5), (0.5, 0.5), (0.4, 0.5)]) == [(0.5, 0.5), (0.5, 0.5)]
    np.testing.assert_array_equal(pareto_front(np.array([[1, 0], [0, 0], [0, 1]])), [[1, 0], [0, 1]])
    assert pareto_front([]) == []


@given(clouds)
def test_frontier_is_mutually_non_dominated_and_dominates_the_rest(points):
    front = pareto_front(points)
    assert not any(dominates(one, other) for one in front for other in front)
    rest = [point for point in points if point not in front]
    assert all(any(dominates(one, other) for one in front) for other in rest)
    assert len(front) + len(rest) == len(points)


@given(clouds)
def test_order_in_the_pairs_does_not_matter(points):
    assert pareto_front(points) == [(a, s) for s, a in pareto_front([(s, a) for a, s in points])]


@pytest.mark.parametrize("points", [[(1, 2, 3)], [1, 2], [(math.nan, 0.5)], [(), ()]])
def test_points_that_are_not_pairs_are_refused(points):
    with pytest.raises(InputError, match="pairs"):
        pareto_front(points)


def test_hypervolume_of_two_points():
    # 0.9 * 0.5 up to 50 % sparsity, then 0.4 * 0.3 up to 80 %
    assert hypervolume([(0.9, 0.5), (0.4, 0.8), (0.3, 0.3)]) == pytest.approx(0.57)
    assert hypervolume([]) == 0


@given(clouds, st.tuples(shares, shares))
def test_hypervolume_grows_with_points(points, another):
    assert hypervolume(points) <= hypervolume([*points, another]) + 1e-12


def rows(*points):
    columns = ["method", "seed", "val_accuracy", "sparsity"]
    return pd.DataFrame(points, columns=columns)


def test_selection_is_the_highest_score_above_the_gate():
    table = scored(rows(("a", 0, 0.9, 0.5), ("a", 0, 0.59, 0.99), ("b", 0, 0.7, 0.9)), gate=0.6)
    assert table["score"].tolist() == pytest.approx([0.7, 0, 0.8])
    assert table["on_frontier"].tolist() == [True, True, True]
    assert select(table)["method"] == "b"
    assert select(scored(table, gate=0.95)) is None


def test_equal_scores_go_to_the_more_accurate():
    assert select(scored(rows(("a", 0, 0.75, 0.875), ("b", 0, 0.875, 0.75)), gate=0.6))["method"] == "b"


def test_hypervolumes_are_means_over_seeds():
    table = rows(("a", 0, 1.0, 0.5), ("a", 1, 1.0, 0.7), ("b", 0, 0.5, 0.5))
    assert hypervolumes(table) == pytest.approx({"a": 0.6, "b": 0.25})
