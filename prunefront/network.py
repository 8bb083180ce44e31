"""The built-in network, and what the methods need to know of any Keras model."""

from collections.abc import Collection

from prunefront.data import check_images
from prunefront.errors import InputError
from prunefront.masks import count_zeros
from prunefront.runtime import keras


def build_network(input_shape: tuple[int, ...], classes: int) -> "keras.Model":
    """The convolutional network of the founding report: 592,933 parameters at 25x25x3 and five classes.

    Args:
        input_shape: (height, width, channels); height and width at least 10 pixels.
        classes: number of classes, at least 2.

    Returns:
        An uncompiled model from float images in [0, 1], shape (n, *input_shape), to float32 logits, shape (n, classes).

    Raises:
        InputError: the input is too small or has no image shape, or there are fewer than two classes.
    """
    check_images(input_shape)
    if classes < 2:
        raise InputError(f"Expected at least 2 classes. Received: classes={classes}")
    layers = keras.layers

    def convolution(name: str, filters: int, padding: str) -> "keras.Layer":
        regularizer = keras.regularizers.L2(1e-5)
        return layers.Conv2D(filters, 3, padding=padding, activation="relu", kernel_regularizer=regularizer, name=name)

    return keras.Sequential(
        [
            keras.Input(input_shape),
            convolution("conv1", 32, "same"),
            convolution("conv2", 32, "valid"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            convolution("conv3", 64, "same"),
            convolution("conv4", 64, "valid"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(512, activation="relu", name="dense1"),
            layers.Dropout(0.5),
            layers.Dense(classes, dtype="float32", name="dense2"),  # logits stay float32 under mixed precision
        ],
        name="network",
    )


def owners(model: "keras.Model") -> list[int]:
    """For each array of `model.get_weights()`, the number of the layer that owns it, counted in model order."""
    layer_of = _owning_layers(model)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(id(layer_of[id(v)]), len(numbers)) for v in model.weights]


def freeze_layers(model: "keras.Model", frozen: Collection[int]) -> None:
    """Makes the layers with the numbers `frozen`, as `owners` counts them, untrainable and all others trainable."""
    layer_of = _owning_layers(model)
    for variable, owner in zip(model.weights, owners(model), strict=True):
        layer_of[id(variable)].trainable = owner not in frozen


def _owning_layers(model: "keras.Model") -> dict[int, "keras.Layer"]:
    """The innermost layer of each weight, keyed by the weight's id (parents come before their children)."""
    layers = [model, *model._flatten_layers(include_self=False)]
    return {id(variable): layer for layer in layers for variable in layer.weights}


def prunable(model: "keras.Model", biases: bool = True) -> list[bool]:
    """For each array of `model.get_weights()`, whether the methods may prune it.

    Prunable are the trainable weights outside normalization layers; with `biases=False` only those of them that have
    two or more dimensions. Call it before layers are frozen.
    """
    normalization = (
        keras.layers.BatchNormalization,
        keras.layers.GroupNormalization,
        keras.layers.LayerNormalization,
        keras.layers.RMSNormalization,
        keras.layers.SpectralNormalization,
        keras.layers.UnitNormalization,
    )
    excluded = {
        id(variable)
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, normalization)
        for variable in layer.weights
    }
    trainable = {id(variable) for variable in model.trainable_weights}
    return [id(v) in trainable and id(v) not in excluded and (biases or len(v.shape) > 1) for v in model.weights]


def count_trainable(model: "keras.Model") -> tuple[int, int]:
    """Non-zero and all trainable parameters, biases included. Call it before layers are frozen."""
    arrays = [variable.numpy() for variable in model.trainable_weights]
    total = sum(array.size for array in arrays)
    return total - count_zeros(arrays), total
