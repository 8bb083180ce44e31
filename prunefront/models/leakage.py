"""Whether a network that the user brings may have been trained on the examples that it is to be judged by."""

import math
from collections.abc import Sequence

import numpy as np

from prunefront.common.errors import InputError
from prunefront.data.splits import Split, scaled
from prunefront.models.build import as_model_input, head
from prunefront.models.first_look import FirstLook
from prunefront.models.outputs import find_outputs, forward

BATCH = 32
SAMPLE = 200
"""Examples of each split that the network is tried on."""
MARGIN = 0.1
"""A network knows the labels if it answers more of them right than the commonest class does, by this share,"""
BY_CHANCE = 1e-3
"""and if so many are no likelier than this by chance."""


def leakage_doubt(look: FirstLook, x: np.ndarray, y: np.ndarray, carved: Sequence[str]) -> str | None:
    """What is to be said where splits are carved out of data that the starting weights know; None if nothing.

    Carved examples are a random part of the user's data. Weights that answer those data before anything is trained here
    come from training on such data, and nobody but the user knows whether on these very examples. Weights whose last
    layer has no bias but 0 have never been trained for these classes, and random ones answer no better than chance.

    Args:
        look: at the network, with the weights that the run starts from.
        x: examples of the training split and the carved ones, as the source gives them.
        y: shape (n,), their classes.
        carved: names of the splits that were carved, "validation", "test".
    """
    if not carved or not look.brings_weights or _untrained_head(look):
        return None
    try:
        outputs = find_outputs(look.model, look.classes, look.examples, look.params.model.outputs)
    except InputError:  # a refusal says so
        return None
    split = as_model_input(Split(scaled(x, look.pixel_range), y), look.model)
    answers = [
        outputs.answers(np.asarray(forward(look.model, split.x[start : start + BATCH]), np.float32))
        for start in range(0, len(y), BATCH)
    ]
    right = int((np.concatenate(answers) == y).sum())
    chance = float(np.bincount(y).max()) / len(y)
    if right < (chance + MARGIN) * len(y) or at_least(right, len(y), chance) > BY_CHANCE:
        return None
    splits = " and ".join(carved)
    own = ", ".join({"validation": "x_val or a folder val", "test": "x_test or a folder test"}[name] for name in carved)
    return (
        f"before anything is trained the network answers {right / len(y):.1%} of {len(y)} examples right, and {splits} "
        f"are carved out of the same data: if it was trained on them, accuracies on {splits} mean nothing; bring "
        f"splits that it has not seen ({own})"
    )


def at_least(right: int, count: int, chance: float) -> float:
    """The probability of so many right answers or more, of `count` that are right with probability `chance` each."""
    return sum(math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(right, count + 1))


def _untrained_head(look: FirstLook) -> bool:
    """Whether the last layer has a bias, as it is in the beginning: zero."""
    own = [variable for variable in head(look.model).weights if "bias" in variable.path.rpartition("/")[2]]
    return bool(own) and not any(np.any(variable.numpy()) for variable in own)
