"""Method 3: freeze the layers that hold most of the zeros and retrain the others, level by level."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def freeze(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Method 3: freeze the layers that hold most of the zeros and retrain the others, level by level.

    With freeze.order: layers, one layer after the other is made sparse in steps and frozen, the largest first. Reads
    models/prune_global/SEED/, or models/baseline/SEED/; writes models/freeze/SEED/ and metrics/freeze/SEED.csv.
    """
    from functools import partial

    from prunefront.methods.freeze import freeze as method
    from prunefront.methods.freeze_layers import freeze_layers
    from prunefront.pipeline.stage import run_method

    run_method(
        "freeze",
        lambda r: (
            freeze_layers(r.dense, r.trainer, r.settings, r.score, r.prunable, r.prunable_kernels, r.layer_numbers)
            if r.settings.order == "layers"
            else method(partial(r.load, "prune_global"), r.trainer, r.settings, r.score, r.prunable, r.layer_numbers)
        ),
        params,
        seed,
    )


if __name__ == "__main__":
    run(freeze)
