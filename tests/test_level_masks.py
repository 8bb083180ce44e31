"""The masks of many levels at once: exact, by position, nested, and the same as by sorting everything."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from prunefront import InputError, global_masks, layerwise_masks, masks_for_levels
from prunefront.pruning import selection
from prunefront.pruning.masks import pruned_count
from prunefront.pruning.saliency import ALLOCATIONS, Sparing, magnitude, random_scores
from prunefront.pruning.selection import Keys, first_counts

few = st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 1.0000001, 3.0])
"""Few distinct values, so that ties are the rule; two that differ in the last bit of float32."""
anything = st.floats(-(2.0**90), 2.0**90, width=32)


def weight_lists(dtype):
    arrays = npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, max_side=7), elements=few | anything)
    return st.lists(arrays, min_size=1, max_size=4)


level_lists = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5).map(sorted)


def sorted_codes(scores, counts):
    """For each value the number of counts that leave it, by one stable sort of all."""
    flat = np.concatenate([one.ravel() for one in scores])
    ranks = np.empty(flat.size, int)
    ranks[np.argsort(flat, kind="stable")] = np.arange(flat.size)
    codes = np.searchsorted(counts, ranks, "right")
    return np.split(codes, np.cumsum([one.size for one in scores])[:-1])


def test_levels_by_hand():
    found = masks_for_levels([np.array([4.0, -1.0]), np.array([[0.5], [-3.0]])], [0, 0.25, 0.5, 0.9])
    # of 4: none, the floor(0.25 * 3) + 1 = 1, 2 and 3 smallest
    np.testing.assert_array_equal(found.removed_from[0], [4, 2])
    np.testing.assert_array_equal(found.removed_from[1], [[1], [3]])
    np.testing.assert_array_equal(found.masks(0.5)[0], [True, False])
    with pytest.raises(InputError, match=r"one of the levels, \[0, 0.25, 0.5, 0.9\]. Received: 0.4"):
        found.masks(0.4)


def test_equal_values_go_by_position_at_each_level():
    (codes,) = masks_for_levels([np.full(4, 7.0)], [0.25, 0.5, 0.75]).removed_from
    np.testing.assert_array_equal(codes, [0, 1, 2, 3])


@pytest.mark.parametrize("piece", [2, 1 << 17])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.data())
def test_the_same_as_sorting_everything(piece, dtype, data):
    weights, levels = data.draw(weight_lists(dtype)), data.draw(level_lists)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "PIECE", piece)  # values that are equal lie in several pieces
        found = masks_for_levels(weights, levels)
    counts = [pruned_count(level, sum(w.size for w in weights)) for level in levels]
    for codes, expected in zip(found.removed_from, sorted_codes([np.abs(w) for w in weights], counts), strict=True):
        np.testing.assert_array_equal(codes.ravel(), expected)


@given(weight_lists(np.float64), st.data())
def test_any_values_are_selected_like_magnitudes(values, data):
    counts = sorted(data.draw(st.lists(st.integers(0, sum(v.size for v in values)), min_size=1, max_size=300)))
    found = first_counts(values, counts, Keys(np.dtype(np.float64), magnitudes=False))
    for codes, expected in zip(found, sorted_codes(values, counts), strict=True):
        np.testing.assert_array_equal(codes.ravel(), expected)
        assert codes.dtype == (np.uint8 if len(counts) < 255 else np.uint16)


SCORES = {**ALLOCATIONS, "floor": Sparing(magnitude, 1), "own": lambda weights: np.cos(weights)}


@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("name", SCORES)
@settings(max_examples=25)
@given(st.data())
def test_one_level_is_a_case_of_many_whatever_the_score(name, layerwise, data):
    weights = data.draw(weight_lists(np.float32).filter(lambda ws: all(w.size > 3 for w in ws)))
    levels = [level / 2 for level in data.draw(level_lists)]
    prunable = [data.draw(st.booleans()) for _ in weights]
    found = masks_for_levels(weights, levels, prunable, SCORES[name], layerwise)
    make_masks = layerwise_masks if layerwise else global_masks
    before = None
    for level in levels:
        masks = found.masks(level)
        for mask, alone in zip(masks, make_masks(weights, level, prunable, SCORES[name]), strict=True):
            np.testing.assert_array_equal(mask, alone)
        assert before is None or all(np.all(m <= b) for m, b in zip(masks, before, strict=True))
        before = masks


@pytest.mark.parametrize("layerwise", [False, True])
def test_random_scores_are_drawn_once_for_all_levels(layerwise):
    weights = [np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)]
    found = masks_for_levels(weights, [0.2, 0.5, 0.9], None, random_scores(0, layerwise))
    assert [int((~found.masks(level)[0]).sum()) for level in found.levels] == [40, 100, 180]


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint8", ">f4", "float64"])
def test_other_types_and_layouts(dtype):
    rng = np.random.default_rng(0)
    array = rng.integers(-100 if dtype != "uint8" else 0, 100, (30, 20)).astype(dtype)
    levels = [0.1, 0.5, 0.9]
    expected = sorted_codes([np.abs(array.astype(float))], [pruned_count(level, 600) for level in levels])[0]
    np.testing.assert_array_equal(masks_for_levels([array], levels).removed_from[0].ravel(), expected)
    turned = np.asfortranarray(array)
    np.testing.assert_array_equal(masks_for_levels([turned], levels).removed_from[0].ravel(), expected)


@pytest.mark.parametrize("turned", [False, True])
def test_a_mapped_file_is_read_in_pieces(tmp_path, turned):
    size = 3_000_000
    array = np.random.default_rng(0).normal(size=size).astype(np.float32)
    array.tofile(tmp_path / "weights")
    shape, order = ((1000, 3000), "F") if turned else ((size,), "C")
    mapped = np.memmap(tmp_path / "weights", np.float32, "r", shape=shape, order=order)
    tracemalloc.start()
    found = masks_for_levels([mapped], np.linspace(0.05, 0.95, 19))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    counts = [pruned_count(level, size) for level in found.levels]
    np.testing.assert_array_equal(found.removed_from[0].ravel(), sorted_codes([np.abs(np.asarray(mapped))], counts)[0])
    # one byte a weight is the result; beside it a few pieces, and what is counted by their upper 16 bits
    assert peak < size + 64 * selection.PIECE + 32 * 2**16


@pytest.mark.parametrize(
    ("levels", "message"), [([0.5, 0.4], r"levels upwards. Received: \[0.5, 0.4\]"), ([1.0], r"sparsity in \[0, 1\)")]
)
def test_levels_that_are_none_are_refused(levels, message):
    with pytest.raises(InputError, match=message):
        masks_for_levels([np.ones(3)], levels)


def test_keys_are_in_the_order_of_their_values():
    values = np.array([-np.inf, -1e30, -1.5, -1e-45, 0, 1e-45, 1.5, 1e30, np.inf], np.float32)
    plain, magnitudes = (Keys(values.dtype, flag) for flag in (False, True))
    assert np.all(np.diff(plain(values).astype(np.int64)) > 0)
    assert plain(np.array([-0.0], np.float32)) == plain(values)[4]
    np.testing.assert_array_equal(magnitudes(-values), magnitudes(values))
    assert np.all(np.diff(magnitudes(values)[4:].astype(np.int64)) > 0)
