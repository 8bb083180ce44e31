"""Sparsity as a function of the training step."""

from prunefront.common.errors import InputError


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
