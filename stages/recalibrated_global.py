"""Method 1's weights with the statistics of batch normalization computed anew."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def recalibrated_global(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 1's weights with the statistics of batch normalization computed anew.

    Reads models/prune_global/SEED/; writes models/recalibrated_global/SEED/ and metrics/recalibrated_global/SEED.csv.
    """
    from functools import partial

    from prunefront.methods.recalibrate import recalibrate as method
    from prunefront.pipeline.stage import run_method

    run_method(
        "recalibrated_global",
        lambda r: method(partial(r.load, "prune_global"), r.make_model, r.read("train"), r.settings),
        params,
        seed,
    )


if __name__ == "__main__":
    run(recalibrated_global)
