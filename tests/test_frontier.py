import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunefront import InputError, pareto_front, score
from prunefront.frontier.pareto import hypervolume, hypervolumes, pairs, saving, scored, select
from tests.helpers import operating_points

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


# --- costs as the second axis

# method, validation accuracy, sparsity, bytes, multiply-adds; 100 weights (400 bytes), 1,000 multiply-adds
FOUR = [
    ("a", 0.9, 0.0, 420, 1000),  # the sparse file of a dense network: its head comes on top
    ("b", 0.8, 0.5, 200, 700),
    ("c", 0.7, 0.9, 100, 800),
    ("c", 0.6, 0.8, 40, 100),
]


@pytest.mark.parametrize(
    ("axis", "saved", "front", "volumes"),
    [
        ("sparsity", [0.0, 0.5, 0.9, 0.8], [True, True, True, False], [0, 0.8 * 0.5, 0.7 * 0.9]),
        ("bytes", [-0.05, 0.5, 0.75, 0.9], [True, True, True, True], [0, 0.8 * 0.5, 0.7 * 0.75 + 0.6 * 0.15]),
        ("multiply_adds", [0, 0.3, 0.2, 0.9], [True, True, False, True], [0, 0.8 * 0.3, 0.7 * 0.2 + 0.6 * 0.7]),
    ],
)
def test_the_axis_chooses_savings_frontier_and_hypervolume_but_no_score(axis, saved, front, volumes):
    rows = operating_points(*FOUR, weights=100, multiply_adds=1000)
    assert saving(rows, axis).tolist() == pytest.approx(saved)
    assert saving(rows.iloc[3], axis) == pytest.approx(saved[3])
    table = scored(rows, 0.6, axis)
    assert table["on_frontier"].tolist() == front
    assert table["score"].tolist() == pytest.approx([0.45, 0.65, 0.8, 0])
    assert hypervolumes(table, axis) == pytest.approx(dict(zip("abc", volumes, strict=True)))


def test_a_network_that_multiplies_nothing_saves_everything():
    assert saving(operating_points(("a", 0.9, 0.0, 420, 0), multiply_adds=0), "multiply_adds").tolist() == [1]


@given(
    st.lists(st.tuples(st.just("m"), shares, shares, st.integers(0, 500), st.integers(0, 900)), max_size=10),
    st.sampled_from(["sparsity", "bytes", "multiply_adds"]),
)
def test_no_point_of_the_frontier_is_dominated_in_accuracy_and_cost(points, axis):
    rows = scored(operating_points(*points, weights=100, multiply_adds=900), 0.6, axis)
    least = {
        "sparsity": -rows["sparsity"],
        "bytes": rows["bytes_lossless"],
        "multiply_adds": rows["multiply_adds_nonzero"],
    }
    both = list(zip(rows["val_accuracy"], -least[axis], strict=True))
    dominated = [any(dominates(other, one) for other in both) for one in both]
    assert rows["on_frontier"].tolist() == [not found for found in dominated]
    assert all(0 <= volume <= 1 for volume in hypervolumes(rows, axis).values())
    assert pairs(rows, axis).shape == (len(points), 2)
