"""How fast the exported model is, beside the dense network and without compaction, in every format, in one run."""

import contextlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd

from prunefront.common.errors import InputError
from prunefront.common.files import digest
from prunefront.common.params import Params
from prunefront.export.export import Subject, as_it_is, compacted, make_job, outputs_of, write
from prunefront.export.formats import family, file_of
from prunefront.export.latency import BATCHES, COLUMNS, LATENCY, THREADS
from prunefront.export.processes import asking
from prunefront.export.results import write_table
from prunefront.export.runtimes import Job
from prunefront.export.stage import open_in_float32
from prunefront.export.timing import Measure, Measured, Timed
from prunefront.frontier.summary import read_summary
from prunefront.models.weights import load_weights
from prunefront.pipeline.run import Run
from prunefront.pipeline.store import SUBMITTED, load_nearest

REFERENCE = ("dense", "litert")
ROUNDS = 7
SECONDS = 0.05


class Case(NamedTuple):
    """What is timed."""

    model: str
    format: str
    batch: int
    threads: int


def bench(params: Params, rounds: int = ROUNDS, seconds: float = SECONDS) -> pd.DataFrame:
    """Times everything in turn, round by round, and writes `costs/latency.csv`.

    A format that cannot hold a model, or that nothing here can run, is left out, and a line says why. C has no threads
    of its own, and takes a batch one example after the other.

    Args:
        params: of the run; `export.formats` are timed, and LiteRT float32 in any case.
        rounds: how often everything is timed.
        seconds: that each measurement takes at least.

    Returns:
        The rows, with the columns of `COLUMNS`.

    Raises:
        InputError: there is no submitted model, or the dense network does not run in LiteRT.
    """
    if not SUBMITTED.exists():
        raise InputError(f"Expected a complete run; run `dvc repro`. Received: no {SUBMITTED}")
    opened = open_in_float32(params)
    formats: list[str] = [
        name for name in dict.fromkeys(("litert", *params.export.formats)) if family(name) != "sparse"
    ]
    with TemporaryDirectory(prefix="prunefront-") as temporary:
        folder = Path(temporary)
        examples = opened.read("test").x
        x = examples[np.resize(np.arange(len(examples)), max(BATCHES))]
        np.save(folder / "examples.npy", x)
        subjects = _subjects(opened)
        job = make_job(opened, outputs_of(opened.model, x[:1]).shape[1], folder, subjects[-1][1])
        files: dict[str, dict[str, Path]] = {name: {} for name in formats}
        for model, subject in subjects:
            for name, path in _files(formats, model, subject, job).items():
                files[name][model] = path
        times = _timed(files, job, folder / "examples.npy", rounds, seconds)
    table = _table(times, rounds)
    write_table(LATENCY, table)
    return table


def _subjects(opened: Run) -> list[tuple[str, Subject]]:
    """The models that are compared, by name; no compacted one where the network is not known well enough."""
    dense = load_nearest("baseline", read_summary().submitted.seed, 0.0)[1]
    submitted = as_it_is(opened, load_weights(SUBMITTED))
    small = compacted(submitted, outputs_of(submitted.model, opened.validation.x))
    subjects = [("dense", as_it_is(opened, dense)), ("submitted", submitted), ("compacted", small)]
    return subjects[: 2 + (small is not submitted)]


def _files(formats: Sequence[str], model: str, subject: Subject, job: Job) -> dict[str, Path]:
    """A model in the formats that can hold it."""
    files = {name: file_of(name, job.folder, model) for name in formats}
    refused = write(files, subject, job)
    for name, reason in refused.items():
        print(f"left out is {model} as {name}: {reason}", flush=True)
    return {name: path for name, path in files.items() if name not in refused}


def _timed(
    files: dict[str, dict[str, Path]], job: Job, examples: Path, rounds: int, seconds: float
) -> dict[Case, list[float]]:
    """Seconds of each case in each round; a case that fails once is left out."""
    times: dict[Case, list[float]] = {}
    with contextlib.ExitStack() as stack:
        processes = {
            (name, threads): stack.enter_context(
                asking(
                    "prunefront.export.timing",
                    Timed(name=name, threads=threads, files=of, job=job, examples=examples, seconds=seconds),
                    Measured,
                    job.folder / f"{name}-{threads}.log",
                )
            )
            for (name, of), threads in product(files.items(), THREADS)
            if of and not (family(name) == "c" and threads > 1)
        }
        cases = [
            Case(model, name, batch, threads)
            for batch, threads, (name, of) in product(BATCHES, THREADS, files.items())
            for model in of
            if (name, threads) in processes
        ]
        for number in range(rounds):
            order = np.random.default_rng(number).permutation(len(cases))  # none always behind the same
            for case in [cases[index] for index in order]:
                answer = processes[case.format, case.threads](Measure(model=case.model, batch=case.batch))
                if isinstance(answer, str):
                    answer = Measured(refusal=f"the runtime ended {answer}")
                if answer.refusal is None:
                    times.setdefault(case, []).append(answer.seconds)
                else:
                    cases.remove(case)
                    print(f"left out is {', '.join(map(str, case))} threads: {answer.refusal}", flush=True)
            print(f"round {number + 1} of {rounds}", flush=True)
    return {case: times[case] for case in cases}


def _table(times: dict[Case, list[float]], rounds: int) -> pd.DataFrame:
    """The rows. Raises InputError if what they are compared with was not timed."""
    rows = []
    submitted = digest(SUBMITTED)
    for case, taken in times.items():
        reference = times.get(Case(*REFERENCE, case.batch, case.threads))
        if reference is None:
            raise InputError("Expected LiteRT to run the dense network, which all is compared with. Received: no time")
        ratios = np.array(reference) / np.array(taken)
        rows.append(
            {
                **case._asdict(),
                "milliseconds": round(float(np.median(taken)) * 1000, 5),
                "ratio": round(float(np.median(ratios)), 3),
                "ratio_low": round(float(ratios.min()), 3),
                "ratio_high": round(float(ratios.max()), 3),
                "rounds": rounds,
                "submitted_sha256": submitted,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)
