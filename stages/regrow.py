"""Gradual pruning with regrowth: masks move while the sparsity rises."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def regrow(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Gradual pruning with regrowth: masks move while the sparsity rises.

    Reads models/baseline/SEED/; writes models/regrow/SEED/ and metrics/regrow/SEED.csv.
    """
    from prunefront.methods.regrow import regrow as method
    from prunefront.pipeline.stage import run_method

    run_method("regrow", lambda r: method(r.dense, r.trainer, r.settings, r.score, r.prunable), params, seed)


if __name__ == "__main__":
    run(regrow)
