"""Gradual pruning with regrowth: masks that move, by hand and in real training."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras, set_up
from prunefront.common.sections import Gradual, Regrow
from prunefront.data.splits import Split
from prunefront.methods.gradual import gradual
from prunefront.methods.regrow import regrow
from prunefront.models.built_in import build_network
from prunefront.models.layers import prunable
from prunefront.pruning.masks import count_false, count_zeros, nonzero_masks, prune_smallest, pruned_count
from prunefront.pruning.regrowth import regrown_masks
from prunefront.pruning.saliency import ALLOCATIONS, Sparing, magnitude
from prunefront.pruning.schedules import Ramp
from prunefront.training import trainer as trainer_module
from prunefront.training.gradients import gradients_of
from prunefront.training.hold import hold_masks, move_masks, prune_further
from prunefront.training.progress import Progress
from prunefront.training.trainer import Trainer, compile_classifier
from tests.helpers import IMAGES, PLAIN

RETRAINING = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "recipe": "plain"}
RAMP = {"levels": (0.5, 0.9), "allocation": "lamp", "ramp_epochs": 2, "ramp_steps": 2}


def moved(weights, mask, gradient, share, score=magnitude):
    arrays = [np.array(weights, np.float32)], [np.array(mask, bool)], [np.array(gradient, np.float32)]
    return regrown_masks(*arrays, share, [True], score)[0].tolist()


def test_the_smallest_of_four_leaves_and_the_largest_gradient_comes_back():
    assert moved([4, -1, 0, 0], [1, 1, 0, 0], [9, 9, 0.5, -2], 0.5) == [True, False, False, True]
    assert moved([4, -1, 0, 0], [1, 1, 0, 0], [9, 9, 0.5, -2], 1.0) == [False, False, True, True]
    assert moved([4, -1, 0, 0], [1, 1, 0, 0], [9, 9, 0.5, -2], 0.49) == [True, True, False, False]  # rounded down
    assert moved([4, -1, 0, 0], [1, 1, 0, 0], [9, 9, 0, -2], 1.0) == [True, False, False, True]  # one has a gradient
    assert moved([1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 3, 3], 0.5) == [False, True, True, False]  # the first of equal ones
    assert moved([4, -1, 0, 0], [1, 1, 0, 0], [9, 9, 0.5, -2], 1.0, Sparing(magnitude, 1)) == [True, False, False, True]


def test_arrays_that_are_not_pruned_or_have_no_gradient_stay_as_they_are():
    weights, masks = [np.ones(2)] * 3, [np.array([True, False])] * 3
    gradients = [np.array([0.0, 5.0]), None, np.array([0.0, 5.0])]
    found = regrown_masks(weights, masks, gradients, 1.0, [False, True, True], magnitude)
    assert [mask.tolist() for mask in found] == [[True, False], [True, False], [False, True]]


def test_bad_shares_and_gradients_are_one_line():
    with pytest.raises(InputError, match=r"share of the kept weights in \[0, 1\]. Received: 1.5"):
        moved([1, 0], [1, 0], [0, 1], 1.5)
    with pytest.raises(InputError, match="Expected finite gradients"):
        moved([1, 0], [1, 0], [0, np.nan], 0.5)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 0.99), st.sampled_from(sorted(ALLOCATIONS)))
def test_each_array_keeps_as_many_weights_as_before(seed, share, level, allocation):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape) for shape in ((3, 4), (5,), (2, 2, 6))]
    size = sum(w.size for w in weights)
    score = ALLOCATIONS[allocation]
    masks = prune_smallest(weights, pruned_count(level, size), None, score)
    gradients = [rng.normal(size=w.shape) for w in weights]
    found = regrown_masks(weights, masks, gradients, share, [True] * 3, score)
    for mask, other in zip(masks, found, strict=True):
        assert np.count_nonzero(mask) == np.count_nonzero(other)
        back = np.count_nonzero(other & ~mask)
        assert back == min(int(share * np.count_nonzero(mask)), np.count_nonzero(~mask))


def test_the_share_falls_along_half_a_cosine_and_the_last_update_only_prunes():
    ramp = Ramp(0.0, 0.9, 1, 2, magnitude, (True,), regrown=0.4)
    assert ramp.updates(5) == [0, 2, 4, 5]
    assert [round(ramp.moving(step, 4), 4) for step in range(5)] == [0.4, 0.3414, 0.2, 0.0586, 0.0]


def small(kernel):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    model.set_weights([np.array(kernel, np.float32)])
    compile_classifier(model, keras.optimizers.SGD(1.0))
    return model


def test_the_gradient_of_four_weights_pruned_ones_included():
    model = hold_masks(small(np.zeros((2, 2))), [np.array([[True, False], [True, True]])])
    (gradient,) = gradients_of(model, Split(np.array([[1.0, 2.0]], np.float32), np.array([0])))
    np.testing.assert_allclose(gradient, [[-0.5, 0.5], [-1, 1]], atol=1e-6)  # x times (softmax - one-hot)
    model.layers[0].trainable = False
    assert gradients_of(model, Split(np.array([[1.0, 2.0]], np.float32), np.array([0]))) == [None]


def test_what_comes_back_begins_at_zero_and_is_trained_from_then_on():
    x, y = np.array([[1.0, 2.0]], np.float32), np.array([0])
    model = hold_masks(small([[1, 1], [1, 1]]), [np.array([[True, False], [True, True]])], adjustable=True)
    other = np.array([[False, True], [True, True]])
    with pytest.raises(InputError, match="masks that bring back 1 weights"):
        prune_further(model, [other])
    move_masks(model, [other])
    assert model.get_weights()[0].tolist() == [[0, 0], [1, 1]]
    model.train_on_batch(x, y)
    after = model.get_weights()[0]
    assert after[0, 0] == 0
    assert after[0, 1] != 0
    with pytest.raises(InputError, match="adjustable=True"):
        move_masks(small([[1, 1], [1, 1]]), [other])


@pytest.fixture(scope="module")
def network():
    set_up("float32", 0)
    return build_network((10, 10, 1), 4)


def walk(network, method, settings):
    trainer = Trainer(lambda: build_network((10, 10, 1), 4), IMAGES, IMAGES, 0, PLAIN, Progress("test", 99))
    points = list(method(network.get_weights(), trainer, settings, ALLOCATIONS["lamp"], prunable(network)))
    return points, trainer


def test_masks_move_while_the_sparsity_rises_and_every_level_is_exact(network, monkeypatch):
    plain, came_back = trainer_module.move_masks, []

    def spy(model, masks, **kwargs):
        before = nonzero_masks(model.get_weights(), prunable(model))
        plain(model, masks, **kwargs)
        after = model.get_weights()
        assert all(not array[~mask].any() for array, mask in zip(after, masks, strict=True))
        came_back.append(sum(int(np.count_nonzero(m & ~b)) for m, b in zip(masks, before, strict=True)))
        counts.append(count_false(masks))

    counts: list[int] = []
    monkeypatch.setattr(trainer_module, "move_masks", spy)
    settings = Regrow(share=0.3, **RAMP, **RETRAINING)
    points, trainer = walk(network, regrow, settings)
    size = sum(w.size for w in network.get_weights())
    assert [count_zeros(weights) for _, weights in points] == [pruned_count(level, size) for level in (0.5, 0.9)]
    updates = len(range(0, trainer.steps(settings, 2), 2))
    assert len(came_back) == 2 * updates
    assert came_back[0] == 0  # nothing is pruned yet
    assert min(came_back[1:]) > 0
    assert counts == sorted(counts)
    examples = 2 * (3 * len(IMAGES.y) + 16 * updates)
    assert trainer.cost.forward_passes == 3 * examples


def test_without_a_share_it_is_gradual_pruning_and_with_one_it_repeats_itself(network):
    one, _ = walk(network, gradual, Gradual(**RAMP, **RETRAINING))
    other, _ = walk(network, regrow, Regrow(share=0.0, **RAMP, **RETRAINING))
    for (_, a), (_, b) in zip(one, other, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    first, again = (walk(network, regrow, Regrow(share=0.5, **RAMP, **RETRAINING))[0] for _ in range(2))
    for (_, a), (_, b), (_, c) in zip(first, again, one, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        assert not all(np.array_equal(x, y) for x, y in zip(a, c, strict=True))
