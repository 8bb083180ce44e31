"""A small model, data, and the check that its pruned weights are zero after every step."""

import numpy as np
import pytest

from prunefront import global_masks
from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.pruning.masks import count_zeros
from prunefront.training.held_step import assert_held
from prunefront.training.hold import hold_masks, magnitude_masks

layers, optimizers = keras.layers, keras.optimizers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def small():
    return keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(2)])


def compile_model(model, optimizer="adam", **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **options)
    return model


def held(model, sparsity=0.5, make_masks=global_masks):
    masks = magnitude_masks(model, sparsity, make_masks)
    return hold_masks(model, masks), masks


class EveryBatch(keras.callbacks.Callback):
    """Looks at the zeros after each step, so that a projection at the end alone does not pass."""

    def __init__(self, masks):
        super().__init__()
        self.masks, self.batches = masks, 0

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        self.batches += 1
        check(self.model, self.masks)


def check(model, masks):
    assert_held(model.get_weights(), masks, [v.path for v in model.weights])
    assert count_zeros(model.get_weights()) >= sum(int((~m).sum()) for m in masks) > 0


def fit_and_check(model, masks, x=X, y=Y, **options):
    watch = EveryBatch(masks)
    before = model.get_weights()
    model.fit(x, y, **{"epochs": 2, "batch_size": 16, "verbose": 0, **options, "callbacks": [watch]})
    check(model, masks)
    assert watch.batches > 1
    assert any(not np.array_equal(b, a) for b, a in zip(before, model.get_weights(), strict=True))


def diverge_and_check(model, masks):
    """Two good steps, then one whose loss is NaN: what is left is finite and pruned, after any kind of update."""
    weight = np.ones(len(X))
    weight[32:] = np.nan
    with pytest.raises(InputError, match="NaN or infinity in the loss"):
        model.fit(X, Y, 16, sample_weight=weight, shuffle=False, verbose=0)
    check(model, masks)
    assert all(np.isfinite(w).all() for w in model.get_weights())
