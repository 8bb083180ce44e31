"""From which share of zeros sparse C code is faster than dense C code, and than LiteRT, for each kind of layer.

    python benchmarks/c_break_even.py [--rounds 5] [--flags "-O3 -march=native -ffp-contract=fast"]

Each layer is timed alone, batch 1, one thread, float32, with random weights of which a share is kept: as sparse code,
as dense code, and dense on LiteRT, in turns; a time is the lowest of the rounds' medians, since others may share the
machine. A break-even lies where the time of sparse code crosses that of dense code, by straight lines between the
shares. The constants DENSE_FROM of prunefront/c_code come from here, and so does the table in docs/c_code.md.
"""

import argparse
import shlex
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from prunefront.c_code import build, convolution, dense
from prunefront.c_code.emit import emit
from prunefront.common.runtime import keras, tf
from prunefront.graph.read import read_graph

layers = keras.layers
SHARES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
LAYERS = {
    "Conv2D 3x3, 24x24, 32 to 32": ((24, 24, 32), lambda: layers.Conv2D(32, 3, padding="same")),
    "Conv2D 3x3, 12x12, 64 to 64": ((12, 12, 64), lambda: layers.Conv2D(64, 3, padding="same")),
    "Conv2D 3x3, 6x6, 128 to 128": ((6, 6, 128), lambda: layers.Conv2D(128, 3, padding="same")),
    "Conv2D 3x3, 3x3, 128 to 128": ((3, 3, 128), lambda: layers.Conv2D(128, 3, padding="same")),
    "Conv2D 3x3 stride 2, 24x24, 32 to 64": ((24, 24, 32), lambda: layers.Conv2D(64, 3, strides=2, padding="same")),
    "Conv2D 5x5, 16x16, 32 to 32": ((16, 16, 32), lambda: layers.Conv2D(32, 5, padding="same")),
    "Conv2D 1x1, 16x16, 64 to 64": ((16, 16, 64), lambda: layers.Conv2D(64, 1)),
    "Conv1D 3, 128, 32 to 32": ((128, 32), lambda: layers.Conv1D(32, 3, padding="same")),
    "DepthwiseConv2D 3x3, 16x16, 64": ((16, 16, 64), lambda: layers.DepthwiseConv2D(3, padding="same")),
    "Dense 1024 to 512": ((1024,), lambda: layers.Dense(512)),
    "Dense 256 to 128": ((256,), lambda: layers.Dense(128)),
    "Dense 512 to 10": ((512,), lambda: layers.Dense(10)),
}


def timed(call: Callable[[], object], calls: int = 60) -> float:
    """The median time of a call, in microseconds."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def crossing(shares: list[float], times: list[float], level: float) -> str:
    """The share of zeros from which all times are below that level, by straight lines between them."""
    if times[-1] <= level:
        return "any"
    for one, other in reversed(list(zip(range(len(shares)), range(1, len(shares)), strict=False))):
        if times[one] <= level:
            part = (level - times[one]) / (times[other] - times[one])
            return f"{1 - shares[one] - part * (shares[other] - shares[one]):.0%}"
    return "none"


def compiled(folder: Path, name: str, model: "keras.Model", sparse: bool, flags: list[str]) -> Callable[[], object]:
    """A call of the model in C, all its layers sparse or all dense."""
    convolution.DENSE_FROM = dense.DENSE_FROM = 2.0 if sparse else 0.0
    graph = read_graph(model)
    source = build.write(folder, name, *emit(graph, name, []))
    library = build.Library(
        build.build(source, folder / f"{name}.so", flags), name, graph.input_shape, graph.output_shape
    )
    example = np.random.default_rng(1).random((1, *graph.input_shape), np.float32)
    out = np.empty(graph.output_shape, np.float32)
    start, end = example.ctypes.data, out.ctypes.data
    return lambda: (library._predict(start, end), example, out)


def on_litert(model: "keras.Model") -> Callable[[], object]:
    """A call of the model on LiteRT."""
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter.invoke


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flags", default=" ".join(build.FAST), help="of the C compiler")
    options = parser.parse_args()
    flags, rows = shlex.split(options.flags), []
    for number, (title, (shape, layer)) in enumerate(LAYERS.items()):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input(shape), layer()])
        whole = model.get_weights()
        with tempfile.TemporaryDirectory() as folder:
            calls = {
                "LiteRT": on_litert(model),
                "dense": compiled(Path(folder), f"dense{number}", model, False, flags),
            }
            for share in SHARES:
                kept = np.random.default_rng(0).random(whole[0].shape) < share
                model.set_weights([whole[0] * kept, *whole[1:]])
                name = f"sparse{number}_{int(1000 * share)}"
                calls[f"{share}"] = compiled(Path(folder), name, model, True, flags)
            times: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(options.rounds):
                for name, call in calls.items():
                    times[name].append(timed(call))
        best = {name: min(found) for name, found in times.items()}
        sparse = [best[f"{share}"] for share in SHARES]
        own, other = (crossing(list(SHARES), sparse, best[name]) for name in ("dense", "LiteRT"))
        rows.append(f"| {title} | {best['LiteRT']:.1f} | {best['dense']:.1f} | {sparse[2]:.1f} | {own} | {other} |")
    print("| layer | LiteRT, us | dense C, us | sparse C at 90 % zeros, us | zeros to beat dense C | to beat LiteRT |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
