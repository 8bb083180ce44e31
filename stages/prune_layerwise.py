"""Method 2: prune the dense weights by one magnitude threshold in each layer."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def prune_layerwise(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 2: prune the dense weights by one magnitude threshold in each layer.

    Reads models/baseline/SEED/; writes models/prune_layerwise/SEED/ and metrics/prune_layerwise/SEED.csv.
    """
    from prunefront.methods.prune import prune as method
    from prunefront.pipeline.stage import run_method

    run_method(
        "prune_layerwise",
        lambda r: method(r.dense, r.settings.levels, r.score, r.prunable, layerwise=True),
        params,
        seed,
    )


if __name__ == "__main__":
    run(prune_layerwise)
