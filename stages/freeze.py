"""Method 3: freeze the layers that hold most of the zeros and retrain the others, level by level."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def freeze(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 3: freeze the layers that hold most of the zeros and retrain the others, level by level.

    Reads models/prune_global/SEED/; writes models/freeze/SEED/ and metrics/freeze/SEED.json and SEED.csv.
    """
    from prunefront.pipeline.store import left_out

    if left_out("freeze", params, seed):
        return

    from prunefront.methods.freeze import freeze as walk
    from prunefront.pipeline.run import record, set_up_experiment
    from prunefront.pipeline.store import load_nearest

    experiment = set_up_experiment("freeze", params, seed)
    training = experiment.params.freeze
    _, start = load_nearest("prune_global", experiment.seed, min(training.levels, default=1.0))
    with experiment.progress(len(training.levels), training.epochs) as progress:
        trainer = experiment.trainer(progress, training)
        record(experiment, walk(start, trainer, training, experiment.owners, experiment.prunable), progress)


if __name__ == "__main__":
    run(freeze)
