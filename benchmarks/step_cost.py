"""What masks cost: a training epoch with held masks over the same epoch of plain Keras `fit`, in pairs.

    python benchmarks/step_cost.py [--pairs 15] [--batch-size 64] [--steps 40] [--precision float32] [--sparsity 0.9]

The floor is plain `fit` on the built-in network. Each pair runs one after the other, in alternating order, and the figure
is the median of their ratios, so that a machine whose speed drifts does not matter. With `--sparsity 0` the masks are all
ones, which shows the cost of watching for NaN alone.
"""

import argparse
import statistics
import time

import numpy as np

from prunefront.masked_training import hold_masks, magnitude_masks
from prunefront.network import build_network
from prunefront.runtime import keras
from prunefront.training import compile_classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--sparsity", type=float, default=0.9)
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(options.precision)
    examples = options.batch_size * options.steps
    rng = np.random.default_rng(0)
    x, y = rng.random((examples, 25, 25, 3), np.float32), rng.integers(0, 5, examples)

    def prepared(held: bool) -> "keras.Model":
        model = build_network((25, 25, 3), 5)
        if held:
            hold_masks(model, magnitude_masks(model, options.sparsity))
        compile_classifier(model, keras.optimizers.Adam())
        epoch(model)  # traces the step
        return model

    def epoch(model: "keras.Model") -> float:
        start = time.perf_counter()
        model.fit(x, y, batch_size=options.batch_size, verbose=0)
        return time.perf_counter() - start

    plain, held = prepared(False), prepared(True)
    pairs = []
    for number in range(options.pairs):
        order = (plain, held) if number % 2 else (held, plain)
        seconds = {id(model): epoch(model) for model in order}
        pairs.append((seconds[id(plain)], seconds[id(held)]))
    ratios = sorted(with_masks / floor for floor, with_masks in pairs)
    step = statistics.median(floor for floor, _ in pairs) / options.steps
    print(f"plain step {1000 * step:.2f} ms (median), batch {options.batch_size}, {options.precision}")
    print(
        f"held / plain: median {statistics.median(ratios):.4f}, quartiles {ratios[len(ratios) // 4]:.4f} to "
        f"{ratios[-len(ratios) // 4]:.4f}, {options.pairs} pairs of {options.steps} steps"
    )


if __name__ == "__main__":
    main()
