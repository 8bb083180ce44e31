"""What masks cost: a training step with held masks over the same step of plain Keras, in pairs.

    python benchmarks/step_cost.py [--pairs 480] [--builds 8] [--batch-size 128] [--precision float32] [--sparsity 0.9]

The floor is the training function that plain `fit` calls, on the built-in network; the other is that of a model under
`hold_masks`. The two take turns step by step, in alternating order, and the figure is the median of the ratios of the
pairs: the speed of a shared machine changes between minutes, hardly within two steps. Two plain models differ by 1 % as
a rule (`--plain`), for where their memory happens to lie: so both are built anew several times, and the medians of the
builds are shown as well. With `--sparsity 0` the masks are all ones, which shows what watching for NaN costs alone.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable

import numpy as np

from prunefront.common.runtime import keras, tf
from prunefront.models.built_in import build_network
from prunefront.training.hold import hold_masks, magnitude_masks
from prunefront.training.trainer import compile_classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=480, help="over all builds")
    parser.add_argument("--builds", type=int, default=8, help="how often both models are built anew")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--plain", action="store_true", help="compare plain with plain, to see the noise")
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(options.precision)
    rng = np.random.default_rng(0)
    x = rng.random((options.batch_size, 25, 25, 3), np.float32)
    batches = tf.data.Dataset.from_tensors((x, rng.integers(0, 5, options.batch_size))).repeat()

    def prepared(held: bool) -> Callable[[], float]:
        model = build_network((25, 25, 3), 5)
        if held:
            hold_masks(model, magnitude_masks(model, options.sparsity))
        compile_classifier(model, keras.optimizers.Adam())
        step, batch = model.make_train_function() or model.train_function, iter(batches)

        def timed() -> float:
            start = time.perf_counter()
            float(step(batch)["loss"])
            return time.perf_counter() - start

        for _ in range(5):  # traces the step and warms up
            timed()
        return timed

    def build() -> list[tuple[float, float]]:
        """Seconds of the plain and of the held step, in pairs, of two new models."""
        plain, held = prepared(False), prepared(not options.plain)
        pairs = []
        for number in range(options.pairs // options.builds):
            if number % 2:
                pairs.append((plain(), held()))
            else:
                pairs.append((held(), plain())[::-1])
        return pairs

    builds = []
    for _ in range(options.builds):
        builds.append(build())
        keras.utils.clear_session()
        gc.collect()  # the models' memory, before the next ones are made
    floor = 1000 * statistics.median(floor for pairs in builds for floor, _ in pairs)
    ratios = [[with_masks / floor for floor, with_masks in pairs] for pairs in builds]
    median = statistics.median(ratio for build in ratios for ratio in build)
    medians = ", ".join(f"{statistics.median(build):.4f}" for build in ratios)
    print(
        f"batch {options.batch_size}, {options.precision}: plain step {floor:.2f} ms (median); held / plain: median "
        f"{median:.4f}, {len(ratios)} builds of {len(ratios[0])} pairs: {medians}"
    )


if __name__ == "__main__":
    main()
