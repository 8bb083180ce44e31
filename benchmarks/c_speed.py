"""How fast the C code of a sparse network is: time of the dense network on LiteRT over that of the C, in turns.

    python benchmarks/c_speed.py [--rounds 7] [--calls 200] [--flags "-O3 -march=native -ffp-contract=fast"]

Batch 1, one thread, float32. In each round every network is timed once, LiteRT and C one right after the other, and a
time is the median of its calls; shown are the median of the rounds' ratios, the lowest and the highest. The bound is
the dense network's multiply-adds over those with weights that are not zero: what the ratio would be if a multiply-add
of a sparse network took no longer than one of a dense network on LiteRT, and nothing else took time.

Networks: that of results/cifar10-animals-best with its submitted weights; the same with random weights of which 90 %
are pruned (LAMP, kernels only) and with none; models/submitted.weights.h5 of the default run, if `dvc repro` has made
it; and a residual network of BatchNormalization and depthwise convolutions with 95 % of its kernels pruned. C code is
written from the graph as it is exported: scales folded, units without effect removed.
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

from prunefront.c_code import build
from prunefront.c_code.emit import emit
from prunefront.common.runtime import keras, tf
from prunefront.graph.compaction import compact
from prunefront.graph.folding import fold_affine
from prunefront.graph.read import read_graph
from prunefront.models.built_in import build_network
from prunefront.models.multiply_adds import multiply_adds
from prunefront.models.weights import load_weights
from prunefront.pruning.masks import apply_masks, global_masks
from prunefront.pruning.saliency import lamp

BEST = Path("results/cifar10-animals-best/submitted.npz")
DIGITS = Path("models/submitted.weights.h5")
layers = keras.layers


def residual() -> "keras.Model":
    """Four residual blocks at 32x32x3: depthwise, 1x1 and 3x3 convolutions, 32 to 128 channels."""

    def convolution(x, units, size=3, strides=1):
        plain = layers.Conv2D(units, size, strides=strides, padding="same", use_bias=False)
        return layers.BatchNormalization()(plain(x))

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolution(inputs, 32))
    for units, strides in ((32, 1), (64, 2), (64, 1), (128, 2)):
        y = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = convolution(layers.ReLU()(convolution(y, units, 1)), units)
        if strides > 1:
            x = convolution(x, units, 1, strides)
        x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def pruned(model: "keras.Model", sparsity: float) -> list[np.ndarray]:
    """Random weights, statistics of BatchNormalization among them, with that share of the kernels pruned."""
    rng = np.random.default_rng(0)
    weights = []
    for variable in model.weights:
        value = np.asarray(variable)
        if "variance" in variable.path:
            value = rng.uniform(0.5, 1.5, value.shape)
        elif "kernel" not in variable.path:
            value = rng.normal(0, 0.1, value.shape)
        weights.append(value.astype(np.float32))
    kernels = ["kernel" in variable.path for variable in model.weights]
    return apply_masks(weights, global_masks(weights, sparsity, kernels, lamp)) if sparsity else weights


def timed(call: Callable[[], object], calls: int) -> float:
    """The median time of a call, in seconds."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=200, help="in each round")
    parser.add_argument("--flags", default=" ".join(build.FAST), help="of the C compiler")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    founding, other = build_network((25, 25, 3), 5), residual()
    networks = {
        "founding workload, submitted": (founding, load_weights(BEST)),
        "founding workload, 90 %": (founding, pruned(founding, 0.9)),
        "founding workload, dense": (founding, pruned(founding, 0)),
        "residual, 95 %": (other, pruned(other, 0.95)),
    }
    if DIGITS.exists():
        networks["digits, submitted"] = (build_network((10, 10, 1), 10), load_weights(DIGITS))
    with tempfile.TemporaryDirectory() as folder:
        prepared = {
            name: prepare(Path(folder), f"n{number}", *network, shlex.split(options.flags))
            for number, (name, network) in enumerate(networks.items())
        }
        ratios: dict[str, list[float]] = {name: [] for name in networks}
        times: dict[str, list[float]] = {name: [] for name in networks}
        for _ in range(options.rounds):
            for name, (dense, c, _, _) in prepared.items():
                one, two = timed(dense, options.calls), timed(c, options.calls)
                ratios[name].append(one / two)
                times[name].append(two)
    print(f"{'network':30}{'x':>7}{'lowest':>8}{'highest':>9}{'bound':>7}{'share':>7}{'C, us':>8}{'difference':>12}")
    for name, (_, _, bound, difference) in prepared.items():
        x = statistics.median(ratios[name])
        print(
            f"{name:30}{x:7.2f}{min(ratios[name]):8.2f}{max(ratios[name]):9.2f}{bound:7.2f}{x / bound:7.0%}"
            f"{1e6 * statistics.median(times[name]):8.1f}{difference:12.1e}"
        )


def prepare(
    folder: Path, name: str, model: "keras.Model", weights: list[np.ndarray], flags: list[str]
) -> tuple[Callable[[], object], Callable[[], object], float, float]:
    """A call of the dense network on LiteRT and of the sparse one in C, the bound, the largest difference."""
    example = np.random.default_rng(1).random((8, *model.input_shape[1:]), np.float32)
    model.set_weights(pruned(model, 0))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], example[:1])
    dense = multiply_adds(model, [np.ones(w.shape) for w in weights], example[:1])
    bound = dense / multiply_adds(model, weights, example[:1])

    model.set_weights(weights)
    graph = compact(fold_affine(read_graph(model)))
    source = build.write(folder, name, *emit(graph, name, []))
    library = build.Library(
        build.build(source, folder / f"{name}.so", flags), name, graph.input_shape, graph.output_shape
    )
    expected = np.asarray(model(example, training=False))
    difference = np.abs(library.predict(example) - expected).max() / np.abs(expected).max()
    out = np.empty(graph.output_shape, np.float32)
    start, end = example[0].ctypes.data, out.ctypes.data
    return interpreter.invoke, lambda: (library._predict(start, end), example, out), bound, float(difference)


if __name__ == "__main__":
    main()
