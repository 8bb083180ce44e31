"""Magnitude pruning with late rewinding: prune once, retrain from the weights of an early epoch."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def magnitude_rewind(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Magnitude pruning with late rewinding: prune once, retrain from the weights of an early epoch.

    Reads models/baseline/SEED/ and models/baseline_early/SEED/; writes models/magnitude_rewind/SEED/ and
    metrics/magnitude_rewind/SEED.csv.
    """
    from prunefront.methods.magnitude_rewind import magnitude_rewind as method
    from prunefront.pipeline.stage import run_method

    run_method(
        "magnitude_rewind",
        lambda r: method(r.dense, r.trainer, r.settings, r.score, r.prunable, r.early),
        params,
        seed,
    )


if __name__ == "__main__":
    run(magnitude_rewind)
