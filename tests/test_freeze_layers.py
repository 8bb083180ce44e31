"""Method 3 one layer after the other: its plan by hand, and the walk with real training on a small network."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunefront import InputError
from prunefront.common.runtime import keras, set_up
from prunefront.common.sections import Freeze, Masked, Training
from prunefront.data.splits import Split
from prunefront.methods.freeze_layers import freeze_layers
from prunefront.models.layers import describe_weights
from prunefront.pruning.masks import apply_masks, count_zeros, nonzero_masks, pruned_count
from prunefront.pruning.saliency import magnitude
from prunefront.pruning.walk import Step, plan, reachable
from prunefront.training.progress import Progress
from prunefront.training.trainer import Trainer
from tests.helpers import PLAIN, X, Y, layers

TRAINING = {"epochs": 2, "batch_size": 16, "learning_rate": 0.01, "recipe": "plain"}


def settings(levels, step, caps):
    return Freeze(
        levels=levels, order="layers", step=step, caps=caps, frozen_share=1.0, allocation="global", **TRAINING
    )


def test_the_largest_layer_first_in_steps_that_end_at_each_level():
    """Layer 1 of 60 and layer 0 of 40 weights: half of all 100 are reached in layer 1, at 50 of its 60."""
    assert plan({0: 40, 1: 60}, settings((0.25, 0.5), 0.4, (0.9,)), 100) == [
        Step(1, 24, 0.25, False),  # 40 % of 60
        Step(1, 25, 0.25, True),  # on the way to 80 %
        Step(1, 48, 0.5, False),
        Step(1, 50, 0.5, True),  # on the way to 90 %
    ]


def test_caps_go_by_the_order_and_the_last_one_repeats():
    assert plan({4: 10, 7: 20, 9: 10}, settings((0.0, 0.6), 0.5, (0.8, 0.5)), 40) == [
        Step(7, 0, 0.0, True),
        Step(7, 10, 0.6, False),
        Step(7, 16, 0.6, False),
        Step(4, 21, 0.6, False),  # of equals the first
        Step(9, 24, 0.6, True),
    ]


def test_a_level_beyond_the_caps_is_one_line():
    assert reachable({0: 20, 1: 20}, settings((0.5,), 0.5, (0.8, 0.5))) == 16 + 10
    with pytest.raises(InputError, match=r"freeze.levels: expected at most 0.6500, .*freeze.caps.*Received: 0.7"):
        plan({0: 20, 1: 20}, settings((0.5, 0.7), 0.5, (0.8, 0.5)), 40)


@given(
    st.lists(st.integers(20, 50), min_size=1, max_size=4),
    st.lists(st.floats(0, 0.6), min_size=1, max_size=3, unique_by=lambda level: round(level, 3)),
    st.floats(0.05, 0.9),
)
def test_each_level_is_met_and_zeros_never_fall(sizes, levels, step):
    levels = sorted(round(level, 3) for level in levels)
    steps = plan(dict(enumerate(sizes)), settings(tuple(levels), step, (0.95, 0.9)), sum(sizes))
    met = {step.level: step.zeros for step in steps if step.reached}
    assert met == {level: pruned_count(level, sum(sizes)) for level in levels}
    assert [s.zeros for s in steps] == sorted(s.zeros for s in steps)


@pytest.fixture
def trained():
    """A network of three layers, the middle one the largest, trained for a moment."""
    set_up("float32", 0)

    def make_model():
        hidden = [layers.Dense(8, activation="relu"), layers.BatchNormalization(), layers.Dense(12, activation="relu")]
        return keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(2)])

    split = Split(X, Y)
    trainer = Trainer(make_model, split, split, 0, PLAIN, Progress("test", 1))
    weights = describe_weights(make_model())
    return SimpleNamespace(
        trainer=trainer,
        dense=trainer.fit(None, Training(**TRAINING)),
        prunable=[weight.prunable for weight in weights],
        kernels=[weight.prunable and weight.kernel for weight in weights],
        numbers=[weight.number for weight in weights],
    )


def test_what_is_frozen_keeps_its_bits_and_levels_are_exact(trained, monkeypatch):
    fits, epochs, plain = [], [], Trainer.fit

    def spy(self, begun, training, *, frozen, **kwargs):
        fits.append((begun, plain(self, begun, training, frozen=frozen, **kwargs), frozen))
        epochs.append(training.epochs)
        return fits[-1][1]

    monkeypatch.setattr(Trainer, "fit", spy)
    some = settings((0.3, 0.6, 0.8), 0.5, (0.95, 0.9, 0.8)).model_copy(update={"level_epochs": (3, 1, 2)})
    walk = trained.prunable, trained.kernels, trained.numbers
    points = list(freeze_layers(trained.dense, trained.trainer, some, magnitude, *walk))
    total = sum(w.size for w, flag in zip(trained.dense, trained.prunable, strict=True) if flag)
    for level, weights in points:
        zeros = count_zeros([w for w, flag in zip(weights, trained.prunable, strict=True) if flag])
        assert zeros == pruned_count(level, total)
    order = list(dict.fromkeys(number for _, _, frozen in fits for number in sorted(frozen)))
    assert order[0] == trained.numbers[6]  # 96 weights, the others have 48 and 24
    for begun, retrained, frozen in fits:
        for number, before, after in zip(trained.numbers, begun, retrained, strict=True):
            assert (before.tobytes() == after.tobytes()) == (number in frozen)
    assert epochs == [3, 3, 1, 1, 2, 2, 2, 2]  # zeros: 48, 57; 91, 114; 115, 134, 146, 152
    assert trained.trainer.progress.total == sum(epochs) + 3
    largest = [weights[6] for _, weights in points]
    for before, after in itertools.pairwise(largest):  # only further zeros
        np.testing.assert_array_equal(after[after != 0], before[after != 0])


def test_a_fit_ends_when_no_epoch_is_better_any_more(trained):
    unmoved = TRAINING | {"epochs": 30, "learning_rate": 1e-30}  # nothing changes, the first epoch is the best
    patient = Masked(levels=(0.5,), allocation="global", patience=2, **unmoved)
    masks = nonzero_masks(apply_masks(trained.dense, [w > 0 for w in trained.dense]), trained.prunable)
    spent = trained.trainer.cost.epochs
    trained.trainer.fit(trained.dense, patient, masks=masks)
    assert trained.trainer.cost.epochs - spent == 3
    _, curve = trained.trainer.curves[-1]
    assert len(curve) == 3
