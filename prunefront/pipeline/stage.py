"""The stage of a method: from its name and its operating points to its results."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prunefront.common.params import load_params
from prunefront.pipeline.store import write_no_points
from prunefront.pruning.masks import Weights

if TYPE_CHECKING:
    from prunefront.pipeline.run import Run


def run_method(
    stage: str, points: "Callable[[Run], Iterable[tuple[float, Weights]]]", params_file: Path, seed: int | None = None
) -> None:
    """Runs a method's stage. Where the parameters give it no levels, only its empty results are written.

    That needs no TensorFlow, so that a method that is left out takes no time.

    Args:
        stage: its name, one of `params.STAGES`.
        points: makes the operating points of a run: (target sparsity, weights in model order), lowest level first.
        params_file: see `load_params`.
        seed: the replicate; None takes the first of the parameters' seeds.

    Raises:
        InputError: bad parameters, data that are not prepared, a network that does not fit, or a training that fails.
    """
    params = load_params(params_file)
    seed = params.seeds[0] if seed is None else seed
    if not params.levels(stage):
        write_no_points(stage, seed)
        narrow = stage == "small_dense" and not params.model.built_in
        print(f"{stage}: left out, {'only the built-in network can be narrower' if narrow else 'no levels'}")
        return

    from prunefront.pipeline.run import open_run, record

    run = open_run(stage, params, seed)
    record(run, points(run))
