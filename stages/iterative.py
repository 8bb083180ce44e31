"""Iterative pruning: prune, retrain with the learning rate rewound, prune further."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def iterative(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Iterative pruning: prune, retrain with the learning rate rewound, prune further.

    Reads models/baseline/SEED/; writes models/iterative/SEED/ and metrics/iterative/SEED.json and SEED.csv.
    """
    from prunefront.pipeline.store import left_out

    if left_out("iterative", params, seed):
        return

    from prunefront.methods.iterative import iterative as walk
    from prunefront.pipeline.run import record, set_up_experiment
    from prunefront.pruning.saliency import ALLOCATIONS

    experiment = set_up_experiment("iterative", params, seed)
    training = experiment.params.iterative
    with experiment.progress(len(training.levels), training.epochs) as progress:
        trainer = experiment.trainer(progress, training)
        score = ALLOCATIONS[training.allocation]
        points = walk(experiment.dense_weights(), trainer, training, score, experiment.prunable)
        record(experiment, points, progress)


if __name__ == "__main__":
    run(iterative)
