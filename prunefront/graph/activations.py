"""The activations in NumPy, as Keras defines them; what any other implementation of them is held to."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from prunefront.graph.operations import Activation

Array = np.ndarray
OVER_CHANNELS = ("softmax", "log_softmax")
"""Those that take the whole last axis together; all others take each number by itself."""


def activate(activation: Activation, x: Array) -> Array:
    """What an activation makes of numbers of any shape, in their floating type."""
    with np.errstate(over="ignore", under="ignore"):  # exp of what it is to be far from
        return FUNCTIONS[activation.name](x, activation.parameters)


def _relu(x: Array, p: Mapping[str, float]) -> Array:
    """Keras's: x above the threshold, cut at max_value; `negative_slope * (x - threshold)` up to it."""
    threshold, slope = p.get("threshold", 0.0), p.get("negative_slope", 0.0)
    above = np.minimum(np.where(x > threshold, x, 0), p.get("max_value", math.inf))
    return np.maximum(above, 0) + slope * np.minimum(x - threshold, 0) if slope else np.maximum(above, 0)


def _elu(x: Array, p: Mapping[str, float]) -> Array:
    return np.where(x > 0, x, p.get("alpha", 1.0) * np.expm1(np.minimum(x, 0)))


def _celu(x: Array, p: Mapping[str, float]) -> Array:
    alpha = p.get("alpha", 1.0)
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)


def _gelu(x: Array, p: Mapping[str, float]) -> Array:
    if p.get("approximate", 0.0):
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + np.vectorize(math.erf, otypes=[x.dtype])(x / math.sqrt(2)))


def _sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x / 6 + 0.5, 0, 1)


def _log_softmax(x: Array) -> Array:
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _plain(function: Callable[[Array], Array]) -> Callable[[Array, Mapping[str, float]], Array]:
    return lambda x, _: function(x)


FUNCTIONS: dict[str, Callable[[Array, Mapping[str, float]], Any]] = {
    "relu": _relu,
    "leaky_relu": lambda x, p: np.where(x > 0, x, p.get("negative_slope", 0.2) * x),
    "elu": _elu,
    "celu": _celu,
    "gelu": _gelu,
    "hard_shrink": lambda x, p: np.where(np.abs(x) > p.get("threshold", 0.5), x, 0),
    "soft_shrink": lambda x, p: np.sign(x) * np.maximum(np.abs(x) - p.get("threshold", 0.5), 0),
    "squareplus": lambda x, p: (x + np.sqrt(x**2 + p.get("b", 4.0))) / 2,
    "relu6": _plain(lambda x: np.clip(x, 0, 6)),
    "selu": _plain(lambda x: 1.0507009873554805 * _elu(x, {"alpha": 1.6732632423543772})),
    "sigmoid": _plain(_sigmoid),
    "hard_sigmoid": _plain(_hard_sigmoid),
    "log_sigmoid": _plain(lambda x: -_softplus(-x)),
    "tanh": _plain(np.tanh),
    "hard_tanh": _plain(lambda x: np.clip(x, -1, 1)),
    "tanh_shrink": _plain(lambda x: x - np.tanh(x)),
    "silu": _plain(lambda x: x * _sigmoid(x)),
    "hard_silu": _plain(lambda x: x * _hard_sigmoid(x)),
    "mish": _plain(lambda x: x * np.tanh(_softplus(x))),
    "softplus": _plain(_softplus),
    "sparse_plus": _plain(lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x))),
    "sparse_sigmoid": _plain(lambda x: np.clip((x + 1) / 2, 0, 1)),
    "softsign": _plain(lambda x: x / (1 + np.abs(x))),
    "exponential": _plain(np.exp),
    "softmax": _plain(lambda x: np.exp(_log_softmax(x))),
    "log_softmax": _plain(_log_softmax),
}
