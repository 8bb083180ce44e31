"""What outputs mean: found, never guessed."""

import numpy as np
import pytest

from prunefront import InputError
from prunefront.common.runtime import keras
from prunefront.models.outputs import Outputs, find_outputs, last_activation

layers, ops = keras.layers, keras.ops
X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


def functional(outputs_of):
    inputs = keras.Input((5,))
    return keras.Model(inputs, outputs_of(inputs))


def dense(units, activation=None):
    return layers.Dense(units, activation=activation)


@pytest.mark.parametrize(
    ("outputs_of", "activation"),
    [
        (lambda x: dense(3)(x), "linear"),
        (lambda x: dense(3, "softmax")(x), "softmax"),
        (lambda x: layers.Softmax()(dense(3)(x)), "softmax"),
        (lambda x: layers.Activation("softmax", dtype="float32")(dense(3)(x)), "softmax"),
        (lambda x: layers.Activation("linear", dtype="float32")(dense(3, "softmax")(x)), "softmax"),
        (lambda x: ops.softmax(dense(3)(x)), "softmax"),
        (lambda x: ops.cast(dense(3, "softmax")(x), "float32"), "softmax"),
        (lambda x: layers.Reshape((3,))(layers.Dropout(0.1)(dense(3, "softmax")(x))), "softmax"),
        (lambda x: functional(lambda y: dense(3, "softmax")(y))(x), "softmax"),
        (lambda x: dense(1, "sigmoid")(x), "sigmoid"),
        (lambda x: dense(3, "relu")(x), "relu"),
        (lambda x: dense(3)(x) + dense(3)(x), "add"),
    ],
)
def test_the_last_activation_is_found(outputs_of, activation):
    assert last_activation(functional(outputs_of)) == activation


class Subclassed(keras.Model):
    def __init__(self, units, activation=None):
        super().__init__()
        self.dense = dense(units, activation)

    def call(self, x):
        return self.dense(x)


class OwnSoftmax(layers.Layer):
    """Its activation attribute says nothing of what its call does."""

    activation = staticmethod(keras.activations.linear)

    def call(self, x):
        return ops.softmax(x)


def test_heads_of_all_kinds():
    assert find_outputs(functional(dense(3)), 3, X) == Outputs(binary=False, logits=True)
    assert find_outputs(functional(dense(3, "softmax")), 3, X) == Outputs(binary=False, logits=False)
    assert find_outputs(functional(dense(1, "sigmoid")), 2, X) == Outputs(binary=True, logits=False)
    assert find_outputs(functional(dense(1)), 2, X) == Outputs(binary=True, logits=True)
    assert find_outputs(functional(dense(2)), 2, X) == Outputs(binary=False, logits=True)
    assert find_outputs(Subclassed(3), 3, X, "logits") == Outputs(binary=False, logits=True)
    for said in ("auto", "probabilities"):
        assert find_outputs(functional(dense(3, "sigmoid")), 3, X, said) == Outputs(logits=False, separate=True)
    assert find_outputs(Subclassed(3, "sigmoid"), 3, X, "probabilities") == Outputs(logits=False, separate=True)
    own = functional(lambda x: OwnSoftmax()(dense(3)(x)))
    assert find_outputs(own, 3, X, "probabilities") == Outputs(binary=False, logits=False)
    assert find_outputs(Subclassed(3, "softmax"), 3, X, "probabilities") == Outputs(binary=False, logits=False)


