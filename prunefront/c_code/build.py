"""C code made into a shared library by the system's compiler, and called from Python."""

import ctypes
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.files import replacing

PORTABLE = ("-O2", "-ffp-contract=off")
"""For the same results, to the bit, on every machine of a kind."""

FAST = ("-O3", "-march=native", "-ffp-contract=fast")
"""For this machine."""


def compiler() -> list[str]:
    """The command of the C compiler: what CC says, else the first of cc, gcc and clang that is installed.

    Raises:
        InputError: there is none, or CC names none.
    """
    named = shlex.split(os.environ.get("CC", ""))
    if named:
        if shutil.which(named[0]) is None:
            raise InputError(f"Expected a C compiler as CC. Received: CC={os.environ['CC']}, which is not installed")
        return named
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise InputError(
        "Expected a C compiler, to try the C code; install gcc or clang, or name one as CC. "
        "Received: none of cc, gcc, clang on the PATH"
    )


def write(folder: Path, name: str, source: str, header: str) -> Path:
    """Writes a model's two files.

    Args:
        folder: for both.
        name: of the model, as C takes it (`text.identifier`).
        source, header: what `emit` gave.

    Returns:
        The path of the source.
    """
    for suffix, content in (("h", header), ("c", source)):
        with replacing(Path(folder) / f"{name}.{suffix}") as partial:
            partial.write_text(content, encoding="ascii", newline="\n")
    return Path(folder) / f"{name}.c"


def build(source: Path, library: Path, flags: Sequence[str] = PORTABLE, command: Sequence[str] = ()) -> Path:
    """Compiles a model to a shared library.

    Args:
        source: the C file; its header lies beside it.
        library: to be written.
        flags: for the compiler.
        command: of the compiler, if not the system's.

    Returns:
        The library's path.

    Raises:
        InputError: there is no compiler, or it fails; its first complaint is quoted.
    """
    words = [*(command or compiler()), "-std=c99", *flags, "-shared", "-fPIC", str(source)]
    with replacing(Path(library)) as partial:
        done = subprocess.run([*words, "-o", str(partial), "-lm"], capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            complaint = next((line for line in lines if "error" in line), (lines or ["no word"])[0])
            raise InputError(f"{source}: expected {words[0]} to compile it. Received: {complaint}")
    return Path(library)


class Library:
    """A compiled model.

    Attributes:
        inputs, outputs: shapes of an example and of what the network gives, without the batch.
    """

    def __init__(self, path: Path, name: str, inputs: tuple[int, ...], outputs: tuple[int, ...]):
        """Loads a library.

        Args:
            path: of the library. A fault in it ends this process: load it in one of its own.
            name: of the model, as C takes it.
            inputs, outputs: shapes without the batch.

        Raises:
            InputError: it cannot be loaded, or has no such model.
        """
        self.inputs, self.outputs = inputs, outputs
        try:
            self._predict = ctypes.CDLL(str(Path(path).resolve()))[f"{name}_predict"]
        except (OSError, AttributeError) as error:
            raise InputError(f"{path}: expected a library with {name}_predict. Received: {error}") from None
        self._predict.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._predict.restype = None

    def predict(self, examples: np.ndarray) -> np.ndarray:
        """Outputs of examples, one after another.

        Args:
            examples: numbers, (n, *inputs).

        Returns:
            float32, (n, *outputs).

        Raises:
            InputError: the examples have another shape.
        """
        if examples.shape[1:] != self.inputs:
            raise InputError(f"Expected examples of shape (n, *{self.inputs}). Received: {examples.shape}")
        given = np.ascontiguousarray(examples, np.float32)
        found = np.empty((len(given), *self.outputs), np.float32)
        for row, result in zip(given, found, strict=True):
            self._predict(row.ctypes.data, result.ctypes.data)
        return found
