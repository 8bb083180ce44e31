"""Zeros that hold outside of Keras's own fit: own fit and steps, several optimizers, own loops, models in models."""

import numpy as np
import pytest

from prunefront import InputError, held_masks, hold_masks, magnitude_masks, prune_further
from prunefront.common.runtime import keras, tf
from tests.helpers import X, Y, check, compile_model, fit_and_check, held, layers, optimizers, small

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class OwnFit(keras.Sequential):
    def fit(self, *args, **kwargs):
        return super().fit(*args, **kwargs)


class OneArgument(keras.Sequential):
    def fit(self, data):
        return super().fit(*data, epochs=2, verbose=0)


class Revive(keras.callbacks.Callback):
    """Writes ones where Keras does not see it, at the very end."""

    def on_train_end(self, logs=None):  # noqa: ARG002
        for variable in self.model.weights:
            variable.value.assign(tf.ones_like(variable.value))


def stacked(cls):
    return cls([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(2)])


def test_a_fit_of_ones_own_is_guarded():
    model, masks = held(stacked(OwnFit))
    compile_model(model)
    model.fit(X, Y, verbose=0, callbacks=[Revive()])
    check(model, masks)
    with pytest.raises(InputError, match="NaN or infinity in the loss"):
        model.fit(X, Y, 16, verbose=0, sample_weight=np.full(len(X), np.nan))
    check(model, masks)
    other, masks = held(stacked(OneArgument))
    compile_model(other).fit((X, Y))
    check(other, masks)
    with pytest.raises(InputError, match="NaN or infinity in"):
        other.fit((X * np.nan, Y))


class Adversarial(keras.Model):
    """Two halves, each with an optimizer of its own; the compiled one is not used."""

    def __init__(self, first, second):
        super().__init__()
        self.halves = [layers.Dense(8, activation="relu"), layers.Dense(2)]
        self.own = {"first": first, "second": second}

    def call(self, x):
        return self.halves[1](self.halves[0](x))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(LOSS(y, self(x, training=True)))
        one, two = (half.trainable_variables for half in self.halves)
        gradients = tape.gradient(loss, [*one, *two])
        self.own["first"].apply_gradients(zip(gradients[: len(one)], one, strict=True))
        self.own["second"].apply(gradients[len(one) :], [v.value for v in two])
        return {"generator": loss}


def test_several_optimizers_wherever_they_live():
    first = optimizers.Adam(0.05, global_clipnorm=0.1)
    second = optimizers.SGD(0.05, momentum=0.9, use_ema=True, ema_momentum=0.5)
    model = Adversarial(first, second)
    model(X)
    model.compile("adam")
    model.fit(X, Y, epochs=2, batch_size=16, verbose=0)  # momentum and averages of all weights
    model, masks = held(model)
    fit_and_check(model, masks)
    second.finalize_variable_values([v.value for v in model.halves[1].trainable_variables])
    check(model, masks)
    with pytest.raises(InputError, match=r"stopped at step 8; .*NaN or infinity in .*dense"):
        model.fit(np.concatenate([X[:16], X * np.nan]), np.concatenate([Y[:16], Y]), 16, shuffle=False, verbose=0)
    check(model, masks)
    fit_and_check(model, masks)  # and goes on: no optimizer has kept a NaN


