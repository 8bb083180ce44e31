"""Method 4: retrain all layers from method 3's weights, with every zero held by a mask."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def masked(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 4: retrain all layers from method 3's weights, with every zero held by a mask.

    Reads models/freeze/SEED/; writes models/masked/SEED/ and metrics/masked/SEED.csv.
    """
    from functools import partial

    from prunefront.methods.masked import masked as method
    from prunefront.pipeline.stage import run_method

    run_method(
        "masked",
        lambda r: method(partial(r.load, "freeze"), r.trainer, r.settings, r.score, r.prunable),
        params,
        seed,
    )


if __name__ == "__main__":
    run(masked)
