"""Exported files, timed: what a process of its own does for `prunefront bench`, one line in, one line out."""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from prunefront.common.errors import InputError, cause
from prunefront.export.formats import RUNTIMES, family
from prunefront.export.runtimes import Job, Predict, load


class Timed(BaseModel, frozen=True):
    """What a process is to time: files of one format, on as many threads.

    Attributes:
        name: of the format.
        threads: that the runtime may use.
        files: by the model that they hold.
        job: what else is to be known of the models.
        examples: a `.npy` file of as many examples as the largest batch has.
        seconds: that a measurement takes at least.
    """

    name: str
    threads: int
    files: dict[str, Path]
    job: Job
    examples: Path
    seconds: float


class Measure(BaseModel, frozen=True):
    """One measurement that is asked for."""

    model: str
    batch: int


class Measured(BaseModel, frozen=True):
    """Its answer: seconds a batch, or why there are none."""

    seconds: float = 0.0
    refusal: str | None = None


def main() -> None:
    """Reads a `Timed` and then measurements from stdin, and answers each."""
    timed = Timed.model_validate_json(sys.stdin.readline())
    if RUNTIMES[family(timed.name)] == "Keras":
        from prunefront.common.runtime import tf

        tf.config.threading.set_intra_op_parallelism_threads(timed.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    x = np.load(timed.examples)
    loaded: dict[Measure, Predict] = {}
    for line in sys.stdin:
        asked = Measure.model_validate_json(line)
        try:
            if asked not in loaded:  # LiteRT lays out its memory for one size of batch
                loaded[asked] = load(timed.name, timed.files[asked.model], timed.job, timed.threads, fast=True)
                loaded[asked](x[: asked.batch])
            answer = Measured(seconds=_seconds(loaded[asked], x[: asked.batch], timed.seconds))
        except Exception as error:  # a runtime raises what it comes upon
            answer = Measured(refusal=str(error) if isinstance(error, InputError) else cause(error))
        print(answer.model_dump_json(), flush=True)


def _seconds(call: Predict, x: np.ndarray, at_least: float) -> float:
    """The time of a call, as the median of so many that they take that long together, and of three at least."""
    taken = [_timed(call, x) for _ in range(3)]
    while sum(taken) < at_least:
        taken.append(_timed(call, x))
    return statistics.median(taken)


def _timed(call: Predict, x: np.ndarray) -> float:
    begin = time.perf_counter()
    call(x)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
