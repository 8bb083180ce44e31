"""Compare all methods, plot the frontier and submit the weights with the highest score."""

from prunefront.common.commands import PARAMS, ParamsOption, run


def pareto(params: ParamsOption = PARAMS) -> None:
    """Compare all methods, plot the frontier and submit the weights with the highest score.

    Reads metrics/ and models/ of the methods and seeds in the parameters. Writes metrics/frontier.csv,
    metrics/intervals.csv, metrics/pareto.json, metrics/pareto.png, metrics/sensitivity.png, models/correct.npz and
    models/submitted.weights.h5. Reads the test split, once.
    """
    import warnings

    from prunefront.common.params import load_params
    from prunefront.common.provenance import write_provenance
    from prunefront.data.splits import PREPARED, majority_doubt, read_class_names
    from prunefront.frontier.submission import choose, load_baselines, load_frontier, noted_warnings, submit
    from prunefront.pipeline.run import open_run
    from prunefront.pipeline.store import RESULTS, SUBMITTED

    settings = load_params(params)
    points = load_frontier(settings)
    chosen, above_gate = choose(points, load_baselines(settings), settings.pareto)
    if not above_gate:
        print(f"no operating point is above the accuracy gate ({settings.pareto.gate}): submitting the dense baseline")
    opened = open_run("pareto", settings, int(chosen["seed"]))
    doubt = majority_doubt(opened.validation.y, read_class_names(), settings.pareto.gate)
    doubts = list(dict.fromkeys([*noted_warnings(settings), *filter(None, [doubt])]))
    for line in doubts:
        warnings.warn(line, stacklevel=1)
    submit(opened, points, chosen, above_gate, doubts)
    write_provenance("pareto", settings, PREPARED, [*RESULTS, SUBMITTED], warnings=doubts)


if __name__ == "__main__":
    run(pareto)
