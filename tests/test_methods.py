"""The methods on a small network and real digits, with real training."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from prunefront import global_masks, load_weights
from prunefront.common.params import load_params
from prunefront.common.runtime import keras, set_up
from prunefront.common.sections import Freeze, Gradual, Retraining, SmallDense, Training
from prunefront.methods.freeze import freeze, layers_to_freeze
from prunefront.methods.gradual import gradual
from prunefront.methods.iterative import iterative
from prunefront.methods.magnitude_rewind import magnitude_rewind
from prunefront.methods.masked import masked
from prunefront.methods.prune import prune
from prunefront.methods.small_dense import small_dense, widen
from prunefront.models.built_in import build_network
from prunefront.models.layers import describe_weights, prunable
from prunefront.models.multiply_adds import multiply_adds
from prunefront.models.weights import save_weights
from prunefront.pruning.masks import apply_masks, count_zeros, nonzero_masks, pruned_count
from prunefront.pruning.saliency import ALLOCATIONS, magnitude
from prunefront.pruning.schedules import cubic_sparsity
from prunefront.sources.read import load
from prunefront.training import trainer as trainer_module
from prunefront.training.held_step import assert_held
from prunefront.training.hold import hold_masks
from prunefront.training.progress import Progress
from prunefront.training.trainer import Split, Trainer, compile_classifier
from tests.helpers import PLAIN, edited

RETRAINING = {"epochs": 2, "batch_size": 64, "learning_rate": 0.002, "recipe": "plain"}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A network trained for a moment on small digits, with what the methods need."""
    set_up("float32", 0)
    size = ("data.image_size", [10, 10]), ("data.channels", 1)
    dataset = load(load_params(edited(tmp_path_factory.mktemp("params"), *size)).data)
    train, validation = (Split(s.x.astype(np.float32) / 255, s.y) for s in (dataset.train, dataset.validation))
    trainer = Trainer(lambda: build_network((10, 10, 1), 10), train, validation, 0, PLAIN, Progress("test", 100))
    model = trainer.make_model()
    dense = trainer.fit(None, Training(**RETRAINING))
    return SimpleNamespace(
        trainer=trainer,
        dense=dense,
        model=model,
        numbers=[weight.number for weight in describe_weights(model)],
        prunable=prunable(model),
        train=train,
    )


def size_of(weights):
    return sum(w.size for w in weights)


@pytest.mark.parametrize("layerwise", [False, True])
def test_pruning_without_retraining_changes_nothing_but_zeros(digits, layerwise):
    for level, weights in prune(digits.dense, [0, 0.4, 0.9], magnitude, digits.prunable, layerwise):
        if not layerwise:  # at 0 there are the zeros that training left
            assert count_zeros(weights) == max(pruned_count(level, size_of(weights)), count_zeros(digits.dense))
        for before, after in zip(digits.dense, weights, strict=True):
            np.testing.assert_array_equal(after[after != 0], before[after != 0])


def test_freeze_holds_the_count_and_the_frozen_layers(digits, monkeypatch):
    training = Freeze(levels=(0.5, 0.8, 0.97), frozen_share=0.9, allocation="global", **RETRAINING)
    start = apply_masks(digits.dense, global_masks(digits.dense, 0.5))
    fits = []
    plain = Trainer.fit

    def spy(self, begun, training, *, frozen, **kwargs):
        result = plain(self, begun, training, frozen=frozen, **kwargs)
        fits.append((begun, result, frozen))
        return result

    monkeypatch.setattr(Trainer, "fit", spy)
    points = list(freeze(lambda _: (0.5, start), digits.trainer, training, magnitude, digits.prunable, digits.numbers))
    assert [level for level, _ in points] == [0.5, 0.8, 0.97]
    for (level, weights), (begun, result, frozen) in zip(points, fits, strict=True):
        assert count_zeros(weights) == pruned_count(level, size_of(weights))
        assert 0 < len(frozen) < 6
        changed = [not np.array_equal(b, r) for b, r in zip(begun, result, strict=True)]
        assert changed == [owner not in frozen for owner in digits.numbers]
        for owner, before, after in zip(digits.numbers, begun, result, strict=True):
            if owner in frozen:
                assert before.tobytes() == after.tobytes()


