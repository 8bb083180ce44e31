"""Method 2's weights with the statistics of batch normalization computed anew."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def recalibrated_layerwise(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 2's weights with the statistics of batch normalization computed anew.

    Reads models/prune_layerwise/SEED/; writes models/recalibrated_layerwise/SEED/ and SEED.json and SEED.csv in
    metrics/recalibrated_layerwise/.
    """
    from prunefront.pipeline.store import left_out

    if left_out("recalibrated_layerwise", params, seed):
        return

    from functools import partial

    from prunefront.methods.recalibrate import recalibrate
    from prunefront.pipeline.run import record, set_up_experiment
    from prunefront.pipeline.store import load_nearest

    experiment = set_up_experiment("recalibrated_layerwise", params, seed)
    settings = experiment.params.recalibrate
    pruned = partial(load_nearest, "prune_layerwise", experiment.seed)
    with experiment.progress(len(settings.levels)) as progress:
        train = experiment.read("train")
        points = recalibrate(pruned, settings.levels, experiment.make_model, train, settings.batch_size)
        record(experiment, points, progress)


if __name__ == "__main__":
    run(recalibrated_layerwise)
