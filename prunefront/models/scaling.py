"""Whether a network scales its input itself, found by looking at what reaches its first kernel."""

from typing import Any, NamedTuple

import numpy as np

from prunefront.common.runtime import keras
from prunefront.models.layers import is_kernel, layers_of, owning_layers
from prunefront.models.watching import watch

FACTORS = (1 / 1000, 1 / 10)
"""Between these lie all factors on images from 0 to 255: 1/255, 2/255, and one over a deviation of 10 to 128 or more.

Above them lie those on images from 0 to 1; below them what does not depend on the scale, such as LayerNormalization.
"""
FAR = 16
"""A middle of the brightness that is further from black is one of images from 0 to 255: some only subtract that."""


def scaling_layer(model: "keras.Model", shape: tuple[int, ...]) -> str | None:
    """The name of what scales images from 0 to 255 inside a network, before its first kernel; None if nothing does.

    A Rescaling or Normalization layer, a part that holds one, an operation such as a division, BatchNormalization with
    the statistics of such images: whatever it is, it is seen in what a dark image, and one of 255 times the brightness,
    have become when they reach the first layer with a kernel.

    Args:
        model: built, with the weights that it starts from.
        shape: of a batch as the model takes it; its first number counts for nothing.
    """
    noise = np.random.default_rng(0).random((1, *shape[1:]), np.float32)
    try:
        dark, bright = _way_to_the_kernel(model, noise), _way_to_the_kernel(model, 255 * noise)
    except Exception:  # a model may refuse such images for reasons of its own; it is tried on the data elsewhere
        return None
    if len(dark) != len(bright) or not dark or not _scaled(dark[-1].values, bright[-1].values):
        return None
    return next(one.name for one, other in zip(dark, bright, strict=True) if _scaled(one.values, other.values))


class _Station(NamedTuple):
    """What an operation on the way to the first kernel has made of an image."""

    name: str
    values: np.ndarray


def _scaled(dark: np.ndarray, bright: np.ndarray) -> bool:
    """Whether an image in [0, 1], and 255 times it, have been scaled as only those up to 255 are."""
    if dark.shape != bright.shape or dark.size == 0:
        return False
    factor = float(np.abs(bright - dark).mean()) / (254 / 2)  # of noise, whose mean is 1/2
    return FACTORS[0] < factor and (factor < FACTORS[1] or abs(float(dark.mean())) > FAR * factor)


def _way_to_the_kernel(model: "keras.Model", image: np.ndarray) -> list[_Station]:
    """The outputs of all operations before the first layer with a kernel, in their order, and at last its input."""
    owner = owning_layers(model)
    kernels = {id(owner[id(v)]) for v in model.weights if is_kernel(v, owner[id(v)])}
    paths = {id(layer): path for path, layer in layers_of(model)}
    operations = {id(layer): layer for _, layer in layers_of(model)}
    for layer in list(operations.values()):  # a functional model also has operations that are no layers
        operations |= {id(one): one for one in getattr(layer, "operations", ())}
    found: list[_Station] = []
    arrived = False

    def note(operation: Any, call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal arrived
        if id(operation) in kernels and not arrived:
            arrived = True
            found.append(_Station("the code of the model", _values((args, kwargs))))
        outputs = call(*args, **kwargs)
        if not arrived:
            found.append(_Station(paths.get(id(operation), operation.name), _values(outputs)))
        return outputs

    watch(list(operations.values()), note, model, image)
    return found if arrived else []


def _values(tensors: Any) -> np.ndarray:
    """The first of some tensors as an array; an empty one if there is none."""
    for tensor in keras.tree.flatten(tensors):
        if keras.ops.is_tensor(tensor) and len(tensor.shape) > 1:
            return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))
    return np.zeros(0, np.float32)
