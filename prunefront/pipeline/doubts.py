"""What is to be said of a stage's points, found once they are there."""

import warnings
from collections.abc import Iterable, Iterator

from prunefront.pipeline.run import Run
from prunefront.pruning.masks import Weights
from prunefront.training.recipes import steps_per_epoch
from prunefront.training.statistics import normalizations, statistics_doubt
from prunefront.training.trainer import compile_classifier


def doubting_statistics(run: Run, points: Iterable[tuple[float, Weights]]) -> Iterator[tuple[float, Weights]]:
    """The points as they are; then a warning, which the results keep, if BatchNormalization's statistics are stale."""
    for level, weights in points:
        yield level, weights
        if not normalizations(run.model):
            continue
        model = run.make_model()
        model.set_weights(weights)
        compile_classifier(model, outputs=run.outputs)
        train = run.read("train")
        steps = run.settings.epochs * steps_per_epoch(train, run.settings)
        doubt = statistics_doubt(model, train, run.validation, run.settings.batch_size, steps)
        if doubt is not None:
            warnings.warn(doubt, stacklevel=2)
            run.warnings.append(doubt)