def test_freeze_from_sparser_weights_keeps_their_count(digits):
    start = apply_masks(digits.dense, global_masks(digits.dense, 0.9))
    training = Freeze(levels=(0, 0.5, 0.95), frozen_share=0.9, allocation="global", **RETRAINING)
    points = freeze(lambda _: (0.9, start), digits.trainer, training, magnitude, digits.prunable, digits.numbers)
    counts = [count_zeros(w) for _, w in points]
    size = size_of(digits.dense)
    assert counts == [pruned_count(0.9, size), pruned_count(0.9, size), pruned_count(0.95, size)]


def test_layers_to_freeze_by_zero_count():
    masks = [np.array([False] * count + [True] * (10 - count)) for count in (2, 9, 6, 0)]
    everywhere = [10] * 4
    assert layers_to_freeze(masks, 0.5, [0, 1, 2, 3], everywhere) == {
        1,
        2,
    }  # 9 of 17 reach the share, 10 cannot hold 17
    assert layers_to_freeze(masks, 0.9, [0, 1, 2, 3], everywhere) == {0, 1, 2}
    assert layers_to_freeze(masks, 0.1, [0, 0, 1, 1], everywhere) == {0}
    assert layers_to_freeze([np.ones(3, bool)], 0.9, [0], [3]) == frozenset()


def test_masked_keeps_exactly_its_zeros(digits, tmp_path):
    stored = {0.5: apply_masks(digits.dense, global_masks(digits.dense, 0.5))}
    training = Retraining(levels=(0.5, 0.9), allocation="global", **RETRAINING)
    points = list(masked(lambda _: (0.5, stored[0.5]), digits.trainer, training, magnitude, digits.prunable))
    for level, weights in points:
        assert count_zeros(weights) == pruned_count(level, size_of(weights))
        expected = nonzero_masks(apply_masks(stored[0.5], global_masks(stored[0.5], level)), digits.prunable)
        for weight, mask in zip(weights, expected, strict=True):
            np.testing.assert_array_equal(weight != 0, mask)
        digits.model.set_weights(weights)
        save_weights(tmp_path / "a.weights.h5", digits.model)
        assert count_zeros(load_weights(tmp_path / "a.weights.h5")) == pruned_count(level, size_of(weights))


@pytest.mark.parametrize("optimizer", [keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.05, momentum=0.9)])
def test_zeros_hold_although_the_optimizer_brings_momentum(digits, optimizer):
    model = digits.trainer.make_model()
    model.set_weights(digits.dense)
    compile_classifier(model, optimizer)
    model.fit(digits.train.x[:256], digits.train.y[:256], verbose=0)  # fills the momentum of every weight
    masks = global_masks(model.get_weights(), 0.9)
    hold_masks(model, masks)
    model.fit(digits.train.x[:256], digits.train.y[:256], epochs=2, verbose=0)
    assert_held(model.get_weights(), masks, [v.path for v in model.weights])
    assert count_zeros(model.get_weights()) == pruned_count(0.9, size_of(digits.dense))
    revived = model.get_weights()
    revived[8][~masks[8]] = np.eye(1, int((~masks[8]).sum()))[0]
    with pytest.raises(AssertionError, match=r"1 pruned weights of .*dense1/kernel are not zero"):
        assert_held(revived, masks, [v.path for v in model.weights])


