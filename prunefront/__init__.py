"""Prunes Keras 3 models and finds the accuracy-versus-sparsity Pareto frontier.

The public names, each looked up on first use, so that importing this package imports no TensorFlow; those of
`training` need it when they are used.
"""

import importlib
from typing import Any

_HOMES = {
    "common.errors": ["InputError"],
    "frontier.intervals": ["accuracy_interval", "compare_points"],
    "frontier.pareto": ["pareto_front", "score"],
    "models.certificate": ["certify", "verify"],
    "models.weights": ["load_masks", "load_weights", "save_masks"],
    "pruning.masks": ["apply_masks", "global_masks", "layerwise_masks", "masks_for_levels", "sparsity"],
    "pruning.saliency": ["Sparing", "erk", "lamp", "magnitude", "random_scores", "uniform"],
    "sparse_file.file": ["save_sparse"],
    "training.hold": ["held_masks", "hold_masks", "implied_masks", "magnitude_masks", "prune_further"],
}

__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
