"""Train the dense network, or only evaluate the starting weights (baseline.epochs: 0)."""

from prunefront.common.commands import PARAMS, ParamsOption, SeedOption, run


def baseline(seed: SeedOption = None, params: ParamsOption = PARAMS) -> None:
    """Train the dense network, or only evaluate the starting weights (baseline.epochs: 0).

    Writes models/baseline/SEED/ and metrics/baseline/SEED.json and SEED.csv.
    """
    from prunefront.pipeline.run import record, set_up_experiment

    experiment = set_up_experiment("baseline", params, seed)
    training = experiment.params.baseline
    start = experiment.starting_weights()
    with experiment.progress(1, training.epochs) as progress:
        weights = experiment.trainer(progress, training).fit(start, training)
        record(experiment, [(0.0, weights)], progress)


if __name__ == "__main__":
    run(baseline)
