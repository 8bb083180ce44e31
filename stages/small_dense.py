"""Null baseline: narrow dense networks with as many parameters as the sparse ones have left."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def small_dense(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Null baseline: narrow dense networks with as many parameters as the sparse ones have left.

    Writes models/small_dense/SEED/ and metrics/small_dense/SEED.json and SEED.csv.
    """
    from prunefront.pipeline.store import left_out

    if left_out("small_dense", params, seed):
        return

    from prunefront.methods.small_dense import small_dense as walk
    from prunefront.pipeline.run import record, set_up_experiment

    experiment = set_up_experiment("small_dense", params, seed)
    training = experiment.params.small_dense
    with experiment.progress(len(training.levels), training.epochs) as progress:
        trainer = experiment.trainer(progress, training)
        shapes = [tuple(variable.shape) for variable in experiment.model.weights]
        points = walk(experiment.make_model, shapes, trainer, training, experiment.prunable)
        record(experiment, points, progress)


if __name__ == "__main__":
    run(small_dense)
