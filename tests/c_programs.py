"""Graphs as C programs that read examples and write outputs: so that sanitizers and emulators can run them, too."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from prunefront.c_code.build import write
from prunefront.c_code.emit import emit
from prunefront.graph.operations import Graph

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
SAFE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def installed(*names: str) -> str:
    """The first of these commands that is installed; else the test is skipped."""
    for name in names:
        if shutil.which(name):
            return name
    pytest.skip(f"none of {', '.join(names)} is installed")


@dataclass
class Program:
    """A compiled program: the examples of all its graphs in, all outputs out."""

    command: list[str]
    graphs: Mapping[str, Graph]

    def __call__(self, examples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs of each graph, float32; each has the same number of examples."""
        given = b"".join(np.ascontiguousarray(examples[name], np.float32).tobytes() for name in self.graphs)
        done = subprocess.run(self.command, input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        flat, found = np.frombuffer(done.stdout, np.float32), {}
        for name, graph in self.graphs.items():
            shape = (len(examples[name]), *graph.output_shape)
            found[name], flat = flat[: np.prod(shape, dtype=int)].reshape(shape), flat[np.prod(shape, dtype=int) :]
        assert not len(flat)
        return found


def program(
    folder: Path,
    graphs: Mapping[str, Graph],
    flags: Sequence[str] = ("-O1",),
    compiler: str | None = None,
    emulator: Sequence[str] = (),
    count: int = 3,
    linked: Sequence[str] = ("-lm",),
) -> Program:
    """Compiles graphs, by C names, to one program that takes `count` examples of each."""
    folder.mkdir(parents=True, exist_ok=True)
    command = compiler or installed("cc", "gcc", "clang")
    sources = []
    for name, graph in graphs.items():
        source, header = emit(graph, name, ["a", "b"])
        sources.append(write(folder, name, source, header))
    calls = "\n".join(f"    run({name}_INPUTS, {name}_OUTPUTS, {name}_predict);" for name in graphs)
    main = folder / "main.c"
    main.write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n"
        + "".join(f'#include "{name}.h"\n' for name in graphs)
        + f"""
static void run(int inputs, int outputs, void (*predict)(const float *, float *))
{{
    float *in = malloc(sizeof *in * (size_t)inputs), *out = malloc(sizeof *out * (size_t)outputs);
    for (int i = 0; i < {count}; i++) {{
        if (fread(in, sizeof *in, (size_t)inputs, stdin) != (size_t)inputs)
            exit(1);
        predict(in, out);
        fwrite(out, sizeof *out, (size_t)outputs, stdout);
    }}
    free(in);
    free(out);
}}

int main(void)
{{
{calls}
    return 0;
}}
"""
    )
    binary = folder / "program"
    words = [command, *STRICT, *flags, *map(str, sources), str(main), "-o", str(binary), *linked]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Program([*emulator, str(binary)], graphs)


def assert_close(found: np.ndarray, expected: np.ndarray, name: str = "") -> None:
    """The largest difference is at most 1e-5 of the largest output."""
    scale = max(float(np.abs(expected).max(initial=0)), 1e-6)
    difference = float(np.abs(found - expected).max(initial=0))
    assert difference <= 1e-5 * scale, f"{name}: {difference / scale}"
