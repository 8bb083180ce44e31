"""Method 1: prune the dense weights by one magnitude threshold over all of them."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def prune_global(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 1: prune the dense weights by one magnitude threshold over all of them.

    Reads models/baseline/SEED/; writes models/prune_global/SEED/ and metrics/prune_global/SEED.csv.
    """
    from prunefront.methods.prune import prune as method
    from prunefront.pipeline.stage import run_method

    run_method(
        "prune_global",
        lambda r: method(r.dense, r.settings.levels, r.score, r.prunable, layerwise=False),
        params,
        seed,
    )


if __name__ == "__main__":
    run(prune_global)
