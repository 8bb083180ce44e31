"""Method 3 as the founding report ran it: one layer after the other is made sparse, frozen, and the rest retrained."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prunefront.common.sections import Freeze
from prunefront.pruning.masks import Weights, apply_masks, count_zeros, prune_smallest, removable
from prunefront.pruning.saliency import Score
from prunefront.pruning.walk import plan

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def freeze_layers(
    dense: Weights,
    trainer: "Trainer",
    settings: Freeze,
    score: Score,
    prunable: Sequence[bool],
    kernels: Sequence[bool],
    layer_numbers: Sequence[int],
) -> Iterator[tuple[float, Weights]]:
    """Walks the layers, the one with most weights first, from the dense weights on; see `walk.plan`.

    A layer is frozen from its first step on. What is frozen keeps its values to the bit, but for the layer of the step,
    which gets further zeros. It is that layer, too, that makes up for zeros that come or go where training goes on, so
    that at each level the whole network has exactly its count; networks that have more already keep those.

    Args:
        dense: the dense network's weights.
        trainer: retrains.
        settings: the levels, the steps and caps, and how to retrain after each step on the way to a level.
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
    trainer.progress.expect(sum(settings.at(step.level).epochs for step in steps) + len(settings.levels))
    weights, frozen = dense, set[int]()
    for step in steps:
        inside = [number == step.layer and flag for number, flag in zip(layer_numbers, kernels, strict=True)]
        frozen.add(step.layer)
        begun = _pruned(weights, step.zeros, inside, prunable, score)
        label = f"layer {step.layer}, {step.zeros:,} zeros"
        retrained = trainer.fit(begun, settings.at(step.level), frozen=frozenset(frozen), label=label)
        weights = _pruned(retrained, step.zeros, inside, prunable, score)
        if step.reached:
            yield step.level, weights


def _pruned(weights: Weights, zeros: int, inside: Sequence[bool], prunable: Sequence[bool], score: Score) -> Weights:
    """The weights with further zeros inside, until there are so many in all that is prunable; none comes back."""
    there = count_zeros([w for w, flag in zip(weights, inside, strict=True) if flag])
    elsewhere = count_zeros([w for w, flag in zip(weights, prunable, strict=True) if flag]) - there
    return apply_masks(weights, prune_smallest(weights, max(there, zeros - elsewhere), inside, score))
