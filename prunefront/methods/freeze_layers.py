"""Method 3 as the founding report ran it: one layer after the other is made sparse, frozen, and the rest retrained."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from prunefront.common.errors import InputError
from prunefront.common.sections import Freeze
from prunefront.pruning.masks import Weights, apply_masks, count_zeros, prune_smallest, pruned_count, removable
from prunefront.pruning.saliency import Score

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


class Step(NamedTuple):
    """A layer is pruned until the whole network has so many zeros, then all layers not yet frozen are retrained.

    Attributes:
        layer: the number of the layer.
        zeros: of the whole network after the step.
        level: the target sparsity that is reached; None between two levels.
    """

    layer: int
    zeros: int
    level: float | None


def freeze_layers(
    dense: Weights,
    trainer: "Trainer",
    settings: Freeze,
    score: Score,
    prunable: Sequence[bool],
    kernels: Sequence[bool],
    layer_numbers: Sequence[int],
) -> Iterator[tuple[float, Weights]]:
    """Walks the layers, the one with most weights first, from the dense weights on; see `plan`.

    A layer is frozen from its first step on. What is frozen keeps its values to the bit, but for the layer of the step,
    which gets further zeros. It is that layer, too, that makes up for zeros that come or go where training goes on, so
    that at each level the whole network has exactly its count; networks that have more already keep those.

    Args:
        dense: the dense network's weights.
        trainer: retrains.
        settings: the levels, the steps and caps, and how to retrain after each step.
        score: the saliency score of the weights of a layer.
        prunable: for each weight array whether zeros in it count.
        kernels: for each weight array whether it is pruned: the kernels among those.
        layer_numbers: for each weight array the number of its layer.

    Raises:
        InputError: a level that the caps do not let the walk reach.
    """
    sizes: dict[int, int] = {}
    for number, room in zip(layer_numbers, removable(dense, kernels, score), strict=True):
        if room:
            sizes[number] = sizes.get(number, 0) + room
    steps = plan(sizes, settings, sum(w.size for w, flag in zip(dense, prunable, strict=True) if flag))
    trainer.progress.expect(len(steps) * settings.epochs + len(settings.levels))
    weights, frozen = dense, set[int]()
    for step in steps:
        inside = [number == step.layer and flag for number, flag in zip(layer_numbers, kernels, strict=True)]
        frozen.add(step.layer)
        begun = _pruned(weights, step.zeros, inside, prunable, score)
        label = f"layer {step.layer}, {step.zeros:,} zeros"
        retrained = trainer.fit(begun, settings, frozen=frozenset(frozen), label=label)
        weights = _pruned(retrained, step.zeros, inside, prunable, score)
        if step.level is not None:
            yield step.level, weights


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
    for position, number in enumerate(sorted(sizes, key=lambda n: (-sizes[n], n))):
        cap = settings.caps[min(position, len(settings.caps) - 1)]
        for share in _shares(settings.step, cap):
            zeros = before + pruned_count(share, sizes[number])
            while goals and goals[0][0] <= zeros:
                steps.append(Step(number, *goals.pop(0)))
            if not goals:
                return steps
            if not steps or steps[-1].zeros < zeros:
                steps.append(Step(number, zeros, None))
        before += pruned_count(cap, sizes[number])
    raise InputError(
        f"freeze.levels: expected at most {before / size:.4f}, where all layers have reached their caps; raise "
        f"freeze.caps, or leave the level out. Received: {goals[0][1]}"
    )


def _shares(step: float, cap: float) -> list[float]:
    """Multiples of a step below a cap, and the cap."""
    count = round(cap / step, 9)
    return [step * k for k in range(1, int(count) + (count > int(count)))] + [cap]


def _pruned(weights: Weights, zeros: int, inside: Sequence[bool], prunable: Sequence[bool], score: Score) -> Weights:
    """The weights with further zeros inside, until there are so many in all that is prunable; none comes back."""
    there = count_zeros([w for w, flag in zip(weights, inside, strict=True) if flag])
    elsewhere = count_zeros([w for w, flag in zip(weights, prunable, strict=True) if flag]) - there
    return apply_masks(weights, prune_smallest(weights, max(there, zeros - elsewhere), inside, score))
