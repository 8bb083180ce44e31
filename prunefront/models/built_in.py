"""The built-in network: that of the founding report."""

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.data.splits import check_images


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
