"""Gradual pruning with regrowth: the sparsity rises along a cubic curve, and meanwhile the masks move."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prunefront.common.sections import Regrow
from prunefront.methods.gradual import gradual
from prunefront.pruning.masks import Weights
from prunefront.pruning.saliency import Score

if TYPE_CHECKING:
    from prunefront.training.trainer import Trainer


def regrow(
    start: Weights, trainer: "Trainer", settings: Regrow, score: Score, prunable: Sequence[bool]
) -> Iterator[tuple[float, Weights]]:
    """`gradual`, with weights that come back at each update of the masks but the last of each level.

    After the pruning of an update a share of what is kept of each array leaves too, the lowest scores first, and as
    many pruned weights come back, from zero, those with the largest gradient on a batch of training examples: Evci et
    al., "Rigging the lottery" (2020), along a rising sparsity as in Liu et al., "Sparse training via boosting pruning
    plasticity with neuroregeneration" (2021). The share falls to 0 over the ramp; the last update only prunes, so each
    level has exactly its count of zeros, and they are held to its end.

    Arguments are those of `gradual`.
    """
    return gradual(start, trainer, settings, score, prunable, settings.share)
