"""Iterative pruning: prune, retrain with the learning rate rewound, prune further."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def iterative(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Iterative pruning: prune, retrain with the learning rate rewound, prune further.

    Reads models/baseline/SEED/; writes models/iterative/SEED/ and metrics/iterative/SEED.csv.
    """
    from prunefront.methods.iterative import iterative as method
    from prunefront.pipeline.stage import run_method

    run_method("iterative", lambda r: method(r.dense, r.trainer, r.settings, r.score, r.prunable), params, seed)


if __name__ == "__main__":
    run(iterative)
