"""Prunes Keras 3 models and finds the accuracy-versus-sparsity Pareto frontier.

The names below are the library under the stages; none of them imports TensorFlow. They are looked up on first use, so
that a command pays only for what it needs.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if TYPE_CHECKING:
    from prunefront.errors import InputError
    from prunefront.frontier import pareto_front, score
    from prunefront.masks import apply_masks, global_masks, layerwise_masks, sparsity
    from prunefront.weights import load_weights

__all__ = [
    "InputError",
    "apply_masks",
    "global_masks",
    "layerwise_masks",
    "load_weights",
    "pareto_front",
    "score",
    "sparsity",
]

_HOMES = {
    "InputError": "errors",
    "apply_masks": "masks",
    "global_masks": "masks",
    "layerwise_masks": "masks",
    "load_weights": "weights",
    "pareto_front": "frontier",
    "score": "frontier",
    "sparsity": "masks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
