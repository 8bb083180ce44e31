"""Null baseline: random masks, drawn in each array, with the retraining of `iterative`."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def random_layerwise(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Null baseline: random masks, drawn in each array, with the retraining of `iterative`.

    Reads models/baseline/SEED/; writes models/random_layerwise/SEED/ and SEED.json and SEED.csv in
    metrics/random_layerwise/.
    """
    from prunefront.pipeline.store import left_out

    if left_out("random_layerwise", params, seed):
        return

    from prunefront.methods.iterative import iterative as walk
    from prunefront.pipeline.run import record, set_up_experiment
    from prunefront.pruning.saliency import random_scores

    experiment = set_up_experiment("random_layerwise", params, seed)
    training = experiment.params.random
    with experiment.progress(len(training.levels), training.epochs) as progress:
        trainer = experiment.trainer(progress, training)
        score = random_scores(experiment.seed, layerwise=True)
        points = walk(experiment.dense_weights(), trainer, training, score, experiment.prunable)
        record(experiment, points, progress)


if __name__ == "__main__":
    run(random_layerwise)
