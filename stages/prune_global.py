"""Method 1: prune the dense weights by one magnitude threshold over all of them."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def prune_global(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 1: prune the dense weights by one magnitude threshold over all of them.

    Reads models/baseline/SEED/; writes models/prune_global/SEED/ and metrics/prune_global/SEED.json and SEED.csv.
    """
    from prunefront.methods.prune import prune
    from prunefront.pipeline.run import record, set_up_experiment
    from prunefront.pruning.masks import global_masks

    experiment = set_up_experiment("prune_global", params, seed)
    levels = experiment.params.prune.levels
    with experiment.progress(len(levels)) as progress:
        points = prune(experiment.dense_weights(), levels, global_masks, experiment.prunable)
        record(experiment, points, progress)


if __name__ == "__main__":
    run(prune_global)
