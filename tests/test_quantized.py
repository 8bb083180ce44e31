"""Quantized models, of which training and pruning would only reach the biases: refused wherever one enters."""

import warnings
from functools import partial

import numpy as np
import pytest

from prunefront import InputError, hold_masks, implied_masks, magnitude_masks
from prunefront.common.params import load_params
from prunefront.common.runtime import keras
from prunefront.models.build import build_model, starting_weights
from prunefront.models.layers import check_not_quantized, describe_weights, no_kernel
from tests.helpers import edited

layers = keras.layers
REASON = r"expected kernels of floats, which can be trained; prune first, quantize then. Received: a quantized layer"


def small():
    return keras.Sequential([keras.Input((4,)), layers.Dense(6, name="first"), layers.Dense(2, name="last")])


def attention():
    x = inputs = keras.Input((3, 4))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.MultiHeadAttention(2, 2, name="heads")(x, x))))


def quantized(mode, make=small):
    model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers without kernels
        model.quantize(mode)
    return model


class Counted(keras.layers.Layer):
    """A layer of one's own whose kernel is of whole numbers, which Keras knows nothing of."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2), dtype="int8", initializer="ones", trainable=False)
        self.bias = self.add_weight(shape=(2,), name="bias")

    def call(self, x):
        return x @ keras.ops.cast(self.kernel, "float32") + self.bias


MODELS = {
    "int8": (partial(quantized, "int8"), r"first \(int8\)"),
    "int4": (partial(quantized, "int4"), r"first \(int4\)"),
    "float8": (partial(quantized, "float8"), r"first \(float8\)"),
    "attention": (partial(quantized, "int8", attention), r"heads/query \(int8\)"),
    "own": (lambda: keras.Sequential([keras.Input((4,)), Counted(name="own")]), r"own \(a kernel of int8\)"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_quantized_model_is_neither_pruned_nor_held_by_hand(name):
    make, layer = MODELS[name]
    model = make()
    kept = [np.ones(w.shape, bool) for w in model.get_weights()]
    for call in (partial(magnitude_masks, model, 0.5), partial(implied_masks, model), partial(hold_masks, model, kept)):
        with pytest.raises(InputError, match=f"the model: {REASON}, {layer}"):
            call()


@pytest.mark.parametrize("mode", ["gptq/4/-1", "awq/4/-1"])
def test_layers_of_modes_that_need_examples_are_known_too(mode):
    layer = layers.Dense(6, name="first", dtype=keras.dtype_policies.get(f"{mode}_from_float32"))
    model = keras.Sequential([keras.Input((4,)), layer])
    with pytest.raises(InputError, match=f"{REASON}, first .{mode.partition('/')[0]}"):
        check_not_quantized(model, "it")


def test_a_quantized_file_is_refused_as_network_and_as_weights(tmp_path):
    for suffix in (".keras", ".weights.h5"):
        model = quantized("int8")
        path = tmp_path / f"a{suffix}"
        model.save(path) if suffix == ".keras" else model.save_weights(path)
    params = load_params(edited(tmp_path, ("model.path", str(tmp_path / "a.keras")))).model
    with pytest.raises(InputError, match=rf"model.path .*a.keras\): {REASON}, first \(int8\)"):
        build_model(params, (4,), 2)
    params = load_params(edited(tmp_path, ("model.weights", str(tmp_path / "a.weights.h5")))).model
    with pytest.raises(InputError, match=r"save the weights before they are quantized. Received: int8$"):
        starting_weights(params, small())


def test_biases_alone_are_not_worth_pruning():
    model = small()
    assert no_kernel(describe_weights(model)) is None
    assert no_kernel(describe_weights(model, exclude=["first"])) is None
    for layer in model.layers:
        layer.kernel.trainable = False
    assert "Received: biases alone; `prunefront inspect`" in no_kernel(describe_weights(model))
    assert "Received: none; `prunefront inspect`" in no_kernel(describe_weights(model, biases=False))
