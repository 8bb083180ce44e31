"""Gradual pruning: the sparsity rises along a cubic curve during training, level by level."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def gradual(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Gradual pruning: the sparsity rises along a cubic curve during training, level by level.

    Reads models/baseline/SEED/; writes models/gradual/SEED/ and metrics/gradual/SEED.csv.
    """
    from prunefront.methods.gradual import gradual as method
    from prunefront.pipeline.stage import run_method

    run_method("gradual", lambda r: method(r.dense, r.trainer, r.settings, r.score, r.prunable), params, seed)


if __name__ == "__main__":
    run(gradual)
