import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from prunefront import InputError, apply_masks, global_masks, layerwise_masks, load_weights, sparsity
from prunefront.pruning.masks import count_zeros, nonzero_masks, prune_smallest, pruned_count

# Few distinct values, so that ties are the rule.
arrays = npst.arrays(np.float32, npst.array_shapes(max_dims=3, max_side=6), elements=st.sampled_from([-2, -1, 0, 1, 3]))
weight_lists = st.lists(arrays, min_size=1, max_size=4)
levels = st.floats(0, 1, exclude_max=True)


def test_global_prunes_the_smallest_of_all():
    masks = global_masks([np.array([4.0, -1.0]), np.array([[0.5], [-3.0]])], 0.5)
    # floor(0.5 * 3) + 1 = 2 of 4: the magnitudes 0.5 and 1
    np.testing.assert_array_equal(masks[0], [True, False])
    np.testing.assert_array_equal(masks[1], [[False], [True]])


def test_layerwise_prunes_the_smallest_of_each():
    masks = layerwise_masks([np.array([4.0, -1.0]), np.array([[0.5], [-3.0]])], 0.5)
    np.testing.assert_array_equal(masks[0], [True, False])
    np.testing.assert_array_equal(masks[1], [[False], [True]])
    masks = layerwise_masks([np.array([4.0, 5.0]), np.array([0.5, 3.0])], 0.1)
    np.testing.assert_array_equal(masks[0], [False, True])
    np.testing.assert_array_equal(masks[1], [False, True])


def test_ties_go_by_position():
    (mask,) = prune_smallest([np.array([2.0, 1.0, 2.0, 2.0])], 3)
    np.testing.assert_array_equal(mask, [False, False, False, True])


@pytest.mark.parametrize(("level", "size", "count"), [(0, 4, 0), (0.25, 4, 1), (0.5, 4, 2), (0.999, 4, 3), (0.5, 1, 1)])
def test_pruned_count(level, size, count):
    assert pruned_count(level, size) == count


def test_prunable_false_is_kept_and_not_counted():
    masks = global_masks([np.array([1.0, 2.0]), np.array([0.0, 0.0])], 0.5, prunable=[True, False])
    np.testing.assert_array_equal(masks[0], [False, True])
    assert masks[1].all()


def test_the_smallest_signed_integer_is_large():
    (mask,) = global_masks([np.array([-128, 1, 2, 3], np.int8)], 0.1)
    np.testing.assert_array_equal(mask, [True, False, True, True])


@pytest.mark.parametrize("count", [-1, 5])
def test_counts_outside_the_range_are_refused(count):
    with pytest.raises(InputError, match=rf"between 0 and 4. Received: {count}"):
        prune_smallest([np.ones(4)], count)


def test_apply_masks_keeps_dtype_and_makes_positive_zeros():
    (pruned,) = apply_masks([np.array([-1.5, 2.0], np.float16)], [np.array([False, True])])
    assert pruned.dtype == np.float16
    np.testing.assert_array_equal(pruned, [0, 2])
    assert not np.signbit(pruned[0])


def test_sparsity_counts_exact_zeros_only():
    assert sparsity([np.array([0.0, -0.0, 1e-38]), np.array([[2.0]])]) == 0.5


def test_nonzero_masks_keep_what_may_not_be_pruned():
    masks = nonzero_masks([np.array([0.0, 1.0]), np.array([0.0, 1.0])], [True, False])
    np.testing.assert_array_equal(masks[0], [False, True])
    assert masks[1].all()


@given(weight_lists, levels)
def test_global_count_is_exact_under_ties(weights, level):
    masks = global_masks(weights, level)
    total = sum(w.size for w in weights)
    removed = sum(int((~m).sum()) for m in masks)
    assert removed == (0 if level == 0 else math.floor(level * (total - 1)) + 1)
    kept = [abs(v) for w, m in zip(weights, masks, strict=True) for v in w[m]]
    gone = [abs(v) for w, m in zip(weights, masks, strict=True) for v in w[~m]]
    assert not kept or not gone or max(gone) <= min(kept)


@given(weight_lists, levels)
def test_layerwise_count_is_exact_in_each(weights, level):
    for weight, mask in zip(weights, layerwise_masks(weights, level), strict=True):
        assert mask.shape == weight.shape
        assert mask.dtype == bool
        assert int((~mask).sum()) == (0 if level == 0 else math.floor(level * (weight.size - 1)) + 1)


@pytest.mark.parametrize("make_masks", [global_masks, layerwise_masks])
@given(weights=weight_lists, pair=st.tuples(levels, levels))
def test_masks_nest_as_sparsity_grows(make_masks, weights, pair):
    looser, tighter = (make_masks(weights, level) for level in sorted(pair))
    assert all(np.all(t <= lo) for lo, t in zip(looser, tighter, strict=True))


@given(weight_lists, st.data())
def test_prune_smallest_removes_any_count(weights, data):
    total = sum(w.size for w in weights)
    count = data.draw(st.integers(0, total))
    assert sum(int((~m).sum()) for m in prune_smallest(weights, count)) == count


@given(weight_lists, levels)
def test_pruned_weights_are_zero_and_others_unchanged(weights, level):
    masks = global_masks(weights, level)
    for before, after, mask in zip(weights, apply_masks(weights, masks), masks, strict=True):
        np.testing.assert_array_equal(after[mask], before[mask])
        assert not after[~mask].any()


def test_golden_global_count(dense_file):
    weights = load_weights(dense_file)
    assert count_zeros(apply_masks(weights, global_masks(weights, 0.59))) == 349_830


def test_golden_layerwise_counts(dense_file):
    weights = load_weights(dense_file)
    zeros = [count_zeros([w]) for w in apply_masks(weights, layerwise_masks(weights, 0.42))]
    assert zeros == [363, 14, 3871, 14, 7742, 27, 15483, 27, 220201, 215, 1075, 2]


@pytest.mark.parametrize("level", [-0.1, 1, 1.5, math.nan])
@pytest.mark.parametrize("make_masks", [global_masks, layerwise_masks])
def test_level_outside_the_range_is_refused(make_masks, level):
    with pytest.raises(InputError, match=r"sparsity in \[0, 1\).*Received: sparsity="):
        make_masks([np.ones(3)], level)


@pytest.mark.parametrize("bad", [np.array([1, np.nan]), np.array([1, np.inf]), np.array(["a"]), np.array([1j])])
def test_weights_that_are_not_finite_numbers_are_refused(bad):
    with pytest.raises(InputError, match=r"finite real weights.*weights\[1\]"):
        global_masks([np.ones(2), bad], 0.5)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], "one mask for each of 1"),
        ([np.ones(2)], r"masks\[0\].dtype=float64"),
        ([np.ones(3, bool)], r"masks\[0\].shape=\(3,\)"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, message):
    with pytest.raises(InputError, match=message):
        apply_masks([np.ones(2)], masks)


def test_nothing_to_count_is_refused():
    with pytest.raises(InputError, match="at least one weight"):
        sparsity([])
