"""Null baseline: narrow dense networks with as many parameters as the sparse ones have left."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def small_dense(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Null baseline: narrow dense networks with as many parameters as the sparse ones have left.

    Writes models/small_dense/SEED/ and metrics/small_dense/SEED.csv.
    """
    from prunefront.methods.small_dense import small_dense as method
    from prunefront.pipeline.stage import run_method

    run_method("small_dense", lambda r: method(r.make_model, r.shapes, r.trainer, r.settings, r.prunable), params, seed)


if __name__ == "__main__":
    run(small_dense)
