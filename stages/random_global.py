"""Null baseline: random masks, drawn from all weights together, with the retraining of `iterative`."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def random_global(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Null baseline: random masks, drawn from all weights together, with the retraining of `iterative`.

    Reads models/baseline/SEED/; writes models/random_global/SEED/ and metrics/random_global/SEED.json and SEED.csv.
    """
    from prunefront.pipeline.store import left_out

    if left_out("random_global", params, seed):
        return

    from prunefront.methods.iterative import iterative as walk
    from prunefront.pipeline.run import record, set_up_experiment
    from prunefront.pruning.saliency import random_scores

    experiment = set_up_experiment("random_global", params, seed)
    training = experiment.params.random
    with experiment.progress(len(training.levels), training.epochs) as progress:
        trainer = experiment.trainer(progress, training)
        score = random_scores(experiment.seed, layerwise=False)
        points = walk(experiment.dense_weights(), trainer, training, score, experiment.prunable)
        record(experiment, points, progress)


if __name__ == "__main__":
    run(random_global)
