"""What the functions of `keras.ops` in a functional model come down to."""

from typing import Any

import numpy as np

from prunefront.common.runtime import keras
from prunefront.graph.activations import FUNCTIONS, OVER_CHANNELS
from prunefront.graph.builder import Builder, Value
from prunefront.graph.keras_layers import (
    activation,
    affine,
    global_pool,
    merged,
    over_channels,
    permuted,
    reshaped,
)

ACTIVATIONS = {name.replace("_", ""): name for name in FUNCTIONS} | {"exp": "exponential"}
"""By the names of Keras's operations, in small letters."""
PARAMETERS = ("negative_slope", "max_value", "threshold", "alpha", "approximate", "b")
"""Of the activations, as Keras's operations hold them."""


def read_operation(builder: Builder, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Value:
    """What a function of `keras.ops` makes of its arguments; refuses what no plain operation stands for."""
    name = type(operation).__name__
    known = type(operation).__module__.startswith("keras.") and not kwargs
    values = [x for x in keras.tree.flatten(args) if isinstance(x, Value)]
    if not known or not values:
        builder.refuse(operation)
    x = values[0]
    if name in ("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Negative"):
        return _arithmetic(builder, operation, name, args)
    if name == "Concatenate":
        over_channels(builder, operation, x, operation.axis)
        return merged(builder, operation, "concatenate", args[0])
    if len(args) != 1 or args[0] is not x:
        builder.refuse(operation)
    if name == "Square":
        return merged(builder, operation, "multiply", [x, x])
    if (function := ACTIVATIONS.get(name.lower())) is not None:
        if function in OVER_CHANNELS:
            over_channels(builder, operation, x, operation.axis)
        said = {p: float(value) for p in PARAMETERS if (value := getattr(operation, p, None)) is not None}
        if function == "relu":
            said = {p: value for p, value in said.items() if value or p == "max_value"}
        return activation(builder, function, said, x)
    if name in ("Reshape", "Squeeze", "ExpandDims"):
        shape = operation.compute_output_spec(keras.KerasTensor((None, *x.shape))).shape
        if shape[0] is not None or None in shape[1:]:
            builder.refuse(operation, "that changes the batch")
        return reshaped(builder, operation, x, shape[1:])
    if name == "Transpose" and operation.axes and operation.axes[0] == 0:
        return permuted(builder, operation, x, [axis % (len(x.shape) + 1) - 1 for axis in operation.axes[1:]])
    if name in ("Mean", "Max") and _over_space(operation.axis, x) and getattr(operation, "initial", None) is None:
        return global_pool(builder, operation, "max" if name == "Max" else "average", x, operation.keepdims)
    if name == "Cast" and keras.backend.is_float_dtype(operation.dtype):
        return x
    return builder.refuse(operation)


def _arithmetic(builder: Builder, operation: Any, name: str, args: tuple[Any, ...]) -> Value:
    """Of two values, or of one and numbers: one for all, or one for each channel."""
    if name == "Negative":
        return affine(builder, args[0], -1, 0)
    one, other = args
    if isinstance(one, Value) and isinstance(other, Value):
        if "Divide" in name:
            builder.refuse(operation)
        if name == "Subtract":
            other = affine(builder, other, -1, 0, part="negative")
        return merged(builder, operation, "multiply" if name == "Multiply" else "add", [one, other])
    x, number = (one, other) if isinstance(one, Value) else (other, one)
    array = builder.array(number).astype(np.float64)
    if (
        array.ndim > len(x.shape) + 1
        or array.size not in (1, x.shape[-1])
        or array.size != max(array.shape[-1:], default=1)
    ):
        builder.refuse(operation, "by other than a number for each channel")
    array = array.reshape(-1)
    if name in ("Add", "Subtract"):
        sign = -1 if name == "Subtract" else 1
        return affine(builder, x, 1, sign * array) if x is one else affine(builder, x, sign, array)
    if name == "Multiply":
        return affine(builder, x, array, 0)
    if x is not one:
        builder.refuse(operation)
    with np.errstate(divide="ignore"):  # which is refused as infinity
        return affine(builder, x, 1 / array, 0)


def _over_space(axis: Any, x: Value) -> bool:
    axes = [axis] if isinstance(axis, int) else list(axis or ())
    return bool(axes) and sorted(a % (len(x.shape) + 1) for a in axes) == list(range(1, len(x.shape)))
