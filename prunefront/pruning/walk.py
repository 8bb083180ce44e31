"""The plan of a walk through the layers: each in its turn is made sparse in steps, up to a cap."""

from collections.abc import Mapping
from typing import NamedTuple

from prunefront.common.errors import InputError
from prunefront.common.sections import Freeze
from prunefront.pruning.masks import pruned_count


class Step(NamedTuple):
    """A layer is pruned until the whole network has so many zeros, then all layers not yet frozen are retrained.

    Attributes:
        layer: the number of the layer.
        zeros: of the whole network after the step.
        level: the target sparsity that is reached, or that the step is on the way to.
        reached: which of the two.
    """

    layer: int
    zeros: int
    level: float
    reached: bool


def plan(sizes: Mapping[int, int], settings: Freeze, size: int) -> list[Step]:
    """The steps to the highest level.

    The sparsity of the largest layer rises by `step` up to the first cap, then that of the next largest up to the
    second; the last cap holds for all further layers. A step that would pass a level ends at it, the next one goes on.

    Args:
        sizes: for the number of each layer how many of its weights may be pruned.
        settings: levels, step and caps.
        size: number of all weights that the levels are shares of.

    Raises:
        InputError: a level that the caps do not let the walk reach.
    """
    goals = [(pruned_count(level, size), level) for level in settings.levels]
    steps: list[Step] = []
    before = 0
    for number, cap in _capped(sizes, settings):
        for share in _shares(settings.step, cap):
            zeros = before + pruned_count(share, sizes[number])
            while goals and goals[0][0] <= zeros:
                steps.append(Step(number, *goals.pop(0), True))
            if not goals:
                return steps
            if not steps or steps[-1].zeros < zeros:
                steps.append(Step(number, zeros, goals[0][1], False))
        before += pruned_count(cap, sizes[number])
    raise InputError(
        f"freeze.levels: expected at most {before / size:.4f}, where all layers have reached their caps; raise "
        f"freeze.caps, or leave the level out. Received: {goals[0][1]}"
    )


def reachable(sizes: Mapping[int, int], settings: Freeze) -> int:
    """The zeros of a network whose layers have all reached their caps; arguments as those of `plan`."""
    return sum(pruned_count(cap, sizes[number]) for number, cap in _capped(sizes, settings))


def _capped(sizes: Mapping[int, int], settings: Freeze) -> list[tuple[int, float]]:
    """The layers in the order of the walk, each with its cap."""
    order = sorted(sizes, key=lambda number: (-sizes[number], number))
    return [(number, settings.caps[min(k, len(settings.caps) - 1)]) for k, number in enumerate(order)]


def _shares(step: float, cap: float) -> list[float]:
    """Multiples of a step below a cap, and the cap."""
    count = round(cap / step, 9)
    return [step * k for k in range(1, int(count) + (count > int(count)))] + [cap]
