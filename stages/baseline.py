"""Train the dense network, or only evaluate the starting weights (baseline.epochs: 0)."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def baseline(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Train the dense network, or only evaluate the starting weights (baseline.epochs: 0).

    Writes models/baseline/SEED/, metrics/baseline/SEED.csv, and to models/baseline_early/SEED/ the
    weights of an early epoch (baseline.keep_epoch).
    """
    from prunefront.methods.baseline import baseline as method
    from prunefront.pipeline.doubts import doubting_statistics
    from prunefront.pipeline.stage import run_method

    run_method(
        "baseline", lambda r: doubting_statistics(r, method(r.start, r.trainer, r.settings, r.kept)), params, seed
    )


if __name__ == "__main__":
    run(baseline)
