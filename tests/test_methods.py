"""The methods on a small network and real digits, with real training."""

from types import SimpleNamespace

import numpy as np
import pytest

from prunefront import global_masks, layerwise_masks, load_weights
from prunefront.masked_training import assert_held, hold_masks
from prunefront.masks import apply_masks, count_zeros, nonzero_masks, pruned_count
from prunefront.methods.freeze import freeze, layers_to_freeze
from prunefront.methods.masked import masked
from prunefront.methods.prune import prune
from prunefront.network import build_network, owners, prunable
from prunefront.params import Freeze, Masked, Training, load_params
from prunefront.progress import Progress
from prunefront.runtime import keras, set_up
from prunefront.sources import load
from prunefront.training import Split, Trainer, compile_classifier, evaluate
from prunefront.weights import save_weights
from tests.test_params import edited

RECIPE = {"epochs": 2, "batch_size": 64, "learning_rate": 0.002}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A network trained for a moment on small digits, with what the methods need."""
    set_up("float32", 0)
    size = ("data.image_size", [10, 10]), ("data.channels", 1)
    dataset = load(load_params(edited(tmp_path_factory.mktemp("params"), *size)).data)
    train, validation = (Split(s.x.astype(np.float32) / 255, s.y) for s in (dataset.train, dataset.validation))
    trainer = Trainer(lambda: build_network((10, 10, 1), 10), train, validation, 0, Progress("test", 100))
    model = trainer.make_model()
    dense = trainer.fit(None, Training(**RECIPE))
    return SimpleNamespace(
        trainer=trainer, dense=dense, model=model, owners=owners(model), prunable=prunable(model), train=train
    )


def size_of(weights):
    return sum(w.size for w in weights)


@pytest.mark.parametrize("make_masks", [global_masks, layerwise_masks])
def test_pruning_without_retraining_changes_nothing_but_zeros(digits, make_masks):
    for level, weights in prune(digits.dense, [0, 0.4, 0.9], make_masks, digits.prunable):
        if make_masks is global_masks:  # at 0 there are the zeros that training left
            assert count_zeros(weights) == max(pruned_count(level, size_of(weights)), count_zeros(digits.dense))
        for before, after in zip(digits.dense, weights, strict=True):
            np.testing.assert_array_equal(after[after != 0], before[after != 0])


def test_freeze_holds_the_count_and_the_frozen_layers(digits, monkeypatch):
    recipe = Freeze(levels=(0.5, 0.8, 0.97), frozen_share=0.9, **RECIPE)
    start = apply_masks(digits.dense, global_masks(digits.dense, 0.5))
    fits = []
    plain = Trainer.fit

    def spy(self, begun, recipe, *, frozen, **kwargs):
        result = plain(self, begun, recipe, frozen=frozen, **kwargs)
        fits.append((begun, result, frozen))
        return result

    monkeypatch.setattr(Trainer, "fit", spy)
    points = list(freeze(start, digits.trainer, recipe, digits.owners, digits.prunable))
    assert [level for level, _ in points] == [0.5, 0.8, 0.97]
    for (level, weights), (begun, result, frozen) in zip(points, fits, strict=True):
        assert count_zeros(weights) == pruned_count(level, size_of(weights))
        assert 0 < len(frozen) < 6
        changed = [not np.array_equal(b, r) for b, r in zip(begun, result, strict=True)]
        assert changed == [owner not in frozen for owner in digits.owners]
        for owner, before, after in zip(digits.owners, begun, result, strict=True):
            if owner in frozen:
                assert before.tobytes() == after.tobytes()


def test_freeze_from_sparser_weights_keeps_their_count(digits):
    start = apply_masks(digits.dense, global_masks(digits.dense, 0.9))
    recipe = Freeze(levels=(0, 0.5, 0.95), frozen_share=0.9, **RECIPE)
    counts = [count_zeros(w) for _, w in freeze(start, digits.trainer, recipe, digits.owners, digits.prunable)]
    size = size_of(digits.dense)
    assert counts == [pruned_count(0.9, size), pruned_count(0.9, size), pruned_count(0.95, size)]


def test_layers_to_freeze_by_zero_count():
    masks = [np.array([False] * count + [True] * (10 - count)) for count in (2, 9, 6, 0)]
    everywhere = [True] * 4
    assert layers_to_freeze(masks, 0.5, [0, 1, 2, 3], everywhere) == {
        1,
        2,
    }  # 9 of 17 reach the share, 10 cannot hold 17
    assert layers_to_freeze(masks, 0.9, [0, 1, 2, 3], everywhere) == {0, 1, 2}
    assert layers_to_freeze(masks, 0.1, [0, 0, 1, 1], everywhere) == {0}
    assert layers_to_freeze([np.ones(3, bool)], 0.9, [0], [True]) == frozenset()


def test_masked_keeps_exactly_its_zeros(digits, tmp_path):
    stored = {0.5: apply_masks(digits.dense, global_masks(digits.dense, 0.5))}
    recipe = Masked(levels=(0.5, 0.9), **RECIPE)
    points = list(masked(lambda _: (0.5, stored[0.5]), digits.trainer, recipe, digits.prunable))
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


def test_fit_keeps_the_best_epoch(digits):
    model = digits.trainer.make_model()
    compile_classifier(model)
    best = []

    class Spy(Progress):
        def advance(self, text):
            best.append(float(text.rsplit(" ", 1)[1]))

    trainer = Trainer(digits.trainer.make_model, digits.train, digits.trainer.validation, 0, Spy("test", 8))
    # so small a batch that accuracy goes up and down
    model.set_weights(trainer.fit(digits.dense, Training(epochs=8, batch_size=8, learning_rate=0.003)))
    accuracy, _ = evaluate(model, digits.trainer.validation)
    assert accuracy == pytest.approx(max(best), abs=1e-4)
    assert best[-1] < max(best)


def test_fits_do_not_depend_on_earlier_ones(digits):
    recipe = Training(epochs=1, batch_size=64, learning_rate=0.001)
    first, again = (digits.trainer.fit(digits.dense, recipe) for _ in range(2))
    assert all(one.tobytes() == other.tobytes() for one, other in zip(first, again, strict=True))


def test_divergence_is_one_clear_line(digits):
    from prunefront import InputError

    recipe = Training(epochs=3, batch_size=64, learning_rate=1e30)
    with pytest.raises(InputError, match=r"training diverged; .* lower the learning rate"):
        digits.trainer.fit(digits.dense, recipe)