@pytest.mark.filterwarnings("ignore:Exception encountered", "ignore:You are using a softmax over axis -1")
@pytest.mark.parametrize(
    ("model", "classes", "outputs", "message"),
    [
        (lambda: functional(lambda x: OwnSoftmax()(dense(3)(x))), 3, "auto", r"Received: outputs whose activation"),
        (lambda: functional(dense(1, "softmax")), 2, "auto", r"softmax over one output, which is always 1"),
        (
            lambda: Subclassed(3),
            3,
            "auto",
            r"model.outputs: logits or probabilities. Received: outputs whose activation",
        ),
        (lambda: functional(dense(3, "relu")), 3, "auto", r"model.outputs: .*Received: relu"),
        (lambda: functional(dense(3, "relu")), 3, "probabilities", r"probabilities in \[0, 1\] that add up to 1"),
        (lambda: functional(dense(3, "sigmoid")), 3, "logits", r"expected probabilities, the model ends in sigmoid"),
        (lambda: functional(dense(4)), 3, "auto", r"an output for each of 3 classes. Received: 4"),
        (lambda: functional(dense(1)), 3, "auto", r"an output for each of 3 classes. Received: 1"),
        (lambda: functional(dense(3)), 2, "auto", r"each of 2 classes or a single one. Received: 3"),
        (lambda: functional(dense(3, "softmax")), 3, "logits", r"expected probabilities, the model ends in softmax"),
        (lambda: functional(dense(3)), 3, "probabilities", r"expected logits, the model ends in linear"),
        (lambda: Subclassed(3), 3, "probabilities", r"probabilities in \[0, 1\] that add up to 1"),
        (
            lambda: functional(lambda x: [dense(3)(x), dense(3)(x)]),
            3,
            "auto",
            r"one output, a tensor. Received: 2 outputs",
        ),
        (lambda: functional(lambda x: dense(3)(x[..., None])), 3, "auto", r"one vector.*shape \(4, 5, 3\)"),
        (
            lambda: functional(lambda x: layers.Embedding(2, 3)(x + 9)[:, 0]),
            3,
            "auto",
            r"takes the data. Received: Inv",
        ),
    ],
)
def test_outputs_that_do_not_fit_are_refused(model, classes, outputs, message):
    with pytest.raises(InputError, match=message) as caught:
        find_outputs(model(), classes, X, outputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_losses_and_accuracies_are_the_same_however_a_network_puts_it(smoothing):
    chance = np.array([0.8, 0.4, 0.3], np.float32)  # of class 1
    labels = np.array([[1], [1], [0]])
    two = np.stack([1 - chance, chance], axis=1)
    spread = (1 - smoothing) * (labels[:, 0] == np.arange(2)[:, None]).T + smoothing / 2
    by_hand = -(spread * np.log(two)).sum(axis=1).mean()
    outputs = {
        Outputs(binary=False, logits=False): two,
        Outputs(binary=False, logits=True): np.log(two) + 3,
        Outputs(binary=True, logits=False): chance[:, None],
        Outputs(binary=True, logits=True): np.log(chance / (1 - chance))[:, None],
    }
    for kind, values in outputs.items():
        assert float(np.mean(kind.loss(smoothing)(labels, values))) == pytest.approx(by_hand, rel=1e-5)
        softmax = np.asarray(ops.softmax(kind.class_logits(ops.convert_to_tensor(values))))
        np.testing.assert_allclose(softmax, two, rtol=1e-5)
        model = keras.Sequential([keras.Input((values.shape[1],)), layers.Identity()])
        model.compile(loss=kind.loss(), metrics=[kind.accuracy()])
        result = model.evaluate(values, labels, verbose=0, return_dict=True)
        assert result["accuracy"] == pytest.approx(2 / 3)


def test_a_sigmoid_for_each_class_is_trained_on_one_hot_rows_and_answers_with_the_highest():
    values = np.array([[0.9, 0.6], [0.2, 0.1], [0.3, 0.8]], np.float32)
    labels = np.array([[0], [1], [1]])
    outputs = Outputs(logits=False, separate=True)
    right = np.array([[0.9, 0.4], [0.8, 0.1], [0.7, 0.8]])  # how probable each yes and no was made
    assert float(np.mean(outputs.loss()(labels, values))) == pytest.approx(-np.log(right).mean(), rel=1e-5)
    smoothed = -(0.9 * np.log(right) + 0.1 * np.log(1 - right)).mean()  # half of the label is spread each way
    assert float(np.mean(outputs.loss(0.2)(labels, values))) == pytest.approx(smoothed, rel=1e-5)
    odds = np.asarray(outputs.class_logits(ops.convert_to_tensor(values)))
    np.testing.assert_allclose(odds, np.log(values / (1 - values)), rtol=1e-5)
    model = keras.Sequential([keras.Input((2,)), layers.Identity()])
    model.compile(loss=outputs.loss(), metrics=[outputs.accuracy()])
    assert model.evaluate(values, labels, verbose=0, return_dict=True)["accuracy"] == pytest.approx(2 / 3)
