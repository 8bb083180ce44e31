"""What a classifier's outputs mean: which loss and accuracy fit them, and whether they fit the labels at all."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from prunefront.common.errors import InputError, cause
from prunefront.common.runtime import keras, tf

Kind = Literal["logits", "probabilities"]
ACTIVATIONS: dict[str, Kind] = {
    "softmax": "probabilities",
    "sigmoid": "probabilities",
    "log_softmax": "logits",
    "linear": "logits",
}


@dataclass(frozen=True)
class Outputs:
    """The outputs of a classifier of integer labels.

    Attributes:
        binary: one output, for class 1 of two; else one output for each class.
        logits: unnormalized log-probabilities; else probabilities.
        separate: a sigmoid for each class, which says how probable that one is against all others: probabilities that
            need not add up to 1. The class with the highest is the answer.
    """

    binary: bool = False
    logits: bool = True
    separate: bool = False

    def loss(self, label_smoothing: float = 0.0) -> Any:
        """Cross-entropy in nats, with a share of each label spread over all classes."""
        if self.binary:
            return keras.losses.BinaryCrossentropy(from_logits=self.logits, label_smoothing=label_smoothing)
        if label_smoothing == 0 and not self.separate:
            return keras.losses.SparseCategoricalCrossentropy(from_logits=self.logits)

        def smoothed(y: "tf.Tensor", outputs: "tf.Tensor") -> "tf.Tensor":
            one_hot = keras.ops.one_hot(keras.ops.reshape(y, (-1,)), outputs.shape[-1])
            if self.separate:
                return keras.losses.binary_crossentropy(one_hot, outputs, label_smoothing=label_smoothing)
            return keras.losses.categorical_crossentropy(
                one_hot, outputs, from_logits=self.logits, label_smoothing=label_smoothing
            )

        return smoothed

    def accuracy(self) -> Any:
        """The share of examples whose most probable class is the label, as a metric named accuracy."""
        if self.binary:
            return keras.metrics.BinaryAccuracy("accuracy", threshold=0.0 if self.logits else 0.5)
        return "accuracy"

    def right(self, y: "tf.Tensor", outputs: "tf.Tensor") -> "tf.Tensor":
        """For each example what `accuracy` is the mean of: 1.0 where the most probable class is the label, else 0.0.

        Args:
            y: labels, shape (n,) or (n, 1).
            outputs: shape (n, outputs).
        """
        if self.binary:
            matches = keras.metrics.binary_accuracy(y, outputs, threshold=0.0 if self.logits else 0.5)
        else:
            matches = keras.metrics.sparse_categorical_accuracy(y, outputs)
        return keras.ops.reshape(matches, (-1,))

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """The most probable class of each example, as `accuracy` takes it.

        Args:
            outputs: shape (n, outputs).

        Returns:
            Shape (n,), int64.
        """
        if self.binary:
            return (outputs[:, 0] > (0.0 if self.logits else 0.5)).astype(np.int64)
        return outputs.argmax(axis=1)

    def class_logits(self, outputs: "tf.Tensor") -> "tf.Tensor":
        """The outputs as a float32 logit for each class, shape (n, classes), whatever they are."""
        ops = keras.ops
        outputs = ops.cast(outputs, "float32")  # first: in bfloat16, 1 less epsilon would be 1
        if not self.logits:
            tiny = keras.config.epsilon()
            kept = ops.clip(outputs, tiny, 1 - tiny)
            odds = self.binary or self.separate
            outputs = ops.log(kept) - ops.log(1 - kept) if odds else ops.log(kept)
        return ops.concatenate([ops.zeros_like(outputs), outputs], axis=-1) if self.binary else outputs


LOGITS = Outputs()
"""A logit for each class: the built-in network's outputs."""


