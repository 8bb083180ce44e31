"""The built-in network, and what the methods need to know of any Keras model."""

import math
from collections.abc import Collection, Sequence

import numpy as np

from prunefront.data import check_images
from prunefront.errors import InputError
from prunefront.masks import Weights, count_zeros
from prunefront.runtime import keras


def build_network(input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> "keras.Model":
    """The convolutional network of the founding report: 592,933 parameters at 25x25x3 and five classes.

    Args:
        input_shape: (height, width, channels); height and width at least 10 pixels.
        classes: number of classes, at least 2.
        width: factor on the number of filters and units of all layers but the last, rounded, at least one each.

    Returns:
        An uncompiled model from float images in [0, 1], shape (n, *input_shape), to float32 logits, shape (n, classes).

    Raises:
        InputError: the input is too small or has no image shape, or there are fewer than two classes.
    """
    check_images(input_shape)
    if classes < 2:
        raise InputError(f"Expected at least 2 classes. Received: classes={classes}")
    layers = keras.layers

    def scaled(units: int) -> int:
        return max(1, round(units * width))

    def convolution(name: str, filters: int, padding: str) -> "keras.Layer":
        regularizer = keras.regularizers.L2(1e-5)
        return layers.Conv2D(
            scaled(filters), 3, padding=padding, activation="relu", kernel_regularizer=regularizer, name=name
        )

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
            layers.Dense(scaled(512), activation="relu", name="dense1"),
            layers.Dropout(0.5),
            layers.Dense(classes, dtype="float32", name="dense2"),  # logits stay float32 under mixed precision
        ],
        name="network",
    )


def widen(narrow: Weights, shapes: Sequence[tuple[int, ...]]) -> Weights:
    """The weights of a narrower network as those of the full one, with zeros for the units that it lacks.

    The outputs are the same: the units that are added give zero, and nothing listens to them.

    Args:
        narrow: weights of `build_network(..., width)`, in model order.
        shapes: of the full network's weights.
    """
    wide: Weights = []
    channels, full_channels = 1, 1  # of the layer before
    for small, shape in zip(narrow, shapes, strict=True):
        full = np.zeros(shape, small.dtype)
        if small.ndim == 2:  # after the flattening a row stands for a position and a channel
            rows = full.reshape(-1, full_channels, shape[-1])
            rows[:, :channels, : small.shape[-1]] = small.reshape(-1, channels, small.shape[-1])
        else:
            full[tuple(slice(size) for size in small.shape)] = small
        if small.ndim > 1:
            channels, full_channels = small.shape[-1], shape[-1]
        wide.append(full)
    return wide


def multiply_adds(model: "keras.Model", weights: Weights) -> int:
    """Multiplications with non-zero kernel weights for one example: the work that is left if zeros cost nothing.

    Args:
        model: of dense and convolutional layers with the channels last.
        weights: in model order.
    """
    layer_of = _owning_layers(model)
    return sum(
        (array.size - count_zeros([array])) * math.prod(layer_of[id(variable)].output.shape[1:-1])
        for variable, array in zip(model.weights, weights, strict=True)
        if array.ndim > 1
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
