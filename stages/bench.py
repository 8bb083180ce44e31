"""Time the submitted model in every format beside the dense network, in one interleaved run."""

from typing import Annotated

import typer

from prunefront.common.commands import PARAMS, ParamsOption, run


def bench(
    params: ParamsOption = PARAMS,
    rounds: Annotated[int, typer.Option(min=5, help="How often everything is timed, in turn.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.001, help="That each measurement takes at least.")] = 0.05,
) -> None:
    """Time the submitted model in every format beside the dense network, in one interleaved run.

    Batches of 1 and 64, on one and two threads, as multiples of the dense network's speed in LiteRT float32. Writes
    costs/latency.csv, which `prunefront show` prints and `prunefront publish` copies.
    """
    from prunefront.common.params import load_params
    from prunefront.tools.bench import bench as measure
    from prunefront.tools.show import print_latency

    print_latency(measure(load_params(params), rounds, seconds))


if __name__ == "__main__":
    run(bench)
