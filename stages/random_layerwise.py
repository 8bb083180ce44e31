"""Null baseline: random masks, drawn in each array, with the retraining of `iterative`."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def random_layerwise(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Null baseline: random masks, drawn in each array, with the retraining of `iterative`.

    Reads models/baseline/SEED/; writes models/random_layerwise/SEED/ and metrics/random_layerwise/SEED.csv.
    """
    from prunefront.methods.iterative import iterative as method
    from prunefront.pipeline.stage import run_method
    from prunefront.pruning.saliency import random_scores

    run_method(
        "random_layerwise",
        lambda r: method(r.dense, r.trainer, r.settings, r.sparing(random_scores(r.seed, layerwise=True)), r.prunable),
        params,
        seed,
    )


if __name__ == "__main__":
    run(random_layerwise)
