"""Statistics of batch normalization, computed anew without labels and without training."""

import contextlib
from collections.abc import Callable

from prunefront.common.errors import InputError
from prunefront.common.patching import replaced
from prunefront.common.runtime import keras, tf
from prunefront.data.batches import in_order
from prunefront.data.splits import Split
from prunefront.models.layers import layers_of


def measure_statistics(model: "keras.Model", train: Split, batch_size: int) -> None:
    """Sets the moving mean and variance of all BatchNormalization layers to the averages over the batches of a split.

    Everything else works as in inference: no dropout, no noise.

    Args:
        model: changed in place.
        train: the examples, gone through once.
        batch_size: examples a batch; the last one may be smaller and counts by its size.
    """
    layers = [layer for _, layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]
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
