"""Method 2: prune the dense weights by one magnitude threshold in each layer."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def prune_layerwise(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 2: prune the dense weights by one magnitude threshold in each layer.

    Reads models/baseline/SEED/; writes models/prune_layerwise/SEED/ and metrics/prune_layerwise/SEED.json and SEED.csv.
    """
    from prunefront.methods.prune import prune
    from prunefront.pipeline.run import record, set_up_experiment
    from prunefront.pruning.masks import layerwise_masks

    experiment = set_up_experiment("prune_layerwise", params, seed)
    levels = experiment.params.prune.levels
    with experiment.progress(len(levels)) as progress:
        points = prune(experiment.dense_weights(), levels, layerwise_masks, experiment.prunable)
        record(experiment, points, progress)


if __name__ == "__main__":
    run(prune_layerwise)
