"""Method 4: retrain all layers from method 3's weights, with every zero held by a mask."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def masked(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 4: retrain all layers from method 3's weights, with every zero held by a mask.

    Reads models/freeze/SEED/; writes models/masked/SEED/ and metrics/masked/SEED.json and SEED.csv.
    """
    from prunefront.pipeline.store import left_out

    if left_out("masked", params, seed):
        return

    from functools import partial

    from prunefront.methods.masked import masked as walk
    from prunefront.pipeline.run import record, set_up_experiment
    from prunefront.pipeline.store import load_nearest

    experiment = set_up_experiment("masked", params, seed)
    training = experiment.params.masked
    start = partial(load_nearest, "freeze", experiment.seed)
    with experiment.progress(len(training.levels), training.epochs) as progress:
        trainer = experiment.trainer(progress, training)
        record(experiment, walk(start, trainer, training, experiment.prunable), progress)


if __name__ == "__main__":
    run(masked)
