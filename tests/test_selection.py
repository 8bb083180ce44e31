"""What is submitted, how sure that is, and on what it hangs: four points or fewer, by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunefront.common.sections import Pareto
from prunefront.frontier.judgement import judge_optimism, list_changes, list_wins
from prunefront.frontier.pareto import scored, select
from prunefront.frontier.resampling import resamples
from prunefront.frontier.selection import NOBODY, Outlook, Selection, outlook, within_one_standard_error
from prunefront.frontier.sensitivity import Stretch, draw_sensitivity, over_gates, over_weights, weights_above_gate

shares = st.sampled_from([0.0, 0.25, 0.5, 0.9]) | st.floats(0, 1)


def first(*counts, of=100):
    """Points that get the first so many examples right."""
    return np.stack([np.arange(of) < count for count in counts])


def selection(*points, gate=0.6, rule="score", of=100):
    """Points of so many right examples and a sparsity."""
    return Selection(first(*(count for count, _ in points), of=of), np.array([s for _, s in points]), gate, rule)


def rows(chosen, sparsity):
    return pd.DataFrame(
        {
            "method": [*"abcd"][: len(chosen)],
            "seed": 0,
            "target_sparsity": sparsity,
            "sparsity": sparsity,
            "val_accuracy": chosen.mean(axis=1),
        }
    )


FOUR = selection((90, 0.5), (80, 0.9), (59, 0.99), (89, 0.6))  # scores .7, .85, 0 and .745
DENSE = pd.Series(
    {"method": "baseline", "seed": 0, "target_sparsity": 0.0, "sparsity": 0.0, "val_accuracy": 0.91, "score": 0.0}
)
POINTS = rows(FOUR.right, FOUR.sparsity)
SETTINGS = Pareto(gate=0.6)


# --- the rules


def test_the_highest_score_above_the_gate_is_submitted():
    assert FOUR.winner() == 1
    assert selection((90, 0.5), (59, 0.99), gate=0.9).winner() == NOBODY
    assert selection((75, 0.875), (87.5, 0.75)).winner() == 1  # equal scores: the more accurate


def test_the_sparsest_within_one_standard_error_of_the_most_accurate_is_submitted():
    # One example behind the best, of 1 discordant: a variance of 3 imagined ones, a standard error of 1.7. Ten behind,
    # of 10: a standard error of 3.4.
    assert selection((90, 0.5), (80, 0.9), (59, 0.99), (89, 0.6), rule="one_standard_error").winner() == 3
    assert selection((90, 0.5), (80, 0.9), gate=0.9, rule="one_standard_error").winner() == NOBODY
    assert selection((90, 0.0), (10, 0.9), rule="one_standard_error").winner() == 0  # a dense point is one too
    assert selection((89, 0.6), (90, 0.6), rule="one_standard_error").winner() == 1  # as sparse: the more accurate


def test_one_standard_error_by_hand():
    behind = np.array([0, 1, 2, 3, 3, 5, 5])
    discordant = np.array([0, 1, 2, 3, 7, 20, 23])
    # (b - c)**2 <= b + c + 2 - (b - c)**2 / 104
    found = within_one_standard_error(behind, discordant, 100)
    assert found.tolist() == [True, True, False, False, False, False, False]
    assert within_one_standard_error(np.array([3]), np.array([8]), 100).tolist() == [True]  # 9 <= 10 - 9 / 104
    assert within_one_standard_error(np.array([5]), np.array([24]), 100).tolist() == [True]  # 25 <= 26 - 25 / 104


@given(st.lists(st.tuples(st.integers(0, 20), shares), min_size=1, max_size=8), shares)
def test_the_score_on_the_examples_is_that_of_the_table(points, gate):
    chosen = selection(*points, gate=gate, of=20)
    expected = select(scored(rows_of(chosen), gate))
    winner = chosen.winner()
    assert (expected is None) == (winner == NOBODY)
    if expected is not None:
        assert expected.name == winner


def rows_of(chosen):
    table = pd.DataFrame({"val_accuracy": chosen.right.mean(axis=1), "sparsity": chosen.sparsity})
    return table.assign(method="m", seed=0)


@given(st.lists(st.tuples(st.integers(0, 20), shares), min_size=1, max_size=6), shares, st.sampled_from([1, 2]))
@settings(max_examples=30)
def test_a_sample_is_judged_as_if_it_were_the_examples(points, gate, times):
    """Drawing some examples several times gives what a data set with these examples gives."""
    for rule in ("score", "one_standard_error"):
        chosen = selection(*points, gate=gate, rule=rule, of=20)
        samples = next(resamples(20, times))
        for sample, winner in zip(samples, chosen.winners(samples), strict=True):
            repeated = np.repeat(chosen.right, sample.astype(int), axis=1)
            assert Selection(repeated, chosen.sparsity, gate, rule).winner() == winner


# --- the outlook


def test_a_point_that_is_always_best_wins_always_and_owes_nothing_to_luck():
    found = outlook(selection((90, 0.9), (80, 0.5), (10, 0.99)), 199)
    assert found.wins.tolist() == [1, 0, 0]
    assert found.nobody == 0
    assert found.unseen == pytest.approx(0.9, abs=0.01)  # (.9 + .9) / 2
    assert found.known == pytest.approx(0.9)


def test_the_highest_of_equals_owes_its_lead_to_luck():
    draw, best, expected = np.random.default_rng(0), [], []
    for _ in range(30):
        right = draw.random((20, 200)) < 0.8
        found = outlook(Selection(right, np.full(20, 0.5), 0.6), 199)
        assert found.wins.sum() == pytest.approx(1)
        best.append((right.mean(axis=1).max() + 0.5) / 2)
        expected.append(best[-1] - found.optimism(best[-1], "score"))
    assert np.mean(best) > 0.67
    assert np.mean(expected) == pytest.approx(0.65, abs=0.005)  # what all of them are worth


def test_points_near_the_gate_are_above_it_in_some_samples():
    found = outlook(selection((61, 0.9), of=100), 399)
    assert 0.3 < found.nobody < 0.6
    assert found.wins[0] == pytest.approx(1 - found.nobody)
    assert 0 < found.unseen < 0.755
    assert found.known == pytest.approx(0.755 * (1 - found.nobody))


@pytest.mark.parametrize("rule", ["score", "one_standard_error"])
def test_one_example_is_in_every_sample_so_that_nothing_is_expected(rule):
    found = outlook(selection((1, 0.9), (0, 0.5), rule=rule, of=1), 39)
    assert (found.wins.tolist(), found.nobody, found.known, found.unseen) == ([1, 0], 0, None, None)
    assert judge_optimism(found, pd.Series({"score": 0.95, "sparsity": 0.9}), 1.0, SETTINGS).optimism is None


def test_nothing_above_the_gate_is_a_win_of_the_dense_network():
    found = outlook(selection((5, 0.9), gate=0.9), 39)
    assert (found.wins.tolist(), found.nobody, found.unseen) == ([0], 1, 0)
    wins = list_wins(found, POINTS.iloc[:1], DENSE)
    assert [(win.point.method, win.share) for win in wins] == [("baseline", 1)]


def test_the_summary_has_the_optimism_beside_the_test_score_and_the_points_that_win_most():
    foreseen = Outlook(np.array([0.1, 0.6, 0, 0.25]), 0.05, known=0.82, unseen=0.8)
    found = judge_optimism(foreseen, pd.Series({"score": 0.85, "sparsity": 0.9}), 0.7, SETTINGS)
    assert (found.score, found.expected, found.optimism, found.test_score) == pytest.approx((0.85, 0.8, 0.05, 0.8))
    assert judge_optimism(foreseen, pd.Series({"score": 0.85, "sparsity": 0.9}), 0.5, SETTINGS).test_score == 0
    sparse = SETTINGS.model_copy(update={"rule": "one_standard_error"})  # which takes no maximum
    found = judge_optimism(foreseen, pd.Series({"score": 0.85, "sparsity": 0.9}), 0.7, sparse)
    assert (found.expected, found.optimism) == pytest.approx((0.83, 0.02))
    wins = list_wins(foreseen, POINTS, DENSE)
    assert [(win.point.method, win.share) for win in wins] == [("b", 0.6), ("d", 0.25), ("a", 0.1), ("baseline", 0.05)]


# --- gates and weights


def test_the_winner_stays_until_the_gate_reaches_it():
    # c, with .99 and .59, has .79; b .85 up to 80 %, then d .745, then a .7
    assert over_gates(FOUR) == [(0, 0.8, 1), (0.8, 0.89, 3), (0.89, 0.9, 0), (0.9, 1, NOBODY)]


def test_the_winner_changes_where_the_lines_cross():
    # b = .9 - .1 w, d = .6 + .29 w, a = .5 + .4 w: b and d cross at .3 / .39, d and a at .1 / .11
    found = weights_above_gate(FOUR)
    assert [stretch.winner for stretch in found] == [1, 3, 0]
    assert [stretch.high for stretch in found] == pytest.approx([0.3 / 0.39, 0.1 / 0.11, 1])
    assert over_weights(np.array([]), np.array([])) == [Stretch(0, 1, NOBODY)]


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=8), st.floats(0, 1))
def test_no_point_has_a_higher_weighted_sum_than_the_winner(points, weight):
    accuracy, sparsity = map(np.array, zip(*points, strict=True))
    found = over_weights(accuracy, sparsity)
    assert found[0].low == 0
    assert found[-1].high == 1
    assert all(one.high == other.low for one, other in itertools.pairwise(found))
    winner = next(s.winner for s in found if s.low <= weight < s.high or s.high == 1)
    sums = weight * accuracy + (1 - weight) * sparsity
    assert sums[winner] == pytest.approx(sums.max(), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 20), shares), min_size=1, max_size=6), shares.filter(lambda gate: gate < 1))
@settings(max_examples=40)
@pytest.mark.parametrize("rule", ["score", "one_standard_error"])
def test_each_gate_has_the_winner_that_the_rule_gives_it(rule, points, gate):
    chosen = selection(*points, gate=gate, rule=rule, of=20)
    found = over_gates(chosen)
    at = next(s.winner for s in found if s.low <= gate < s.high or s.high == 1)
    assert at == chosen.winner()


def test_the_summary_names_the_winners_and_the_dense_network_where_there_is_none():
    found = list_changes(FOUR, POINTS, DENSE)
    assert [stretch.point.method for stretch in found.gate] == ["b", "d", "a", "baseline"]
    assert [stretch.point.method for stretch in found.weight] == ["b", "d", "a"]


@pytest.mark.parametrize("chosen", [FOUR, selection((5, 0.9)), selection((100, 0.5)), selection((1, 0.0), of=1)])
def test_the_picture_is_the_same_bytes_each_time(chosen, tmp_path):
    points = rows(chosen.right, chosen.sparsity)
    for name in ("one.png", "other.png"):
        draw_sensitivity(chosen, points, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()
