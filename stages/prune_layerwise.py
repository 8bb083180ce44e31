"""Method 2: prune the dense weights by one magnitude threshold in each layer."""

from stages import PARAMS, ParamsOption, SeedOption, run


def prune_layerwise(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 2: prune the dense weights by one magnitude threshold in each layer.

    Reads models/baseline/SEED/; writes models/prune_layerwise/SEED/ and metrics/prune_layerwise/SEED.json and SEED.csv.
    """
    from prunefront.experiment import record, set_up_experiment
    from prunefront.masks import layerwise_masks
    from prunefront.methods.prune import prune

    experiment = set_up_experiment(params, seed)
    levels = experiment.params.prune.levels
    with experiment.progress("prune_layerwise", len(levels)) as progress:
        record(
            experiment,
            "prune_layerwise",
            prune(experiment.dense_weights(), levels, layerwise_masks, experiment.prunable),
            progress,
        )


if __name__ == "__main__":
    run(prune_layerwise)
