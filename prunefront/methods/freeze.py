"""Method 3 of the founding report: freeze the layers that hold most of the zeros, retrain the others."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from prunefront.common.sections import Freeze
from prunefront.pruning.masks import (
    Masks,
    Weights,
    apply_masks,
    count_false,
    count_zeros,
    further_masks,
    prune_smallest,
    removable,
)
from prunefront.pruning.saliency import Score

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def freeze(
    start: Callable[[float], tuple[float, Weights]],
    trainer: "Trainer",
    settings: Freeze,
    score: Score,
    prunable: Sequence[bool],
    layer_numbers: Sequence[int],
) -> Iterator[tuple[float, Weights]]:
    """Walks the levels upwards, each from the weights of the one before.

    At each level the weights are pruned by method 1's rule. The layers with the largest counts of zeros are frozen; the
    others become trainable again, zeros included, and are retrained. So that the whole model still has exactly the
    level's count of zeros, the frozen layers are thresholded further to hold the zeros that the others lose. Weights
    that start sparser than a level keep the count of zeros that they have.

    Args:
        start: gives method 1's weights at a level, with that level; the first level starts from them.
        trainer: retrains.
        settings: the levels, how to retrain, and the share of all zeros that the frozen layers hold at least.
        score: the saliency score of further zeros.
        prunable: for each weight array whether it may be pruned.
        layer_numbers: for each weight array the number of its layer.
    """
    _, weights = start(settings.levels[0])
    for level in settings.levels:
        masks = further_masks(weights, level, prunable, score)
        frozen = layers_to_freeze(masks, settings.frozen_share, layer_numbers, removable(weights, prunable, score))
        inside = [number in frozen and flag for number, flag in zip(layer_numbers, prunable, strict=True)]
        outside = [flag and not within for within, flag in zip(inside, prunable, strict=True)]
        needed = count_false(masks)
        begun = _merge(apply_masks(weights, masks), _thresholded(weights, needed, inside, score), inside)
        retrained = trainer.fit(begun, settings.at(level), frozen=frozen, label=f"{level:.1%}")
        # Zeros that never saw a gradient are still there: the frozen layers need to hold that many fewer.
        remaining = count_zeros([w for w, counted in zip(retrained, outside, strict=True) if counted])
        weights = _merge(retrained, _thresholded(weights, max(0, needed - remaining), inside, score), inside)
        yield level, weights


def layers_to_freeze(
    masks: Masks, share: float, layer_numbers: Sequence[int], removable: Sequence[int]
) -> frozenset[int]:
    """The layers with most zeros, largest count first, until they hold `share` of the zeros, and have room for all.

    Args:
        masks: the level's masks; False = zero.
        share: in [0, 1].
        layer_numbers: for each mask the number of its layer.
        removable: for each mask how many of its weights may be zero: that much room there is.
    """
    zeros = dict.fromkeys(layer_numbers, 0)
    room = dict.fromkeys(layer_numbers, 0)
    for mask, number, most in zip(masks, layer_numbers, removable, strict=True):
        zeros[number] += count_false([mask])
        room[number] += most
    total = sum(zeros.values())
    frozen: list[int] = []
    for number in sorted(zeros, key=lambda n: -zeros[n]):
        held = sum(zeros[n] for n in frozen)
        if zeros[number] == 0 or (held >= share * total and sum(room[n] for n in frozen) >= total):
            break
        frozen.append(number)
    return frozenset(frozen)


def _thresholded(weights: Weights, count: int, inside: Sequence[bool], score: Score) -> Weights:
    return apply_masks(weights, prune_smallest(weights, count, inside, score))


def _merge(outside_from: Weights, inside_from: Weights, inside: Sequence[bool]) -> Weights:
    return [b if i else a for a, b, i in zip(outside_from, inside_from, inside, strict=True)]
