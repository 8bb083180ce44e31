"""Fits that share a compiled network give what each gives alone."""

from dataclasses import replace

import numpy as np
import pytest

from prunefront.common.runtime import keras
from prunefront.models.built_in import build_network
from prunefront.pruning.masks import global_masks
from prunefront.pruning.saliency import magnitude
from prunefront.pruning.schedules import Ramp
from prunefront.training.network import Networks
from prunefront.training.progress import Progress
from prunefront.training.teachers import Teachers
from prunefront.training.trainer import Trainer
from tests.helpers import IMAGES, PLAIN, TRAINING, recipe

SETTINGS = TRAINING.model_copy(update={"epochs": 2, "learning_rate": 0.01})
RICH = recipe(schedule="cosine", warmup_epochs=1, weight_decay=0.1, flip=True, shift=1, dropout=0.5, distillation=0.5)


def plain():
    return build_network((10, 10, 1), 4)


def normalized():
    return keras.Sequential(
        [
            keras.Input((10, 10, 1)),
            keras.layers.RandomContrast(0.5),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(4),
        ]
    )


def trainer(make, recipe_=PLAIN, seed=0, networks=None):
    teachers = Teachers(make, [make().get_weights()]) if recipe_.distillation else None
    kept = networks or Networks()
    return Trainer(make, IMAGES, IMAGES, seed, recipe_, Progress("test", 99), teachers=teachers, networks=kept)


def alone(shared, start, **kwargs):
    """The same fit by a trainer that has trained nothing before."""
    return replace(shared, networks=Networks()).fit(start, SETTINGS, **kwargs)


def assert_same(fit, other):
    for one, two in zip(fit, other, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("make", "how"), [(plain, PLAIN), (plain, RICH), (normalized, PLAIN)])
def test_no_fit_depends_on_those_before_it(make, how):
    keras.utils.set_random_seed(0)
    shared = trainer(make, how)
    first = shared.fit(None, SETTINGS)
    network = shared.networks.last[1]
    assert_same(shared.fit(None, SETTINGS), first)
    start = make().get_weights()
    assert_same(shared.fit(start, SETTINGS), alone(shared, start))
    assert shared.networks.last[1] is network  # it was the same one


def test_masks_come_and_go():
    shared, start = trainer(plain), plain().get_weights()
    prunable = [True] * len(start)
    few, many = (global_masks(start, level) for level in (0.2, 0.7))
    sparse = shared.fit(start, SETTINGS, masks=many)
    network = shared.networks.last[1]
    assert_same(shared.fit(start, SETTINGS, masks=few), alone(shared, start, masks=few))
    ramp = Ramp(0.2, 0.5, 1, 1, magnitude, tuple(prunable))
    assert_same(shared.fit(start, SETTINGS, masks=few, ramp=ramp), alone(shared, start, masks=few, ramp=ramp))
    assert_same(shared.fit(start, SETTINGS, masks=many), sparse)
    assert shared.networks.last[1] is network
    assert all(not array[~mask].any() for array, mask in zip(sparse, many, strict=True))
    assert_same(shared.fit(start, SETTINGS), alone(shared, start))  # no masks: another step
    assert shared.networks.last[1] is not network


def test_another_seed_or_frozen_layers():
    networks = Networks()
    zero, one = (trainer(plain, seed=seed, networks=networks) for seed in (0, 1))
    begun = zero.fit(None, SETTINGS)
    network = networks.last[1]
    other = one.fit(None, SETTINGS)
    assert networks.last[1] is network
    assert not np.array_equal(begun[0], other[0])
    assert_same(other, alone(one, None))
    frozen = zero.fit(begun, SETTINGS, frozen=[0])
    assert networks.last[1] is not network
    np.testing.assert_array_equal(frozen[0], begun[0])
    assert not np.array_equal(frozen[2], begun[2])


class Counting(keras.layers.Layer):
    """Remembers, outside of its variables, how often it was called."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return x


@pytest.mark.parametrize("own", [Counting, lambda: keras.layers.Lambda(lambda x: x)])
def test_what_an_own_layer_remembers_is_forgotten(own):
    shared = trainer(
        lambda: keras.Sequential([keras.Input((10, 10, 1)), own(), keras.layers.Flatten(), keras.layers.Dense(4)])
    )
    shared.fit(None, SETTINGS)
    network = shared.networks.last[1]
    shared.fit(None, SETTINGS)
    assert shared.networks.last[1] is not network
