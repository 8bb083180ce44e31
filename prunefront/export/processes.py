"""Converters and runtimes, each in a process of its own, whose crash ends no more than that process."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from prunefront.common.errors import InputError
from prunefront.common.machine import environment
from prunefront.export.formats import RUNTIMES, family
from prunefront.export.runtimes import Job, Ran

AT_ONCE = 2
"""Processes at a time: a laptop has the cores and the memory for so many."""

Answer = TypeVar("Answer", bound=BaseModel)


def try_out(job: Job) -> list[Ran]:
    """Has every file of a job run by its own runtime.

    Files of Keras share a process, since importing TensorFlow takes longer than all else; every other has its own.

    Raises:
        InputError: a runtime ended without a word, by a signal for the most part.
    """
    names = list(job.files)
    by_keras = [name for name in names if RUNTIMES[family(name)] == "Keras"]
    groups = [group for group in ([by_keras] + [[name] for name in names if name not in by_keras]) if group]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        ran = {one.name: one for group in threads.map(lambda group: _run(job, group), groups) for one in group}
    return [ran[name] for name in names]


def _run(job: Job, names: Sequence[str]) -> list[Ran]:
    ran, end = answers("prunefront.export.runtimes", job.only(names), Ran)
    if len(ran) < len(names):
        name = names[len(ran)]
        raise InputError(
            f"{name}: expected a file that {RUNTIMES[family(name)]} runs; leave {name} out of export.formats. "
            f"Received: the runtime ended {end}"
        )
    return ran


def answers(module: str, task: BaseModel, kind: type[Answer]) -> tuple[list[Answer], str]:
    """Runs a module in a process.

    Args:
        module: reads a task from stdin and prints answers, one to a line.
        task: for it.
        kind: of the answers; lines that are something else are what a library prints.

    Returns:
        The answers, and how the process ended, in words.
    """
    command = [sys.executable, "-m", module]
    ended = subprocess.run(
        command, input=task.model_dump_json().encode(), env=environment(), capture_output=True, check=False
    )
    found = list(_among(ended.stdout.splitlines(), kind))
    return found, how_it_ended(ended.returncode, ended.stderr.decode(errors="replace"))


@contextlib.contextmanager
def asking(
    module: str, task: BaseModel, kind: type[Answer], log: Path
) -> Iterator[Callable[[BaseModel], Answer | str]]:
    """Runs a module in a process that goes on until the block ends, one question and its answer at a time.

    Args:
        module: reads a task and then questions from stdin, and prints an answer to each, a line.
        task: for it.
        kind: of the answers; lines that are something else are what a library prints.
        log: the file for what it prints to stderr.

    Yields:
        A function that is given a question and gives the answer, or in words how the process ended without one.
    """
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", module],
            env=environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        questions, lines = process.stdin, process.stdout

        def send(message: BaseModel) -> None:
            with contextlib.suppress(BrokenPipeError):  # it has ended: its answer will say so
                questions.write(message.model_dump_json() + "\n")
                questions.flush()

        def ask(question: BaseModel) -> Answer | str:
            send(question)
            return next(_among(lines, kind), None) or how_it_ended(process.wait())

        try:
            send(task)
            yield ask
        finally:
            process.kill()


def _among(lines: Iterable[str | bytes], kind: type[Answer]) -> Iterator[Answer]:
    """The answers among the lines that a process prints."""
    for line in lines:
        with contextlib.suppress(ValidationError):
            yield kind.model_validate_json(line)


def how_it_ended(status: int, errors: str = "") -> str:
    """The end of a process in words: the signal, or the last that it said."""
    if status < 0:
        known = -status in set(signal.Signals)
        return f"with signal {-status}{f' ({signal.Signals(-status).name})' if known else ''}"
    lines = [line for line in re.sub(r"\x1b\[\d*m", "", errors).splitlines() if line.strip()]
    return f"with status {status}{f': {lines[-1]}' if lines else ''}"
