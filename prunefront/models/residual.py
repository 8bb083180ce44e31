"""A residual network for small images: what a smaller network may learn from."""

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.data.splits import check_channels


def build_residual(input_shape: tuple[int, ...], classes: int) -> "keras.Model":
    """A residual network of 1.6 million parameters for images of about 16 to 64 pixels a side.

    Few wide layers, which processors compute fast: three times convolution, batch normalization, ReLU and pooling, with
    a residual block behind the first and the last. After He, Zhang, Ren and Sun, "Deep residual learning for image
    recognition" (2016), and the nine layers of Page, "How to train your ResNet" (2018), half as wide.

    Args:
        input_shape: (height, width, channels).
        classes: number of classes, at least 2.

    Returns:
        An uncompiled model from float images, shape (n, *input_shape), to float32 logits, shape (n, classes).

    Raises:
        InputError: the input has no image shape.
    """
    if len(input_shape) != 3:
        raise InputError(
            f"Expected images of shape (height, width, channels). Received: examples of shape {input_shape}"
        )
    check_channels(input_shape, "the residual network")
    layers = keras.layers

    def convolved(x: "keras.KerasTensor", filters: int) -> "keras.KerasTensor":
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    def residual(x: "keras.KerasTensor", filters: int) -> "keras.KerasTensor":
        return layers.Add()([x, convolved(convolved(x, filters), filters)])

    def pooled(x: "keras.KerasTensor") -> "keras.KerasTensor":
        return layers.MaxPooling2D(2, padding="same")(x)

    images = keras.Input(input_shape)
    x = convolved(images, 32)
    x = residual(pooled(convolved(x, 64)), 64)
    x = pooled(convolved(x, 128))
    x = residual(pooled(convolved(x, 256)), 256)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, layers.Dense(classes, dtype="float32")(x), name="residual")