def find_outputs(model: "keras.Model", classes: int, example: np.ndarray, said: str = "auto") -> Outputs:
    """What a model's outputs are, found from its last layer unless the user says it, and tried on one example.

    Args:
        model: built.
        classes: number of classes of the labels, at least 2.
        example: a batch of examples that the model can be called on.
        said: "auto", "logits" or "probabilities".

    Raises:
        InputError: the outputs are not one vector per example with a value for each class (or a single one for two
            classes), they contradict `said`, or what they are cannot be found.
    """
    values = _scores(model, example)
    units = values.shape[1]
    if units != classes and not (units == 1 and classes == 2):
        single = " or a single one" if classes == 2 else ""
        raise InputError(f"Expected a model with an output for each of {classes} classes{single}. Received: {units}")
    activation = last_activation(model)
    if activation == "softmax" and units == 1:
        raise InputError(
            "Expected sigmoid or logits for a single output. Received: softmax over one output, which is always 1"
        )
    if said == "auto":
        if activation not in ACTIVATIONS:
            raise InputError(
                f"Expected a model that ends in softmax, in sigmoid, or in no activation (logits); say what "
                f"its outputs are with model.outputs: logits or probabilities. "
                f"Received: {activation or 'outputs whose activation cannot be found'}"
            )
        said = ACTIVATIONS[activation]
    elif said == "logits" and activation in ("softmax", "sigmoid"):
        raise InputError(f"model.outputs: expected probabilities, the model ends in {activation}. Received: logits")
    elif said == "probabilities" and activation in ("linear", "log_softmax"):
        raise InputError(f"model.outputs: expected logits, the model ends in {activation}. Received: probabilities")
    if said == "logits":
        return Outputs(binary=units == 1)
    adds_up = units > 1 and np.abs(values.sum(axis=1) - 1).max() <= 0.02
    separate = units > 1 and (activation == "sigmoid" or (activation is None and not adds_up))
    if values.min() < 0 or values.max() > 1.01 or not (adds_up or separate or units == 1):
        raise InputError(
            "Expected probabilities in [0, 1] that add up to 1 over the classes; set model.outputs: logits if they are "
            f"that. Received: outputs from {values.min():.4g} to {values.max():.4g}"
        )
    return Outputs(binary=units == 1, logits=False, separate=separate)


def last_activation(model: "keras.Model") -> str | None:
    """The name of the activation that a model's output went through last; None where it cannot be found."""
    try:
        history = keras.tree.flatten(model.outputs)[0]._keras_history
    except (AttributeError, IndexError):  # a subclassed model: only its code knows
        return None
    operation, node = history.operation, history.node_index
    while _passes_on(operation):
        parents = operation._inbound_nodes[node].parent_nodes
        if len(parents) != 1:
            return None
        operation, node = parents[0].operation, -1
    if isinstance(operation, keras.Model):
        return last_activation(operation)
    if isinstance(operation, keras.layers.Softmax) or not isinstance(operation, keras.layers.Layer):
        return type(operation).__name__.lower()  # keras.ops.softmax in a functional model goes by that name too
    if not type(operation).__module__.startswith("keras."):  # a layer of one's own may do more than its activation
        return None
    return getattr(getattr(operation, "activation", None), "__name__", None)


def _passes_on(operation: Any) -> bool:
    """Whether it changes shape or type at most, so that what came before it decides."""
    layers = keras.layers
    if isinstance(operation, layers.Layer):
        same = layers.Dropout | layers.Flatten | layers.Identity | layers.Reshape
        linear = isinstance(operation, layers.Activation) and operation.activation is keras.activations.linear
        return linear or isinstance(operation, same)
    return type(operation).__name__ in ("Cast", "Reshape", "Squeeze")


def forward(model: "keras.Model", example: np.ndarray) -> Any:
    """A model's outputs for a batch; raises InputError if it cannot be called on it."""
    try:
        return model(example, training=False)
    except Exception as error:  # whatever a model of the user's own raises
        raise InputError(f"Expected a model that takes the data. Received: {cause(error)}") from None


def _scores(model: "keras.Model", example: np.ndarray) -> np.ndarray:
    outputs = forward(model, example)
    if isinstance(outputs, dict | list | tuple):
        raise InputError(
            f"Expected a model with one output, a tensor. "
            f"Received: {len(outputs)} outputs in a {type(outputs).__name__}"
        )
    if len(outputs.shape) != 2:
        raise InputError(
            f"Expected a model that gives one vector of class scores per example. "
            f"Received: outputs of shape {tuple(outputs.shape)}"
        )
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32")))
