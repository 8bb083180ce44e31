"""Statistics of batch normalization, computed anew without labels and without training."""

import contextlib
import math
from collections.abc import Callable

from prunefront.common.errors import InputError
from prunefront.common.patching import replaced
from prunefront.common.runtime import keras, tf
from prunefront.data.batches import in_order
from prunefront.data.splits import Split
from prunefront.models.layers import layers_of
from prunefront.training.trainer import evaluate

STALE = 0.05
"""Validation accuracy that measured statistics have to add before it is worth a line; more for few examples, where two
standard errors of a difference between two accuracies are larger."""


def normalizations(model: "keras.Model") -> list["keras.layers.BatchNormalization"]:
    """The layers that keep statistics of a batch."""
    return [layer for _, layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]


def statistics_doubt(model: "keras.Model", train: Split, validation: Split, batch_size: int, steps: int) -> str | None:
    """What is to be said where moving statistics of BatchNormalization are far from those of the data; None if nothing.

    A moving average that keeps a share m of itself at each step still holds m**steps of what it began with: after a
    short training a network that answers well in training may answer by chance in evaluation.

    Args:
        model: compiled, with BatchNormalization and the weights in question; has measured statistics afterwards.
        train: the examples that statistics are measured over.
        validation: the split for the accuracies.
        batch_size: examples a forward pass, see `measure_statistics`.
        steps: training steps that the weights went through; 0 if that is not known.
    """
    before, _ = evaluate(model, validation)
    measure_statistics(model, train, batch_size)
    after, _ = evaluate(model, validation)
    if after - before <= max(STALE, 2 * math.sqrt(0.5 / len(validation.y))):
        return None
    momentum = max(float(layer.momentum) for layer in normalizations(model))
    why = (
        f"after {steps:,} training steps at momentum {momentum:g} they still hold {momentum**steps:.1%} of what they "
        f"began with; raise baseline.epochs, lower baseline.batch_size or the layers' momentum"
        if steps
        else "bring weights with statistics of these data"
    )
    return (
        f"the dense network's validation accuracy is {before:.4f} with the moving statistics of BatchNormalization and "
        f"{after:.4f} with those measured over the training split: {why}, or see the recalibrated series "
        f"(recalibrate.levels)"
    )


def measure_statistics(model: "keras.Model", train: Split, batch_size: int) -> None:
    """Sets the moving mean and variance of all BatchNormalization layers to the averages over the batches of a split.

    Everything else works as in inference: no dropout, no noise.

    Args:
        model: changed in place.
        train: the examples, gone through once.
        batch_size: examples a batch; the last one may be smaller and counts by its size.
    """
    layers = normalizations(model)
    if not layers:
        raise InputError(
            "Expected a network with BatchNormalization to recalibrate; set recalibrate.levels: []. "
            "Received: one without"
        )

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def forward(x: "tf.Tensor") -> None:
        model(x, training=False)

    with contextlib.ExitStack() as meanwhile:
        for layer in layers:
            meanwhile.callback(setattr, layer, "trainable", layer.trainable)
            layer.trainable = True
            meanwhile.enter_context(replaced(layer, "momentum", layer.momentum))
            meanwhile.enter_context(replaced(layer, "call", _averaging(layer)))
        for x, _ in in_order(train, batch_size):
            forward(x)


def _averaging(layer: "keras.layers.BatchNormalization") -> Callable[..., "tf.Tensor"]:
    """The layer's call in training, with the momentum that makes the moving statistics plain averages.

    A layer that is used twice takes both uses into account.
    """
    plain, seen = layer.call, tf.Variable(0, dtype=layer.moving_mean.dtype, trainable=False)

    def call(inputs: "tf.Tensor", training: object = None, mask: object = None) -> "tf.Tensor":  # noqa: ARG001
        size = tf.cast(tf.shape(inputs)[0], seen.dtype)
        layer.momentum = seen / (seen + size)
        outputs = plain(inputs, training=True, mask=mask)
        seen.assign_add(size)
        return outputs

    return call
