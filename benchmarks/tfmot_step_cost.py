"""The same for TensorFlow Model Optimization: `prune_low_magnitude` over plain `tf_keras`, a step each, in pairs.

Needs an environment of its own, with the legacy Keras that the package is built on:

    python3 -m venv /tmp/tfmot && /tmp/tfmot/bin/pip install -r benchmarks/tfmot-requirements.txt
    /tmp/tfmot/bin/python benchmarks/tfmot_step_cost.py [--pairs 300] [--batch-size 128]

Its masks are recomputed every 100 steps by default; the figure is that of a step in between.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras


def network() -> "keras.Model":
    """The built-in network of prunefront, in legacy Keras."""
    layers, l2 = keras.layers, keras.regularizers.L2(1e-5)

    def convolution(filters: int, padding: str, **options: object) -> "keras.layers.Layer":
        return layers.Conv2D(filters, 3, padding=padding, activation="relu", kernel_regularizer=l2, **options)

    return keras.Sequential(
        [
            convolution(32, "same", input_shape=(25, 25, 3)),
            convolution(32, "valid"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            convolution(64, "same"),
            convolution(64, "valid"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(5),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.random((options.batch_size, 25, 25, 3), np.float32)
    batches = tf.data.Dataset.from_tensors((x, rng.integers(0, 5, options.batch_size))).repeat()

    def prepared(pruned: bool) -> Callable[[], float]:
        model = network()
        if pruned:
            schedule = tfmot.sparsity.keras.ConstantSparsity(0.9, begin_step=0)
            model = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(), loss, metrics=["accuracy"])
        if pruned:  # four steps: the first sets the masks, the next hundred are not due
            callbacks = [tfmot.sparsity.keras.UpdatePruningStep()]
            model.fit(x, np.zeros(len(x)), batch_size=len(x) // 4, verbose=0, callbacks=callbacks)
        step, batch = model.make_train_function(), iter(batches)

        def timed() -> float:
            start = time.perf_counter()
            float(step(batch)["loss"])
            return time.perf_counter() - start

        for _ in range(5):  # traces the step and warms up
            timed()
        return timed

    plain, held = prepared(False), prepared(True)
    pairs = [(plain(), held()) if number % 2 else (held(), plain())[::-1] for number in range(options.pairs)]
    ratios = sorted(with_masks / floor for floor, with_masks in pairs)
    milliseconds = 1000 * statistics.median(floor for floor, _ in pairs)
    print(
        f"batch {options.batch_size}: plain step {milliseconds:.2f} ms (median); prune_low_magnitude / plain: median "
        f"{statistics.median(ratios):.4f}, quartiles {ratios[len(ratios) // 4]:.4f} to "
        f"{ratios[3 * len(ratios) // 4]:.4f}, {options.pairs} pairs"
    )


if __name__ == "__main__":
    main()
