"""Sparsity as a function of the training step."""

import math
from dataclasses import dataclass

from prunefront.common.errors import InputError
from prunefront.pruning.masks import Masks, Weights, further_masks
from prunefront.pruning.saliency import Score


@dataclass(frozen=True)
class Ramp:
    """A rise of the sparsity in the first epochs of a fit, along the cubic curve; nothing but values.

    Attributes:
        initial: sparsity before, in [0, 1).
        final: sparsity at the end, in [0, 1), not below `initial`.
        epochs: that it takes.
        every: training steps between two updates of the masks.
        score: what is pruned first, a function at the top level of a module.
        prunable: for each weight array whether it may be pruned.
        regrown: share of the kept weights of each array that other ones take the place of at the first update, in
            [0, 1]; it falls to 0 along half a cosine.
    """

    initial: float
    final: float
    epochs: int
    every: int
    score: Score
    prunable: tuple[bool, ...]
    regrown: float = 0.0

    def updates(self, steps: int) -> list[int]:
        """The training steps, of a ramp of `steps` steps, before which the masks are updated; the last is its end."""
        return [*range(0, steps, self.every), steps]

    def masks(self, weights: Weights, step: int, steps: int) -> Masks:
        """The masks from training step `step` on, of a ramp of `steps` steps; weights that are sparser keep theirs."""
        sparsity = cubic_sparsity(step, steps, self.initial, self.final)
        return further_masks(weights, sparsity, self.prunable, self.score)

    def moving(self, step: int, steps: int) -> float:
        """The share of the kept weights that moves at training step `step`, none at the end of the ramp."""
        return self.regrown * (1 + math.cos(math.pi * step / steps)) / 2 if step < steps else 0.0


def cubic_sparsity(step: int, steps: int, initial: float, final: float) -> float:
    """Sparsity that rises fast at first and slowly at the end: `final + (initial - final) * (1 - step / steps)**3`.

    Zhu and Gupta, "To prune, or not to prune" (2017).

    Args:
        step: training steps since the ramp began, 0 or more; after its end the sparsity stays at `final`.
        steps: length of the ramp in training steps, at least 1.
        initial: sparsity before, in [0, 1).
        final: sparsity at the end, in [0, 1), not below `initial`.

    Raises:
        InputError: a value outside its range.
    """
    if step < 0 or steps < 1:
        raise InputError(f"Expected a step of at least 0 and a ramp of at least 1 step. Received: {step=}, {steps=}")
    if not 0 <= initial <= final < 1:
        raise InputError(f"Expected 0 <= initial <= final < 1. Received: {initial=}, {final=}")
    left = 1 - min(step, steps) / steps
    return final + (initial - final) * left**3
