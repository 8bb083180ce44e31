"""How much arithmetic a network is: multiply-adds per example, for any Keras model."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from prunefront.common.runtime import keras
from prunefront.models.layers import is_kernel, layers_of, owning_layers
from prunefront.models.watching import watch
from prunefront.pruning.masks import Weights, count_zeros


def multiply_adds(model: "keras.Model", weights: Weights, example: np.ndarray) -> int:
    """Multiplications with non-zero kernel weights for one example: the work that is left if zeros cost nothing.

    Products of two activations, as in attention, are not counted.

    Args:
        model: of any kind.
        weights: in model order.
        example: a batch of one, on which the layers are watched.
    """
    times = uses(model, example)
    return sum(
        (array.size - count_zeros([array])) * times.get(id(variable), 0)
        for variable, array in zip(model.weights, weights, strict=True)
    )


def uses(model: "keras.Model", example: np.ndarray) -> dict[int, int]:
    """How often one example multiplies with each entry of a kernel, keyed by the kernel's id.

    Found by one pass in which each layer that owns a kernel notes its inputs and outputs, so that shared layers count
    each time and recurrent cells once a step. Embeddings are looked up, not multiplied.

    Args:
        model: of any kind.
        example: a batch of one.
    """
    layer_of = owning_layers(model)
    kernels: dict[int, list[int]] = {}
    for variable in model.weights:
        owner = layer_of[id(variable)]
        if is_kernel(variable, owner):
            kernels.setdefault(id(owner), []).append(id(variable))
    found = dict.fromkeys((number for numbers in kernels.values() for number in numbers), 0)

    def note(layer: "keras.Layer", call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        before = dict(found)
        outputs = call(*args, **kwargs)
        if isinstance(layer, keras.layers.RNN):  # its cell has been called a few times, as Keras pleases
            for number in found:
                if found[number] > before[number]:
                    found[number] = before[number] + per_call[number] * args[0].shape[1]
        for number in kernels.get(id(layer), ()):
            per_call[number] = _positions(layer, args, outputs)
            found[number] += per_call[number]
        return outputs

    per_call: dict[int, int] = {}
    watched = [layer for _, layer in layers_of(model) if id(layer) in kernels or isinstance(layer, keras.layers.RNN)]
    watch(watched, note, model, example)
    return found


def calls(model: "keras.Model", example: np.ndarray) -> dict[int, int]:
    """How often one forward pass calls each layer, keyed by the layer's id; what lies in a recurrent layer is left out.

    Args:
        model: of any kind.
        example: a batch of one.
    """
    found: dict[int, int] = {}
    inside = {
        id(cell)
        for _, layer in layers_of(model)
        if isinstance(layer, keras.layers.RNN)
        for _, cell in layers_of(layer)[1:]
    }

    def note(layer: "keras.Layer", call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found[id(layer)] = found.get(id(layer), 0) + 1
        return call(*args, **kwargs)

    watch([layer for _, layer in layers_of(model) if id(layer) not in inside], note, model, example)
    return found


def _positions(layer: "keras.Layer", args: tuple[Any, ...], outputs: Any) -> int:
    """In how many places of one example a layer applies its kernels in one call."""
    if isinstance(layer, keras.layers.Embedding):
        return 0
    if isinstance(outputs, tuple | list):  # of a recurrent cell
        outputs = outputs[0]
    shape = tuple(args[0].shape if type(layer).__name__.endswith("Transpose") else outputs.shape)[1:]
    if isinstance(layer, keras.layers.EinsumDense):
        _, of_kernel, of_output = re.split(",|->", layer.equation.replace(" ", ""))
        sizes = zip(reversed(of_output), reversed(tuple(outputs.shape)), strict=False)  # dots stand at the left end
        return math.prod(shape) // math.prod(size for letter, size in sizes if letter in of_kernel)
    if getattr(layer, "data_format", None) == "channels_first" and len(shape) > 1:
        return math.prod(shape[1:])
    return math.prod(shape[:-1])
