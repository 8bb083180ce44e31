"""Gradual pruning: the sparsity rises along a cubic curve during training, level by level."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def gradual(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Gradual pruning: the sparsity rises along a cubic curve during training, level by level.

    Reads models/baseline/SEED/; writes models/gradual/SEED/ and metrics/gradual/SEED.json and SEED.csv.
    """
    from prunefront.pipeline.store import left_out

    if left_out("gradual", params, seed):
        return

    from prunefront.methods.gradual import gradual as walk
    from prunefront.pipeline.run import record, set_up_experiment
    from prunefront.pruning.saliency import ALLOCATIONS

    experiment = set_up_experiment("gradual", params, seed)
    training = experiment.params.gradual
    with experiment.progress(len(training.levels), training.epochs) as progress:
        trainer = experiment.trainer(progress, training)
        score = ALLOCATIONS[training.allocation]
        points = walk(experiment.dense_weights(), trainer, training, score, experiment.prunable)
        record(experiment, points, progress)


if __name__ == "__main__":
    run(gradual)
