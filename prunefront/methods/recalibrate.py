"""Methods 1 and 2 with the statistics of batch normalization computed anew, without labels and without training."""

from collections.abc import Callable, Iterator, Sequence

from prunefront.batches import in_order
from prunefront.data import Split
from prunefront.errors import InputError
from prunefront.masks import Weights
from prunefront.network import layers_of
from prunefront.runtime import keras, tf


def recalibrate(
    pruned: Callable[[float], tuple[float, Weights]],
    levels: Sequence[float],
    make_model: "Callable[[], keras.Model]",
    train: Split,
    batch_size: int,
) -> Iterator[tuple[float, Weights]]:
    """Gives the pruned weights of each level the statistics that their own activations have.

    Pruning changes what reaches a BatchNormalization layer, while its moving mean and variance are still those of the
    dense network. Computing them anew is the adaptive batch normalization of Li et al., "EagleEye: fast sub-net
    evaluation for efficient neural network pruning" (2020). No weight but these changes, so every zero stays.

    Args:
        pruned: gives the pruned weights at a level, with that level.
        levels: target sparsities.
        make_model: builds the network.
        train: training examples, whose labels are not looked at.
        batch_size: examples a forward pass.

    Raises:
        InputError: the network has no BatchNormalization.
    """
    model = make_model()
    for level in levels:
        _, weights = pruned(level)
        model.set_weights(weights)
        measure_statistics(model, train, batch_size)
        yield level, model.get_weights()


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
    before = [(layer, layer.momentum, layer.trainable) for layer in layers]
    try:
        for layer in layers:
            layer.trainable = True
            layer.call = _averaging(layer)

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def forward(x: "tf.Tensor") -> None:
            model(x, training=False)

        for x, _ in in_order(train, batch_size):
            forward(x)
    finally:
        for layer, momentum, trainable in before:
            layer.momentum, layer.trainable = momentum, trainable
            vars(layer).pop("call", None)


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