def test_fit_keeps_the_best_epoch(digits, monkeypatch):
    """The first of equals. The accuracies are given: what training makes of them differs between processors."""
    accuracies, epochs = [0.3, 0.7, 0.7, 0.5], []

    class Given(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["val_accuracy"] = accuracies[epoch]
            epochs.append(self.model.get_weights())

    plain = keras.Model.fit

    def fit(self, *args, callbacks, **kwargs):
        return plain(self, *args, callbacks=[Given(), *callbacks], **kwargs)

    monkeypatch.setattr(keras.Model, "fit", fit)
    weights = digits.trainer.fit(digits.dense, Training(epochs=4, batch_size=64, learning_rate=0.003, recipe="plain"))
    same = [all(np.array_equal(a, b) for a, b in zip(weights, ended, strict=True)) for ended in epochs]
    assert same == [False, True, False, False]


def test_the_weights_of_an_early_epoch_are_kept_beside_the_best(digits):
    settings = Training(epochs=2, batch_size=64, learning_rate=0.002, recipe="plain")
    best, early = digits.trainer.fit_keeping(None, settings, 1)
    first, whole = (digits.trainer.fit(None, settings.model_copy(update={"epochs": n})) for n in (1, 2))
    for kept, expected in (*zip(early, first, strict=True), *zip(best, whole, strict=True)):
        assert kept.tobytes() == expected.tobytes()


def test_fits_do_not_depend_on_earlier_ones(digits):
    training = Training(epochs=1, batch_size=64, learning_rate=0.001, recipe="plain")
    first, again = (digits.trainer.fit(digits.dense, training) for _ in range(2))
    assert all(one.tobytes() == other.tobytes() for one, other in zip(first, again, strict=True))


def test_divergence_is_one_clear_line(digits):
    from prunefront import InputError

    training = Training(epochs=1, batch_size=64, learning_rate=0.001, recipe="plain")
    too_large = [1e20 * w for w in digits.dense]  # six layers of them overflow in any arithmetic
    with pytest.raises(InputError, match=r"training diverged; .* lower the learning rate"):
        digits.trainer.fit(too_large, training)


def test_iterative_walks_upwards_and_holds_its_zeros(digits):
    training = Retraining(levels=(0.5, 0.9, 0.99), allocation="lamp", **RETRAINING)
    trainer = replace(digits.trainer, recipe=PLAIN.model_copy(update={"schedule": "cosine"}))
    before = digits.dense
    for level, weights in iterative(digits.dense, trainer, training, ALLOCATIONS["lamp"], digits.prunable):
        assert count_zeros(weights) == pruned_count(level, size_of(weights))
        expected = global_masks(before, level, score=ALLOCATIONS["lamp"])
        assert all(np.array_equal(w != 0, mask) for w, mask in zip(weights, expected, strict=True))
        before = weights
    assert level == 0.99


def test_magnitude_rewind_prunes_the_dense_weights_and_starts_from_the_early_ones(digits, monkeypatch):
    settings = Retraining(levels=(0.5, 0.9), allocation="global", **RETRAINING)
    early = [w + 1 for w in digits.dense]  # no zero among them
    begun = []
    plain = Trainer.fit

    def spy(self, start, *args, **kwargs):
        begun.append(start)
        return plain(self, start, *args, **kwargs)

    monkeypatch.setattr(Trainer, "fit", spy)
    points = list(magnitude_rewind(digits.dense, digits.trainer, settings, magnitude, digits.prunable, early))
    assert [level for level, _ in points] == [0.5, 0.9]
    for (level, weights), start in zip(points, begun, strict=True):
        masks = global_masks(digits.dense, level)  # from the dense weights at each level
        for first, last, mask, kept in zip(start, weights, masks, early, strict=True):
            np.testing.assert_array_equal(first, np.where(mask, kept, 0))
            assert not last[~mask].any()
        assert count_zeros(weights) == pruned_count(level, size_of(weights))


def test_gradual_follows_the_cubic_curve_and_retrains_at_the_level(digits, monkeypatch):
    training = Gradual(
        levels=(0.5, 0.9), allocation="uniform", ramp_epochs=1, ramp_steps=5, **{**RETRAINING, "epochs": 3}
    )
    counts = []
    plain = trainer_module.prune_further

    def spy(model, masks, **kwargs):
        plain(model, masks, **kwargs)
        counts.append(count_zeros(model.get_weights()))

    monkeypatch.setattr(trainer_module, "prune_further", spy)
    score = ALLOCATIONS["uniform"]
    points = list(gradual(digits.dense, digits.trainer, training, score, digits.prunable))
    size = size_of(digits.dense)
    assert [count_zeros(w) for _, w in points] == [pruned_count(0.5, size), pruned_count(0.9, size)]
    steps = digits.trainer.steps(training, 1)
    assert steps == 17  # 1,079 images in batches of 64
    begun = count_zeros(digits.dense) / size
    for step, count in zip((0, 5, 10, 15, 17), counts[1:6], strict=True):
        assert count == pytest.approx(pruned_count(cubic_sparsity(step, steps, begun, 0.5), size), abs=12)
    assert len(counts) == 12  # the masks that a level starts with, and five more


def test_levels_may_have_epochs_and_learning_rates_of_their_own(digits):
    many = {"levels": (0.5, 0.9), "allocation": "lamp", **RETRAINING}
    settings = Retraining(level_epochs=(1, 2), level_learning_rates=(0.001, 0.005), **many)
    each = [settings.at(level) for level in settings.levels]
    assert [(one.epochs, one.learning_rate) for one in each] == [(1, 0.001), (2, 0.005)]
    assert Retraining(**many).at(0.9) == Retraining(**many)
    before = digits.trainer.cost.epochs
    first, _ = iterative(digits.dense, digits.trainer, settings, magnitude, digits.prunable)
    assert digits.trainer.cost.epochs == before + 3
    alone = digits.trainer.fit(digits.dense, each[0], masks=nonzero_masks(first[1], digits.prunable))
    assert all(np.array_equal(a, b) for a, b in zip(first[1], alone, strict=True))


def test_levels_may_have_factors_on_dropout_of_their_own(digits):
    one = {"levels": (0.5, 0.9), "allocation": "lamp", **RETRAINING, "epochs": 1}
    settings = Retraining(**one, level_dropouts=(0, 0.5))
    assert [settings.at(level).dropout for level in settings.levels] == [0, 0.5]
    assert (settings.dropout, Retraining(**one).at(0.9).dropout) == (None, None)
    first, second = iterative(digits.dense, digits.trainer, settings, magnitude, digits.prunable)
    for factor, start, (_, weights) in ((0, digits.dense, first), (0.5, first[1], second)):
        trainer = replace(digits.trainer, recipe=digits.trainer.recipe.model_copy(update={"dropout": factor}))
        alone = trainer.fit(start, Retraining(**one).at(0.9), masks=nonzero_masks(weights, digits.prunable))
        assert all(np.array_equal(a, b) for a, b in zip(weights, alone, strict=True))


def test_a_narrow_network_s_weights_give_the_same_outputs_in_the_full_one(digits):
    narrow = build_network((10, 10, 1), 10, 0.3)
    weights = [np.random.default_rng(0).normal(size=w.shape).astype(np.float32) for w in narrow.get_weights()]
    narrow.set_weights(weights)
    full = digits.trainer.make_model()
    wide = widen(weights, [w.shape for w in full.get_weights()])
    full.set_weights(wide)
    x = digits.train.x[:8]
    expected = narrow.predict(x, verbose=0)
    np.testing.assert_allclose(full.predict(x, verbose=0), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert size_of(wide) - count_zeros(wide) == narrow.count_params()
    assert multiply_adds(full, wide, x[:1]) == multiply_adds(narrow, weights, x[:1])


def test_small_dense_has_no_more_parameters_than_the_sparse_network(digits):
    training = SmallDense(levels=(0.5, 0.97), **{**RETRAINING, "epochs": 1})
    shapes = [w.shape for w in digits.dense]
    make = partial(build_network, (10, 10, 1), 10)
    for level, weights in small_dense(make, shapes, digits.trainer, training, digits.prunable):
        limit = size_of(weights) - pruned_count(level, size_of(weights))
        assert 0.9 * limit <= size_of(weights) - count_zeros(weights) <= limit


def test_multiply_adds_of_the_report_s_network():
    model = build_network((25, 25, 3), 5)
    ones = [np.ones(w.shape) for w in model.get_weights()]
    by_hand = 25**2 * 9 * 3 * 32 + 23**2 * 9 * 32**2 + 11**2 * 9 * 32 * 64 + 9**2 * 9 * 64**2 + 1024 * 512 + 512 * 5
    assert multiply_adds(model, ones, np.zeros((1, 25, 25, 3), np.float32)) == by_hand
