"""The stage of a method: from its name and its operating points to its results, for one seed or for all."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prunefront.common.params import Params, load_params
from prunefront.pipeline.store import drop_other_seeds, write_no_points, write_summary
from prunefront.pruning.masks import Weights

if TYPE_CHECKING:
    from prunefront.pipeline.run import Run

Method = Callable[["Run"], Iterable[tuple[float, Weights]]]


def run_method(stage: str, points: Method, params_file: Path, seed: int | None = None) -> None:
    """Runs a method's stage. Where the parameters give it no levels, only its empty results are written.

    That needs no TensorFlow, so that a method that is left out takes no time.

    Args:
        stage: its name, one of `params.STAGES`.
        points: makes the operating points of a run: (target sparsity, weights in model order), lowest level first.
        params_file: see `load_params`.
        seed: the replicate; None takes all of the parameters' seeds in turn, but for those that are done if others
            are not: they were made by the same parameters, data and code.

    Raises:
        InputError: bad parameters, data that are not prepared, a network that does not fit, or a training that fails.
    """
    params = load_params(params_file)
    written = _run(stage, points, params, seed) if params.levels(stage) else _leave_out(stage, params, seed)
    if seed is None:
        drop_other_seeds(written, params.seeds)
    write_summary(stage, params.seeds)


def _leave_out(stage: str, params: Params, seed: int | None) -> set[str]:
    for each in params.seeds if seed is None else [seed]:
        write_no_points(stage, each)
    narrow = stage == "small_dense" and not params.model.built_in
    print(f"{stage}: left out, {'only the built-in network can be narrower' if narrow else 'no levels'}")
    return {stage}


def _run(stage: str, points: Method, params: Params, seed: int | None) -> set[str]:
    """Makes what is missing; gives the names of the folders, in `models/`, that it is in."""
    from prunefront.pipeline.done import is_done, made_from, note_done
    from prunefront.pipeline.run import open_run, record
    from prunefront.pipeline.store import weights_folder
    from prunefront.training.network import Networks

    made = {each: made_from(stage, params, each) for each in (params.seeds if seed is None else [seed])}
    missing = [each for each in made if not is_done(stage, each, made[each])]
    networks, names = Networks(), {stage}
    for each in made:
        if seed is None and missing and each not in missing:
            print(f"{stage}, seed {each}: done before, by the same parameters, data and code")
            continue
        run = open_run(stage, params, each, networks)
        record(run, points(run))
        names.update(run.kept)
        note_done(stage, each, made[each], [weights_folder(name, each) for name in (stage, *run.kept)])
    return names
