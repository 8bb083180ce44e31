"""Four-number examples, and what has to hold for any weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunefront import InputError, apply_masks, global_masks, layerwise_masks
from prunefront.pruning.masks import count_false, count_zeros, further_masks, pruned_count, removable
from prunefront.pruning.saliency import ALLOCATIONS, Sparing, erk, lamp, magnitude, random_scores, uniform
from prunefront.pruning.schedules import cubic_sparsity

finite = st.floats(-1e6, 1e6, allow_nan=False, width=32)
arrays = st.lists(st.lists(finite, min_size=1, max_size=30), min_size=1, max_size=5).map(
    lambda lists: [np.array(values, np.float32) for values in lists]
)
levels = st.floats(0, 0.999)


def test_lamp_of_four_numbers():
    # squares 1, 4, 9, 16; sums of those not smaller 30, 29, 25, 16
    np.testing.assert_allclose(lamp(np.array([1.0, -2, 3, -4])), [1 / 30, 4 / 29, 9 / 25, 1])
    np.testing.assert_array_equal(lamp(np.array([[0.0, 0], [0, 2]])), [[0, 0], [0, 1]])
    np.testing.assert_array_equal(lamp(np.zeros((2, 2))), np.zeros((2, 2)))


def test_uniform_of_four_numbers():
    np.testing.assert_array_equal(uniform(np.array([1.0, -4, 3, -2])), [-0.75, 0, -0.25, -0.5])


def test_erk_keeps_small_kernels():
    small, large = np.arange(1.0, 5).reshape(2, 2), np.arange(1.0, 17).reshape(4, 4)
    # densities in proportion to (2 + 2) / 4 = 1 and (4 + 4) / 16 = 1/2; half of 20 is 3.33 and 6.67
    kept = [int(mask.sum()) for mask in global_masks([small, large], 0.49, score=erk)]
    assert kept == [3, 7]
    # to keep 12 of 20 the small one is kept whole, and the factor of the other grows
    assert [int(m.sum()) for m in global_masks([small, large], 0.39, score=erk)] == [4, 8]


def test_global_prefers_large_weights_and_lamp_does_not():
    weights = [np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 30, 40])]
    assert [int(m.sum()) for m in global_masks(weights, 0.5, score=magnitude)] == [0, 4]
    for score in (uniform, lamp):
        assert [int(m.sum()) for m in global_masks(weights, 0.4, score=score)] == [2, 3] or score is lamp
        assert all(m.any() for m in global_masks(weights, 0.7, score=score))


@pytest.mark.parametrize("name", ALLOCATIONS)
@given(weights=arrays, low=levels, high=levels)
def test_counts_are_exact_and_zeros_stay_zero(name, weights, low, high):
    low, high = sorted((low, high))
    score = ALLOCATIONS[name]
    size = sum(w.size for w in weights)
    pruned = apply_masks(weights, global_masks(weights, low, score=score))
    assert count_false(global_masks(weights, low, score=score)) == pruned_count(low, size)
    further = further_masks(pruned, high, [True] * len(weights), score)
    assert count_false(further) == max(pruned_count(high, size), count_zeros(pruned))
    for before, mask in zip(pruned, further, strict=True):
        assert not mask[before == 0].any()


def test_a_floor_of_four_numbers():
    weights = [np.array([1.0, -2]), np.array([3.0, 4, 0, -5])]
    # the three smallest of six are 0, 1 and -2: the first array would be empty
    assert [m.tolist() for m in global_masks(weights, 0.5)] == [[False, False], [True, True, False, True]]
    one = Sparing(magnitude, 1)
    assert [m.tolist() for m in global_masks(weights, 0.5, score=one)] == [[False, True], [False, True, False, True]]
    assert [m.tolist() for m in layerwise_masks(weights, 0.99, score=one)] == [[False, True], [False] * 3 + [True]]
    with pytest.raises(InputError, match=r"Expected at most 4 of 6 weights to prune, since the floor keeps the others"):
        global_masks(weights, 0.9, score=one)
    # what is zero already is not brought back
    assert global_masks([np.zeros(2), np.array([1.0, 2])], 0.5, score=one)[0].tolist() == [False, False]


@pytest.mark.parametrize("name", ALLOCATIONS)
@given(weights=arrays, level=levels, floor=st.integers(0, 5))
def test_a_floor_holds_and_the_count_stays_exact(name, weights, level, floor):
    score = Sparing(ALLOCATIONS[name], floor)
    size = sum(w.size for w in weights)
    spared = sum(min(floor, np.count_nonzero(w)) for w in weights)
    assert sum(removable(weights, [True] * len(weights), score)) == size - spared
    if pruned_count(level, size) > size - spared:
        with pytest.raises(InputError):
            global_masks(weights, level, score=score)
        return
    masks = global_masks(weights, level, score=score)
    assert count_false(masks) == pruned_count(level, size)
    for weight, mask in zip(weights, masks, strict=True):
        assert np.count_nonzero(mask & (weight != 0)) >= min(floor, np.count_nonzero(weight))


@pytest.mark.parametrize("layerwise", [False, True])
def test_random_masks_ignore_the_values_but_not_the_zeros(layerwise):
    weights = [np.arange(1.0, 1001), np.arange(1.0, 1001)]
    masks = global_masks(weights, 0.5, score=random_scores(0, layerwise))
    kept = np.array([m.sum() for m in masks])
    assert kept.sum() == 1000
    assert np.all(np.abs(kept - 500) <= (1 if layerwise else 60))
    large = sum(int(m[500:].sum()) for m in masks)
    assert abs(large - 500) < 80  # magnitude pruning would keep all 1,000 of them
    pruned = apply_masks(weights, masks)
    again = further_masks(pruned, 0.7, [True, True], random_scores(1, layerwise))
    assert all(not m[w == 0].any() for w, m in zip(pruned, again, strict=True))
    repeated = global_masks(weights, 0.5, score=random_scores(0, layerwise))
    assert all(np.array_equal(a, b) for a, b in zip(masks, repeated, strict=True))


def test_the_cubic_curve():
    values = [cubic_sparsity(step, 4, 0.2, 1 - 0.2) for step in (0, 1, 2, 3, 4, 9)]
    np.testing.assert_allclose(values, [0.2, 0.8 - 0.6 * 27 / 64, 0.8 - 0.6 / 8, 0.8 - 0.6 / 64, 0.8, 0.8])
    for wrong in ((-1, 4, 0, 0.5), (0, 0, 0, 0.5), (0, 4, 0.6, 0.5), (0, 4, 0.5, 1.0)):
        with pytest.raises(InputError, match="Expected"):
            cubic_sparsity(*wrong)


def test_random_layerwise_masks_stay_layerwise_on_the_way_up():
    weights = [np.arange(1.0, 1001), np.arange(1.0, 1001), np.arange(1.0, 33)]
    score = random_scores(0, layerwise=True)
    for level in (0.5, 0.7, 0.9):
        masks = further_masks(weights, level, [True] * 3, score)
        weights = apply_masks(weights, masks)
        assert all(abs(m.mean() - (1 - level)) < 0.03 for m in masks)


@pytest.mark.parametrize("score", [np.sqrt, lambda w: w * np.nan, lambda w: w[:2], lambda w: w.astype(str)])
def test_scores_that_are_none_are_refused(score):
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(InputError, match="Expected a score that gives real numbers"),
    ):
        global_masks([np.array([-1.0, 2, 3, -4])], 0.5, score=score)
