"""The attributes of Keras that no documentation promises and that we read all the same: a new Keras fails here."""

import numpy as np

from prunefront.common.runtime import keras
from prunefront.models.layers import layers_of
from prunefront.models.outputs import last_activation
from prunefront.tools.inspection import _own_weights
from prunefront.training.held_variables import moving_averages

layers = keras.layers


def functional():
    inputs = keras.Input((4,))
    x = layers.Dense(3, name="hidden")(inputs)
    return keras.Model(inputs, layers.Reshape((2,))(layers.Softmax()(layers.Dense(2)(x))))


def test_the_layers_in_a_layer():
    model = functional()
    assert model._layers == model.layers
    outer = keras.Sequential([keras.Input((4,)), model, layers.Dense(2, name="last")])
    inside = [f"{model.name}/{layer.name}" for layer in model.layers]
    assert [path for path, _ in layers_of(outer)][2:] == [model.name, *inside, "last"]


def test_the_operations_that_an_output_went_through():
    model = functional()
    history = model.outputs[0]._keras_history
    assert isinstance(history.operation, layers.Reshape)
    (parent,) = history.operation._inbound_nodes[history.node_index].parent_nodes
    assert isinstance(parent.operation, layers.Softmax)
    assert last_activation(model) == "softmax"


def test_the_operations_of_a_functional_model_are_called_in_order():
    inner, data = functional(), keras.Input((4,))
    model = keras.Model(data, inner(data))
    called = []

    def call(operation, *args, **kwargs):
        called.append((operation.name, args))
        assert all(value is None for value in kwargs.values())
        return len(called)

    assert model._run_through_graph(0, call_fn=call) == 1
    assert called == [(inner.name, (0,))]
    called.clear()
    assert inner._run_through_graph(0, call_fn=call) == 4
    assert [args for _, args in called] == [(0,), (1,), (2,), (3,)]
    assert called[0][0] == "hidden"


def test_the_weights_that_a_layer_made_itself():
    normalization = layers.BatchNormalization()
    normalization.build((None, 2))
    assert [v.name for v in normalization._trainable_variables] == ["gamma", "beta"]
    assert {v.name for v in normalization._non_trainable_variables} == {"moving_mean", "moving_variance"}
    assert len(_own_weights(normalization)) == 4


def test_the_variables_and_moving_averages_of_an_optimizer():
    model = functional()
    model.compile(keras.optimizers.Adam(use_ema=True), "mse")
    model.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    assert [id(v) for v in model.optimizer._trainable_variables] == [id(v) for v in model.trainable_variables]
    averages = model.optimizer._model_variables_moving_average
    assert [a.shape for a in averages] == [v.shape for v in model.trainable_variables]
    assert len(list(moving_averages(model.optimizer))) == 4


def test_the_optimizers_in_an_optimizer():
    scaling = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(use_ema=True))
    assert isinstance(scaling.inner_optimizer, keras.optimizers.Adam)
    sgd, adam, model = keras.optimizers.SGD(), keras.optimizers.Adam(), functional()
    several = keras.optimizers.MultiOptimizer(lambda variable: sgd if "hidden" in variable.path else adam)
    several.build(model.trainable_variables)
    assert several._inner_optimizers == [sgd, adam]
