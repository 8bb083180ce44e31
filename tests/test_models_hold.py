"""Pruned weights stay exactly zero in every kind of model."""

import numpy as np
import pytest

from prunefront import layerwise_masks
from prunefront.common.runtime import keras, tf
from prunefront.models.layers import prunable
from tests.helpers import RNG, Subclassed, X, compile_model, fit_and_check, held, layers, nested, optimizers


class OwnStep(Subclassed):
    """A user's own training step."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for metric in self.metrics:
            metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics} | {"my_loss": loss}


class Tied(keras.Model):
    """An embedding that is its own output layer: the gradient of its table is partly sparse."""

    def __init__(self):
        super().__init__()
        self.table = layers.Embedding(12, 4)

    def build(self, shape):
        self.table.build(shape)
        super().build(shape)

    def call(self, x):
        return keras.ops.matmul(keras.ops.mean(self.table(x), axis=1), keras.ops.transpose(self.table.embeddings))


def sequence(*stack):
    return keras.Sequential([keras.Input((5,), dtype="int32"), layers.Embedding(12, 4), *stack, layers.Dense(2)])


def attention():
    token = keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(12, 4)(token)
    attended = layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(embedded, embedded))
    return keras.Model(token, layers.Dense(2)(layers.GlobalAveragePooling1D()(attended)))


def images():
    stack = [layers.Reshape((6, 1, 1)), layers.SeparableConv2D(4, (3, 1)), layers.DepthwiseConv2D((2, 1))]
    return keras.Sequential([keras.Input((6,)), *stack, layers.Flatten(), layers.Dense(2)])


def built(model):
    model(X)
    return model


TOKENS = RNG.integers(0, 12, (48, 5)).astype(np.int32)
MODELS = {
    "nested, shared, batch normalization": (nested, X),
    "subclassed": (lambda: built(Subclassed()), X),
    "own train step": (lambda: built(OwnStep()), X),
    "separable and depthwise": (images, X),
    "embedding": (lambda: sequence(layers.Flatten()), TOKENS),
    "lstm": (lambda: sequence(layers.LSTM(4)), TOKENS),
    "bidirectional gru": (lambda: sequence(layers.Bidirectional(layers.GRU(3))), TOKENS),
    "attention": (attention, TOKENS),
}


@pytest.mark.parametrize("name", MODELS)
def test_kinds_of_models(name):
    make, x = MODELS[name]
    model, masks = held(make(), 0.5, layerwise_masks)
    fit_and_check(compile_model(model, optimizers.Adam(0.05)), masks, x=x)


def test_tied_weights():
    model = Tied()
    model.build((None, 5))
    model, masks = held(model)
    fit_and_check(compile_model(model, optimizers.SGD(0.05, momentum=0.9)), masks, x=TOKENS, y=TOKENS[:, 0])


def test_normalization_is_not_pruned():
    model, masks = held(nested(), 0.9)
    for variable, mask, allowed in zip(model.weights, masks, prunable(model), strict=True):
        assert allowed != ("normalization" in variable.path)
        assert allowed or mask.all()
