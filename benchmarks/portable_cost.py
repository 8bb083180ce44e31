"""What portable results cost: a training step of a portable process over the same step of one that has the machine.

    python benchmarks/portable_cost.py [--pairs 60] [--batch-size 128] [--threads 2]

TensorFlow reads its environment when it starts, so each way has a process of its own. They take turns step by step, in
alternating order: while one steps, the others wait. The figure is the median of the ratios of the pairs, for the
built-in network at the size of small digits and at 25x25x3.
"""

import argparse
import os
import statistics
import subprocess
import sys

from prunefront.common.machine import in_force, variables
from prunefront.common.sections import Runtime

SHAPES = ((10, 10, 1), (25, 25, 3))
WORKER = """
import sys, time
import numpy as np
from prunefront.common.runtime import keras, set_up, tf
from prunefront.models.built_in import build_network
from prunefront.training.trainer import compile_classifier

size, *shapes = map(eval, sys.argv[1:])
steps = []
for shape in shapes:
    set_up("float32", 0)
    rng = np.random.default_rng(0)
    batch = rng.random((size, *shape), np.float32), rng.integers(0, 10, size)
    model = build_network(shape, 10)
    compile_classifier(model, keras.optimizers.Adam())
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    steps.append((model.make_train_function() or model.train_function, batches))
    for _ in range(5):  # traces the step and warms up
        float(steps[-1][0](batches)["loss"])
for line in sys.stdin:
    step, batches = steps[int(line)]
    start = time.perf_counter()
    float(step(batches)["loss"])
    print("seconds", time.perf_counter() - start, flush=True)
"""


class Worker:
    """A process with an environment of its own that takes a training step when it is told to."""

    def __init__(self, runtime: Runtime, batch_size: int):
        clean = {name: value for name, value in os.environ.items() if name not in in_force()}
        command = [sys.executable, "-c", WORKER, str(batch_size), *map(str, SHAPES)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=clean | variables(runtime), stdin=pipe, stdout=pipe, text=True)

    def step(self, shape: int) -> float:
        """Seconds of one step at one of the shapes."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{shape}\n")
        self.process.stdin.flush()
        return next(float(line.split()[1]) for line in self.process.stdout if line.startswith("seconds"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    ways = {
        "the whole machine": Runtime(portable=False, threads=None),
        f"portable, {options.threads} threads": Runtime(portable=True, threads=options.threads),
        "portable, 1 thread": Runtime(portable=True, threads=1),
    }
    workers = {name: Worker(runtime, options.batch_size) for name, runtime in ways.items()}
    for index, shape in enumerate(SHAPES):
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        for number in range(options.pairs):
            for name in reversed(workers) if number % 2 else workers:
                seconds[name].append(workers[name].step(index))
        whole, *others = workers
        print(
            f"{shape}, batch {options.batch_size}: {whole} {1000 * statistics.median(seconds[whole]):.2f} ms (median)"
        )
        for name in others:
            ratios = [one / other for one, other in zip(seconds[name], seconds[whole], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(f"  {name}: {middle:.2f} times that (middle half of the pairs {low:.2f} to {high:.2f})")
    for worker in workers.values():
        worker.process.communicate()


if __name__ == "__main__":
    main()