def test_clipping_by_the_global_norm_does_not_count_what_is_pruned():
    """One weight of four is kept: its gradient of 3 alone is clipped to 1, with the others of 4 it would be 0.6."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    hold_masks(model, [np.array([[True], [False]])])
    optimizer = optimizers.SGD(1.0, global_clipnorm=1.0)
    optimizer.apply([tf.constant([[3.0], [4.0]])], model.trainable_variables)
    np.testing.assert_array_equal(model.get_weights()[0], [[0.0], [0.0]])  # 1 - 1, and zero


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("own", ["compiled optimizer", "another", "by hand"])
def test_a_loop_of_ones_own(own, compiled):
    model, masks = held(small())
    compile_model(model, optimizers.AdamW(0.05, weight_decay=0.1, use_ema=True))
    optimizer = model.optimizer if own == "compiled optimizer" else optimizers.Muon(0.05, use_ema=True)

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        if own == "by hand":
            for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
                variable.assign_sub(0.1 * gradient)
        else:
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    step = tf.function(step) if compiled else step
    for _ in range(3):
        step(X, Y)
        check(model, masks)
    if own != "by hand":
        optimizer.finalize_variable_values(model.trainable_variables)
        check(model, masks)


def test_a_held_model_inside_another(tmp_path):
    inner, masks = held(small())
    outer = compile_model(keras.Sequential([keras.Input((6,)), inner, layers.Dense(2)]), optimizers.AdamW(0.05))
    outer.fit(X, Y, epochs=2, verbose=0)
    check(inner, masks)
    outer.save_weights(tmp_path / "outer.weights.h5")
    all_masks = magnitude_masks(outer, 0.8)
    hold_masks(outer, all_masks)
    compile_model(inner).fit(X, Y, verbose=0)  # under the masks of the whole by now
    check(outer, all_masks)
    with pytest.raises(InputError, match="masks that bring back"):
        hold_masks(inner, masks)


def test_what_cannot_be_seen_is_said_when_it_is_saved(tmp_path):
    model, _ = held(small())
    model.weights[0].value.assign(tf.ones((6, 8)))
    for save in (model.save, model.save_weights, model.export):
        name = {"save": "a.keras", "save_weights": "a.weights.h5", "export": "served"}[save.__name__]
        with pytest.warns(UserWarning, match=r"pruned weights of .*kernel are not zero"):
            save(tmp_path / name)


def test_a_clone_is_a_new_model():
    model, _ = held(small())
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert held_masks(clone) is None
    assert not np.array_equal(held_masks(model)[0], np.ones((6, 8)))


def test_weights_from_outside_are_masked_at_once():
    model, masks = held(small())
    model.set_weights([np.ones(w.shape) for w in model.get_weights()])
    check(model, masks)
    with pytest.raises(ValueError, match="shape"):  # Keras's own
        model.weights[0].assign(np.ones(8))


def test_prune_further_reaches_the_moving_averages(tmp_path):
    model = compile_model(small(), optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9))
    hold_masks(model, magnitude_masks(model, 0.5), adjustable=True)
    model.fit(X, Y, verbose=0)
    tighter = magnitude_masks(model, 0.9)

    class Further(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            prune_further(self.model, tighter)

    saved = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    model.fit(X, Y, verbose=0, callbacks=[Further(), keras.callbacks.SwapEMAWeights(swap_on_epoch=True), saved])
    plain = small()
    plain.load_weights(tmp_path / "1.weights.h5")
    check(plain, tighter)


def test_masks_are_copied():
    model, masks = held(small())
    expected = [mask.copy() for mask in masks]
    masks[0][:] = True
    held_masks(model)[0][:] = True
    fit_and_check(compile_model(model), expected)


def test_a_nan_leaves_nothing_behind_in_moving_averages_and_momentum():
    model, masks = held(small())
    compile_model(model, optimizers.SGD(0.05, momentum=0.9, use_ema=True))
    with pytest.raises(InputError, match="NaN or infinity"):
        model.fit(X * np.nan, Y, verbose=0)
    fit_and_check(model, masks)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_step_is_undone_to_what_was_set_last():
    model, _ = held(small())
    compile_model(model)
    model.train_on_batch(X, Y)
    chosen = [np.full(w.shape, 0.5, np.float32) for w in model.get_weights()]
    model.set_weights(chosen)
    chosen = model.get_weights()
    with pytest.raises(InputError, match="NaN or infinity"):
        model.train_on_batch(X * np.nan, Y)
    for weight, expected in zip(model.get_weights(), chosen, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("eager", [False, True])
def test_finite_weights_whose_sum_overflows_are_finite(eager):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, use_bias=False), layers.Dense(2)])
    model.layers[0].trainable = False
    weights = model.get_weights()
    weights[0] = np.full((6, 8), 3e37, np.float32)
    model.set_weights(weights)
    masks = [np.ones(w.shape, bool) for w in weights]
    masks[1][0] = False
    hold_masks(model, masks)
    compile_model(model, optimizers.SGD(0.0), run_eagerly=eager)
    model.fit(X * 1e-37, Y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], weights[0])


class PerExample(keras.Sequential):
    def train_step(self, data):
        logs = super().train_step(data)
        return {"loss": LOSS(data[1], self(data[0])) * tf.ones(tf.shape(data[1])), "other": logs["loss"]}


def test_a_loss_for_each_example():
    model, masks = held(stacked(PerExample))
    compile_model(model)
    model.fit(X, Y, batch_size=48, epochs=2, verbose=0)
    check(model, masks)
    with pytest.raises(InputError, match="NaN or infinity in "):
        model.fit(X * np.nan, Y, batch_size=48, verbose=0)


def add_layer(model):
    model.add(layers.Dense(3))


CHANGES = {
    "lora": lambda model: model.layers[0].enable_lora(2),
    "quantize": lambda model: model.layers[0].quantize("int8"),
    "layer": add_layer,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_was_changed_since(change):
    model, masks = held(small())
    compile_model(model)
    CHANGES[change](model)
    calls = [lambda: model.fit(X, Y, verbose=0), lambda: model.train_on_batch(X, Y)]
    for call in calls:
        with pytest.raises(InputError, match="the 4 weight arrays that hold_masks was given; call it again"):
            call()
    with pytest.raises(InputError, match=r"one mask for each of|prune first, quantize then"):
        hold_masks(model, masks)


def test_held_again_after_a_change():
    model, _ = held(small())
    model.add(layers.Dense(2))
    model, masks = held(model, 0.8)
    fit_and_check(compile_model(model), masks)


BAD = {
    "no masks": lambda model: hold_masks(model, None),
    "a number": lambda model: hold_masks(model, 5),
    "none of four": lambda model: hold_masks(model, [None] * 4),
    "text": lambda model: hold_masks(model, "mask"),
    "ragged": lambda model: hold_masks(model, [[[True], [True, False]]] * 4),
    "text as sparsity": lambda model: magnitude_masks(model, "0.5"),
    "none as sparsity": lambda model: magnitude_masks(model, None),
    "a list as sparsity": lambda model: magnitude_masks(model, [0.5]),
    "true as sparsity": lambda model: magnitude_masks(model, True),
    "no model": lambda model: hold_masks("model", model.get_weights()),
    "no model to ask": lambda model: held_masks(model.get_weights()),
    "none to prune": lambda _: magnitude_masks(None, 0.5),
    "not adjustable": lambda model: prune_further(model, None),
}


@pytest.mark.parametrize("name", BAD)
def test_arguments_of_other_kinds(name):
    model = small()
    with pytest.raises(InputError, match="Received"):
        BAD[name](model)
    assert held_masks(model) is None


def test_a_new_head_learns_its_bias():
    """Read off the weights, only the body is pruned; both factors of LoRA are free as well."""
    from prunefront import implied_masks

    body, masks = held(small())
    model = keras.Sequential([keras.Input((6,)), body, layers.Dense(2)])
    read = implied_masks(model)
    assert [mask.all() for mask in read] == [False, False, False, False, True, True]
    model.layers[1].enable_lora(1)
    assert all(mask.all() for mask in implied_masks(model)[4:])
    hold_masks(model, implied_masks(model))
    before = model.get_weights()
    compile_model(model, optimizers.SGD(0.5)).fit(X, Y, epochs=2, verbose=0)
    names = [v.path.rpartition("/")[2] for v in model.weights]
    moved = {n for n, b, a in zip(names[4:], before[4:], model.get_weights()[4:], strict=True) if (a != b).any()}
    assert moved == {"bias", "lora_kernel_a", "lora_kernel_b"}
    check(body, masks)


def test_layers_that_are_frozen_while_masks_are_read():
    from prunefront import implied_masks

    pruned, masks = held(small())
    model = small()
    model.set_weights(pruned.get_weights())
    model.layers[0].trainable = False
    hold_masks(model, implied_masks(model))
    model.layers[0].trainable = True
    fit_and_check(compile_model(model), masks)


def test_lora_on_a_pruned_kernel_is_said_to_be_dense():
    model = small()
    model.layers[0].enable_lora(2)
    masks = [np.ones(w.shape, bool) for w in model.get_weights()]
    masks[0][0] = False
    with pytest.warns(UserWarning, match=r"dense.* adds LoRA's product to its kernel.* is dense"):
        hold_masks(model, masks)


def test_a_kernel_inside_spectral_normalization():
    wrapped = layers.SpectralNormalization(layers.Dense(8, activation="relu"))
    model = keras.Sequential([keras.Input((6,)), wrapped, layers.Dense(2)])
    model, masks = held(model)
    kernel = next(i for i, w in enumerate(model.get_weights()) if w.shape == (6, 8))
    assert not masks[kernel].all()
    fit_and_check(compile_model(model), masks)
