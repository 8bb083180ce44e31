import numpy as np
import pytest

from prunefront import InputError, load_weights, sparsity
from prunefront.common.runtime import keras
from prunefront.models.built_in import build_network
from prunefront.models.counts import count
from prunefront.models.layers import describe_weights, freeze_layers, prunable
from prunefront.models.weights import check_shapes


def test_the_report_s_network():
    model = build_network((25, 25, 3), 5)
    assert model.count_params() == 592_933
    assert [tuple(w.shape) for w in model.weights] == [
        (3, 3, 3, 32),
        (32,),
        (3, 3, 32, 32),
        (32,),
        (3, 3, 32, 64),
        (64,),
        (3, 3, 64, 64),
        (64,),
        (1024, 512),
        (512,),
        (512, 5),
        (5,),
    ]
    assert model.get_layer("conv3").kernel_regularizer.l2 == pytest.approx(1e-5)


@pytest.mark.parametrize("shape", [(10, 10, 1), (10, 31, 3), (32, 32, 3)])
def test_any_input_large_enough_works(shape):
    assert build_network(shape, 3)(np.zeros((2, *shape), np.float32)).shape == (2, 3)


@pytest.mark.parametrize("shape", [(9, 10, 1), (32, 9, 3)])
def test_too_small_an_input_is_refused(shape):
    with pytest.raises(InputError, match=r"at least 10x10 pixels.*Received: "):
        build_network(shape, 3)


def test_other_shapes_and_too_few_classes_are_refused():
    with pytest.raises(InputError, match=r"height, width, channels.*\(64,\)"):
        build_network((64,), 3)
    with pytest.raises(InputError, match="at least 2 classes"):
        build_network((25, 25, 3), 1)


def test_prunable_leaves_out_normalization_and_optionally_biases():
    layers = keras.layers
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)])
    assert prunable(model) == [True, True, False, False, False, False, True, True]
    assert prunable(model, biases=False) == [True, False, False, False, False, False, True, False]
    ledger = count(describe_weights(model), model.get_weights())
    assert (ledger.kernel_zeros, ledger.kernel_parameters) == (0, 12 + 6)
    assert (ledger.prunable_zeros, ledger.prunable_parameters) == (3 + 2, 12 + 3 + 6 + 2)  # biases are 0 at first
    assert (ledger.trainable_zeros, ledger.trainable_parameters) == (3 + 3 + 2, 12 + 3 + 3 + 3 + 6 + 2)  # and beta
    assert (ledger.all_zeros, ledger.all_parameters) == (3 + 3 + 2 + 3, 29 + 6)  # and the moving mean


def test_owners_and_freezing_by_number():
    model = build_network((10, 10, 1), 2)
    assert [weight.number for weight in describe_weights(model)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    freeze_layers(model, {0, 4})
    trained = [v.path.split("/")[1] for v in model.trainable_weights]
    assert sorted(set(trained)) == ["conv2", "conv3", "conv4", "dense2"]


def test_the_report_s_weights_load_bit_for_bit(dense_file, pruned_file):
    import h5py

    model = build_network((25, 25, 3), 5)
    for path, share in ((dense_file, 0), (pruned_file, 575_145 / 592_933)):
        weights = load_weights(path)
        check_shapes(weights, model, str(path))
        model.set_weights(weights)
        assert sparsity(model.get_weights()) == share
        with h5py.File(path) as file:
            first = file.attrs["layer_names"][0]
            kernel = file[first][file[first].attrs["weight_names"][0]][()]
        assert model.get_weights()[0].tobytes() == kernel.tobytes()


def test_patterns_name_layers_by_path_or_name():
    layers = keras.layers
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(4, name="b")], name="block")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="head")(inner(inputs)))

    def kernels(**patterns):
        return prunable(model, biases=False, **patterns)[::2]

    layers = [weight.layer for weight in describe_weights(model)]
    assert layers == ["block/a", "block/a", "block/b", "block/b", "head", "head"]
    assert kernels(include=["block"]) == [True, True, False]
    assert kernels(exclude=["block/b"]) == [True, False, True]
    assert kernels(include=["a", "he*"]) == [True, False, True]
    assert kernels(include=["block/*"], exclude=["?"]) == [False, False, False]
    with pytest.raises(InputError, match=r"did you mean block/a\? Received: 'blok/a', which no layer has"):
        kernels(exclude=["blok/a"])


def test_kernels_embeddings_and_biases_are_prunable_other_weights_are_not():
    layers = keras.layers

    class Own(layers.Layer):
        def build(self, shape):
            self.matrix = self.add_weight(shape=(shape[-1], 2), name="matrix")
            self.scale = self.add_weight(shape=(2,), name="scale")

        def call(self, x):
            return x @ self.matrix * self.scale

    model = keras.Sequential(
        [keras.Input((3,)), layers.Embedding(5, 4), layers.GRU(2), layers.PReLU(), layers.LayerNormalization(), Own()]
    )
    names = [v.path.rpartition("/")[2] for v in model.weights]
    assert [n for n, p in zip(names, prunable(model), strict=True) if p] == [
        "embeddings", "kernel", "recurrent_kernel", "bias", "matrix"
    ]  # fmt: skip
    assert [n for n, p in zip(names, prunable(model, biases=False), strict=True) if p] == [
        "embeddings", "kernel", "recurrent_kernel", "matrix"
    ]  # fmt: skip


def test_freezing_leaves_what_the_user_froze():
    model = build_network((10, 10, 1), 2)
    model.get_layer("conv1").trainable = False
    freeze_layers(model, {1})
    trained = [v.path.split("/")[1] for v in model.trainable_weights]
    assert sorted(set(trained)) == ["conv3", "conv4", "dense1", "dense2"]
