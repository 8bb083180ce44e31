"""Seeds of a stage that are made at the same time, each by its own command in a process of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prunefront.common.errors import InputError
from prunefront.common.machine import environment

PART = "PRUNEFRONT_PART"
"""Set in the environment of a process that makes a part of a stage: what is of all seeds, the first process does."""
ERROR = "error: "


def shares(seeds: Sequence[int], processes: int) -> list[Sequence[int]]:
    """The seeds of each process, those of this one first; no more processes than seeds or cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = max(1, min(processes, len(seeds), cores))
    return [seeds[first::count] for first in range(count)]


@contextlib.contextmanager
def beside(module: str, params_file: Path, others: Sequence[Sequence[int]]) -> Iterator[None]:
    """While the block makes seeds of its own, other processes make theirs; at its end they are waited for.

    Args:
        module: of the stage's command.
        params_file: the parameters.
        others: for each process its seeds, made in turn.

    Raises:
        InputError: what the first of them said that failed. They end with the block where that fails.
    """
    if not others:
        yield
        return
    os.environ["TTY_COMPATIBLE"] = "0"  # lines, since bars of several processes would be drawn over each other
    running: list[subprocess.Popen[str]] = []
    with ThreadPoolExecutor(len(others)) as pool:
        parts = [pool.submit(_make, module, params_file, seeds, running) for seeds in others]
        try:
            yield
            for part in parts:
                part.result()
        except BaseException:
            for process in running:
                process.terminate()
            raise


def _make(module: str, params_file: Path, seeds: Sequence[int], running: list["subprocess.Popen[str]"]) -> None:
    for seed in seeds:
        command = [sys.executable, "-m", module, "--seed", str(seed), "--params", str(params_file)]
        with subprocess.Popen(command, env=environment() | {PART: "1"}, stderr=subprocess.PIPE, text=True) as process:
            running.append(process)
            said = _pass_on(process)
        if process.returncode:
            raise InputError(
                said
                or f"Expected the process of seed {seed} to end well; runtime.processes: 1 makes one seed at a time, "
                f"in less memory. Received: {module}, which ended with status {process.returncode}"
            )


def _pass_on(process: "subprocess.Popen[str]") -> str:
    """Shows what a process says on stderr as it comes, but for its error, which is given back."""
    assert process.stderr is not None
    error = ""
    for line in process.stderr:
        if line.startswith(ERROR):
            error = line.removeprefix(ERROR).strip()
        else:
            sys.stderr.write(line)
            sys.stderr.flush()
    return error
