"""Masks that grow while a model trains."""

import numpy as np
import pytest

from prunefront import InputError
from prunefront.common.runtime import keras
from prunefront.pruning.masks import count_zeros
from prunefront.training.hold import hold_masks, magnitude_masks, prune_further


def small_model(optimizer=keras.optimizers.Adam):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)])
    model.compile(optimizer(0.01, weight_decay=0.1), "mse")
    return model


class Growing(keras.callbacks.Callback):
    """Prunes to 25, 50 and 75 % before the steps 3, 6 and 9."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002
        self.seen.append(count_zeros(self.model.get_weights()))
        if batch in (3, 6, 9):
            prune_further(self.model, magnitude_masks(self.model, batch / 12, biases=False))


@pytest.mark.parametrize("optimizer", ["Adam", "Lion", "Muon", "Nadam", "RMSprop", "SGD"])
def test_masks_grow_in_the_middle_of_fit_without_compiling_anew(optimizer):
    model = small_model(getattr(keras.optimizers, optimizer))
    ones = [np.ones(w.shape, bool) for w in model.get_weights()]
    hold_masks(model, ones, adjustable=True)
    x, y = np.random.default_rng(0).normal(size=(12, 4)), np.zeros((12, 2))
    model.fit(x, y, batch_size=1, verbose=0)
    compiled = model.train_function
    growing = Growing()
    model.fit(x, y, batch_size=1, verbose=0, callbacks=[growing])
    assert model.train_function is compiled
    # 48 kernel weights: floor(0.25 * 47) + 1 = 12, floor(0.5 * 47) + 1 = 24, floor(0.75 * 47) + 1 = 36
    assert growing.seen == [0, 0, 0, 0, 12, 12, 12, 24, 24, 24, 36, 36]
    assert count_zeros(model.get_weights()) == 36


def test_what_cannot_be_adjusted_is_refused():
    model = small_model()
    masks = magnitude_masks(model, 0.5, biases=False)
    with pytest.raises(InputError, match=r"Expected a model under hold_masks\(\.\.\., adjustable=True\)"):
        prune_further(model, masks)
    hold_masks(model, masks)
    with pytest.raises(InputError, match="adjustable=True"):
        prune_further(model, masks)
    hold_masks(model, masks, adjustable=True)
    with pytest.raises(InputError, match="masks that bring back"):
        prune_further(model, [np.ones_like(m) for m in masks])
    with pytest.raises(InputError, match="allow_empty_layers=True"):
        prune_further(model, [np.zeros_like(m) for m in masks])
