"""Null baseline: random masks, drawn from all weights together, with the retraining of `iterative`."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def random_global(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Null baseline: random masks, drawn from all weights together, with the retraining of `iterative`.

    Reads models/baseline/SEED/; writes models/random_global/SEED/ and metrics/random_global/SEED.csv.
    """
    from prunefront.methods.iterative import iterative as method
    from prunefront.pipeline.stage import run_method
    from prunefront.pruning.saliency import random_scores

    run_method(
        "random_global",
        lambda r: method(r.dense, r.trainer, r.settings, r.sparing(random_scores(r.seed, layerwise=False)), r.prunable),
        params,
        seed,
    )


if __name__ == "__main__":
    run(random_global)
