"""Gradual magnitude pruning: the sparsity rises along a cubic curve while the network trains."""

from collections.abc import Callable, Iterator, Sequence

from prunefront.common.params import Gradual
from prunefront.pruning.masks import Masks, Weights, count_false, further_masks, nonzero_masks
from prunefront.pruning.saliency import Score
from prunefront.pruning.schedules import cubic_sparsity
from prunefront.training.hold import prune_further
from prunefront.training.trainer import Ramp, Trainer


def gradual(
    dense: Weights, trainer: "Trainer", settings: Gradual, score: Score, prunable: Sequence[bool]
) -> Iterator[tuple[float, Weights]]:
    """Walks the levels upwards, each from the weights of the one before.

    At each level the sparsity rises from the level below along the cubic curve of Zhu and Gupta, "To prune, or not to
    prune" (2017), in `ramp_epochs` epochs, by a step every `ramp_steps` training steps; the rest of the epochs retrains
    with the zeros held, and the best of those is kept. Weights that start sparser than a level keep their zeros.

    Args:
        dense: weights in model order to start from.
        trainer: retrains.
        settings: the levels, the ramp and how to retrain.
        score: the saliency score.
        prunable: for each weight array whether it may be pruned.
    """
    weights = dense
    pool = sum(w.size for w, chosen in zip(weights, prunable, strict=True) if chosen)

    def masks_at(current: Weights, sparsity: float) -> Masks:
        return further_masks(current, sparsity, prunable, score)

    for level in settings.levels:
        present = nonzero_masks(weights, prunable)
        initial = min(level, count_false(present) / pool)
        ramp = _CubicRamp(masks_at, initial, level, trainer.steps(settings, settings.ramp_epochs), settings.ramp_steps)
        ramp.settings = [initial, level, list(prunable)]
        weights = trainer.fit(
            weights, settings, masks=present, ramp=ramp, ramp_epochs=settings.ramp_epochs, label=f"{level:.2%}"
        )
        yield level, weights


class _CubicRamp(Ramp):
    """Prunes the model in training further, every so many steps and, to the full level, at the end of the ramp."""

    def __init__(
        self, masks_at: Callable[[Weights, float], Masks], initial: float, final: float, steps: int, every: int
    ):
        super().__init__()
        self.masks_at, self.initial, self.final, self.steps, self.every = masks_at, initial, final, steps, every
        self.step = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        if self.step == self.steps or (self.step < self.steps and self.step % self.every == 0):
            sparsity = cubic_sparsity(self.step, self.steps, self.initial, self.final)
            masks = self.masks_at(self.model.get_weights(), sparsity)
            prune_further(self.model, masks, allow_empty_layers=True)
        self.step += 1
