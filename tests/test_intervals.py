"""Intervals and comparisons, on numbers that a reader can check by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunefront import InputError, accuracy_interval, compare_points
from prunefront.frontier.intervals import COLUMNS, Resampled, interval, of_points, p_value, read_intervals, tabulate
from prunefront.frontier.resampling import resamples, seed_draws

bits = st.integers(1, 40).flatmap(lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n)] * 2))


def right(count, of):
    return np.arange(of) < count


# --- samples


def test_a_sample_has_as_many_examples_as_there_are_and_the_same_ones_each_time():
    drawn = np.concatenate(list(resamples(4, 1000)))
    assert drawn.shape == (1000, 4)
    assert (drawn.sum(axis=1) == 4).all()
    np.testing.assert_array_equal(drawn, np.concatenate(list(resamples(4, 1000))))
    assert drawn[:2].tolist() == [[0.0, 1.0, 2.0, 1.0], [3.0, 1.0, 0.0, 0.0]]
    # an example is left out of (3/4)**4 = 31.6 % of the samples
    assert (drawn == 0).mean() == pytest.approx(0.316, abs=0.02)


def test_the_samples_do_not_depend_on_how_many_are_made_at_once(monkeypatch):
    whole = np.concatenate(list(resamples(7, 20)))
    monkeypatch.setattr("prunefront.frontier.resampling._AT_ONCE", 15)
    parts = list(resamples(7, 20))
    assert [len(part) for part in parts] == [2] * 10
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_a_sample_of_seeds_has_one_less_of_them():
    assert seed_draws(1, 3).tolist() == [[1], [1], [1]]
    assert set(map(tuple, seed_draws(2, 100).tolist())) == {(1, 0), (0, 1)}
    assert set(map(tuple, seed_draws(3, 200).tolist())) == {
        (2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), (0, 1, 1)
    }  # fmt: skip


def test_the_variance_of_a_mean_over_seeds_is_that_of_the_textbook():
    accuracies = np.array([0.7, 0.8, 0.95])
    means = seed_draws(3, 20_000) @ accuracies / 2
    assert means.var() == pytest.approx(accuracies.var(ddof=1) / 3, rel=0.05)


# --- from samples to an interval and a p value


def test_the_interval_of_39_values_is_from_the_smallest_to_the_largest():
    assert interval(np.arange(39)[::-1]) == (0, 38)
    assert interval(np.arange(79)) == (1, 77)  # of 79 the second on either side


def test_p_values_by_hand():
    assert p_value(np.array([1, 2, 3, 4])) == pytest.approx(2 / 5)  # none on the other side
    assert p_value(np.array([-1, 2, 3, 4])) == pytest.approx(4 / 5)
    assert p_value(np.array([0, 2, 3, 4])) == pytest.approx(4 / 5)  # 0 is on both sides
    assert p_value(np.array([0, 0, 0, 0])) == 1


@given(st.lists(st.integers(-3, 3), min_size=79, max_size=79))
def test_the_p_value_says_what_the_interval_says(differences):
    low, high = interval(np.array(differences))
    assert (p_value(np.array(differences)) <= 0.05) == (low > 0 or high < 0)


# --- accuracies


def test_no_error_leaves_room_for_a_few():
    low, high = accuracy_interval(right(359, 359))
    assert high == 1
    assert 0.980 < low < 0.990  # Wilson's is .989, that without imagined examples 1
    assert accuracy_interval(right(0, 359)) == pytest.approx((0, 1 - low), abs=0.003)


def test_one_example_says_next_to_nothing():
    low, high = accuracy_interval(right(1, 1))
    assert low < 0.25
    assert high == 1


def test_an_accuracy_of_four_in_five_among_a_hundred():
    # Agresti and Coull: 82 of 104, plus or minus 1.96 * sqrt(82 * 22 / 104**3)
    assert accuracy_interval(right(80, 100)) == pytest.approx((0.710, 0.867), abs=0.01)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
@settings(max_examples=25)
def test_an_interval_holds_its_accuracy_and_its_mirror_is_that_of_the_errors(answers):
    answers = np.array(answers)
    low, high = accuracy_interval(answers)
    assert 0 <= low <= answers.mean() <= high <= 1
    assert accuracy_interval(~answers) == pytest.approx((1 - high, 1 - low), abs=2.01 / (len(answers) + 4))


def test_intervals_hold_the_true_accuracy_as_often_as_they_say():
    draw = np.random.default_rng(0)
    drawn = draw.random((300, 200)) < 0.97
    resampled = Resampled.of(drawn, 799)
    ends = [resampled.accuracy([number])[1:] for number in range(300)]
    assert np.mean([low <= 0.97 <= high for low, high in ends]) > 0.92  # plain percentiles: .90


# --- comparisons


@pytest.mark.parametrize(
    ("first", "second", "sign_test"),
    [(4, 0, 0.125), (6, 0, 0.031), (8, 2, 0.109), (20, 8, 0.036)],
)
def test_p_values_are_near_the_exact_ones_of_the_sign_test(first, second, sign_test):
    one, other = np.zeros(200, bool), np.zeros(200, bool)
    one[:first], other[first : first + second] = True, True
    found = compare_points(one, other)
    assert found.difference == (first - second) / 200
    assert found.p_value == pytest.approx(sign_test, abs=0.02)
    assert found.told_apart == (sign_test < 0.05) == (found.low > 0)


def test_equal_answers_have_no_difference_and_no_certainty_either():
    found = compare_points(right(3, 4), right(3, 4))
    assert (found.difference, found.p_value, found.told_apart) == (0, 1, False)
    assert found.low < 0 < found.high


def test_one_example_tells_nothing_apart():
    found = compare_points(right(1, 1), right(0, 1))
    assert found.difference == found.high == 1
    assert found.low < 0
    assert not found.told_apart


@given(bits)
@settings(max_examples=25)
def test_a_comparison_holds_its_difference_and_turns_around(pair):
    one, other = map(np.array, pair)
    found, turned = compare_points(one, other), compare_points(other, one)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert found.difference == pytest.approx(one.mean() - other.mean())
    assert turned.difference == -found.difference
    assert 0 < found.p_value <= 1
    assert found.told_apart == (not found.low <= 0 <= found.high)


@pytest.mark.parametrize("answers", [[], [[True]], [1, 0], [0.5], "yes"])
def test_what_is_no_list_of_answers_is_refused(answers):
    with pytest.raises(InputError, match=r"boolean array of shape \(n,\)"):
        accuracy_interval(np.array(answers))
    with pytest.raises(InputError, match="the same examples"):
        compare_points(right(1, 3), right(1, 4))


# --- the table


def rows(*points):
    frame = pd.DataFrame(points, columns=["method", "seed", "target_sparsity", "sparsity", "weights_sha256"])
    return frame.assign(val_accuracy=0.0)


POINTS = rows(("a", 0, 0.5, 0.5, "1"), ("a", 1, 0.5, 0.5, "2"), ("b", 0, 0.9, 0.9, "3"), ("b", 1, 0.9, 0.8, "4"))
DENSE = rows(("baseline", 0, 0.0, 0.0, "1"), ("baseline", 1, 0.0, 0.0, "5"))
# of 40 examples; b's first network gets 20 less than a's
VALIDATION = np.stack([right(count, 40) for count in (40, 38, 20, 30, 40, 36)])
TEST = np.stack([right(count, 10) for count in (10, 8, 5, 5, 10, 9)])


def table(submitted=POINTS.iloc[0]):
    return tabulate(POINTS, np.array([0.75, 0.25]), submitted, DENSE, VALIDATION, TEST)


def test_the_table_has_a_row_for_each_point_and_for_each_mean():
    found = table()
    assert list(found) == COLUMNS
    assert found["method"].tolist() == ["a", "a", "b", "b", "a", "b"]
    assert found["seeds"].tolist() == ["0", "1", "0", "1", "all", "all"]
    assert found["n"].tolist() == [1, 1, 1, 1, 2, 2]
    assert found["sparsity"].tolist() == pytest.approx([0.5, 0.5, 0.9, 0.8, 0.5, 0.85])
    assert found["val_accuracy"].tolist() == [1.0, 0.95, 0.5, 0.75, 0.975, 0.625]
    assert found["test_accuracy"].tolist() == [1.0, 0.8, 0.5, 0.5, 0.9, 0.5]
    assert found["wins"].tolist()[:4] == [0.75, 0.25, 0, 0]
    assert found["wins"].isna().tolist() == [False] * 4 + [True] * 2
    # the means of the seeds: a with 2 and b with 10 examples less than the submitted method
    assert found["behind"].tolist() == pytest.approx([0, 0.05, 0.5, 0.25, 0, 0.35])
    assert found["told_apart"].tolist() == [False, False, True, True, False, True]


def test_a_point_is_not_behind_its_own_weights():
    found = table()
    assert found[["behind", "behind_low", "behind_high", "p_value"]].iloc[0].tolist() == [0, 0, 0, 1]
    dense = table(DENSE.iloc[0])  # whose weights the first point has
    assert dense[["behind", "behind_low", "behind_high", "p_value"]].iloc[0].tolist() == [0, 0, 0, 1]
    assert dense["behind"].tolist() == pytest.approx([0, 0.05, 0.5, 0.25, -0.025, 0.325])


def test_the_mean_of_seeds_that_differ_is_less_sure_than_that_of_equal_ones():
    found = table()
    apart = found["val_high"] - found["val_low"]
    assert apart[5] > apart[2]  # b: 20 and 30 of 40
    assert apart[4] == pytest.approx(apart[1], abs=0.06)  # a: 40 and 38


def test_one_example_and_one_seed_have_a_table_too():
    first, dense = POINTS[POINTS["seed"] == 0].reset_index(drop=True), DENSE.iloc[:1]
    one = np.array([[True], [False], [True]])
    found = tabulate(first, np.array([1.0, 0.0]), first.iloc[0], dense, one, one)
    assert found["n"].tolist() == [1] * 4
    assert found["val_accuracy"].tolist() == [1, 0, 1, 0]
    assert (found["val_high"] - found["val_low"] >= 0.75).all()
    assert not found["told_apart"].any()


def test_the_table_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "intervals.csv"
    table().to_csv(path, index=False)
    found = read_intervals(path)
    pd.testing.assert_frame_equal(found, table(), check_dtype=False)
    points = POINTS.assign(val_accuracy=VALIDATION[:4].mean(axis=1))
    assert of_points(points, found)["seeds"].tolist() == ["0", "1", "0", "1"]
    with pytest.raises(InputError, match=r"expected the points of metrics/frontier.csv; run `dvc repro`"):
        of_points(points.iloc[:2], found)


@pytest.mark.parametrize(
    ("name", "value"), [("val_low", 1.5), ("behind", -2), ("told_apart", "maybe"), ("wins", "often"), ("p_value", "")]
)
def test_a_damaged_table_is_refused(name, value, tmp_path):
    path = tmp_path / "intervals.csv"
    table().astype({name: object}).assign(**{name: value}).to_csv(path, index=False)
    with pytest.raises(InputError, match=f"intervals.csv: expected rows .*Received: {name}"):
        read_intervals(path)
