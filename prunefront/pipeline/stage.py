"""The stage of a method: from its name and its operating points to its results, for one seed or for all."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prunefront.common.params import Params, load_params
from prunefront.pipeline.side_by_side import PART, beside, shares
from prunefront.pipeline.store import done_file, drop_other_seeds, other_seeds, write_no_points, write_summary
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
        seed: the replicate; None takes all of the parameters' seeds. Where seeds came or went, those that were done
            before, by the same parameters, data and code, are kept.

    Raises:
        InputError: bad parameters, data that are not prepared, a network that does not fit, or a training that fails.
    """
    params = load_params(params_file)
    seeds = params.seeds_of(stage) if seed is None else (seed,)
    if not params.levels(stage):
        names = _leave_out(stage, params, seeds)
    elif seed is None:
        names = _run_missing(stage, points, params, params_file)
    else:
        names = _run(stage, points, params, _made_from(stage, params, seeds))
    if seed is None:
        drop_other_seeds(names, seeds)
    if PART not in os.environ:
        write_summary(stage, params.seeds_of(stage))


def _leave_out(stage: str, params: Params, seeds: Sequence[int]) -> set[str]:
    for seed in seeds:
        write_no_points(stage, seed)
    why = "teacher names no network" if stage == "teacher" else "no levels"
    if stage == "small_dense" and not params.model.built_in:
        why = "only the built-in network can be narrower"
    print(f"{stage}: left out, {why}")
    return {stage}


def _run_missing(stage: str, points: Method, params: Params, params_file: Path) -> set[str]:
    """Makes the seeds that are not done, as many at a time as the parameters say; all if none came or went."""
    seeds = params.seeds_of(stage)
    begun = any(done_file(stage, seed).exists() for seed in seeds)
    made = _made_from(stage, params, seeds) if begun else {}
    kept = _kept(stage, made) if begun else {}
    own, *others = shares([seed for seed in seeds if seed not in kept], params.runtime.processes)
    with beside(_module(points), params_file, others):
        made = made or _made_from(stage, params, own)  # only now: all processes import TensorFlow at the same time
        names = _run(stage, points, params, {seed: made[seed] for seed in own})
    return names.union(*kept.values())


def _kept(stage: str, made: Mapping[int, str]) -> dict[int, set[str]]:
    """The seeds that are done and stay, each with the names of its folders in `models/`.

    Args:
        stage: its name.
        made: for each of all seeds what it would be made from, see `done.made_from`.
    """
    from prunefront.pipeline.done import done_before

    found = {seed: done_before(stage, seed, wanted) for seed, wanted in made.items()}
    kept = {seed: done.names for seed, done in found.items() if done is not None}
    if len(kept) == len(found) and not other_seeds([stage], tuple(made)):
        return {}
    for seed in kept:
        print(f"{stage}, seed {seed}: done before, by the same parameters, data and code")
    return kept


def _made_from(stage: str, params: Params, seeds: Sequence[int]) -> dict[int, str]:
    """See `done.made_from`, of each seed; with all of the code imported that counts."""
    from prunefront.pipeline.done import made_from
    from prunefront.pipeline.run import open_run  # noqa: F401

    return {seed: made_from(stage, params, seed) for seed in seeds}


def _run(stage: str, points: Method, params: Params, made: dict[int, str]) -> set[str]:
    """Makes the series of seeds in turn; gives the names of the folders, in `models/`, that their weights are in.

    Args:
        stage, points, params: see `run_method`.
        made: for each seed what it is made from, see `done.made_from`.
    """
    from prunefront.pipeline.done import note_done
    from prunefront.pipeline.run import open_run, record
    from prunefront.pipeline.store import weights_folder
    from prunefront.training.network import Networks

    networks, names = Networks(), {stage}
    for seed in made:
        run = open_run(stage, params, seed, networks)
        record(run, points(run))
        names.update(run.kept)
        note_done(stage, seed, made[seed], [weights_folder(name, seed) for name in (stage, *run.kept)])
    return names


def _module(points: Method) -> str:
    """The module of the command that hands a method in, which other processes can run."""
    module = sys.modules[points.__module__]
    return module.__spec__.name if module.__spec__ is not None else module.__name__
