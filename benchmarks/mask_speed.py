"""What all masks of a sweep cost: in passes of memory over the same weights, and in memory beside them.

    python benchmarks/mask_speed.py [--sizes 1000000 10000000 100000000] [--levels 20] [--rounds 7]

The floor is one pass of `np.abs` and `np.sum` over the float32 weights. Beside `masks_for_levels`: one stable sort of
all, from which the masks of all levels follow, and a call of `np.partition` for each level, which gives thresholds.
All take turns, and the figure is the median of the ratios to the floor of the same round. The peak is what Python and
NumPy allocate beside the weights, in multiples of them.
"""

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from prunefront import masks_for_levels


def by_sorting(weights: np.ndarray, counts: list[int]) -> np.ndarray:
    """The same codes, from the rank of each weight."""
    order = np.argsort(np.abs(weights), kind="stable")
    codes = np.empty(weights.size, np.uint8)
    for number, (start, end) in enumerate(zip([0, *counts], [*counts, weights.size], strict=True)):
        codes[order[start:end]] = number
    return codes


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak(call: Callable[[], object]) -> int:
    """Bytes that a call allocates at most."""
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**6, 10**7, 10**8])
    parser.add_argument("--levels", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--alone", action="store_true", help="without sort and partition, which take memory")
    options = parser.parse_args()
    levels = [float(level) for level in np.linspace(0.05, 0.99, options.levels)]
    print(f"{'weights':>13} {'way':18} {'passes':>7} {'seconds':>8} {'peak':>6}")
    for size in options.sizes:
        weights = np.random.default_rng(0).standard_normal(size, np.float32)
        counts = [int(level * (size - 1)) + 1 for level in levels]
        ways: dict[str, Callable[[], object]] = {
            "one pass": lambda w=weights: np.sum(np.abs(w)),
            "masks_for_levels": lambda w=weights: masks_for_levels([w], levels),
        }
        if not options.alone:
            ways["one stable sort"] = lambda w=weights, c=counts: by_sorting(w, c)
            ways["numpy.partition"] = lambda w=weights, c=counts: [np.partition(np.abs(w), n - 1)[n - 1] for n in c]
            assert np.array_equal(masks_for_levels([weights], levels).removed_from[0], by_sorting(weights, counts))
        rounds = [{name: timed(call) for name, call in ways.items()} for _ in range(options.rounds)]
        for name, call in ways.items():
            passes = statistics.median(one[name] / one["one pass"] for one in rounds)
            seconds = statistics.median(one[name] for one in rounds)
            print(f"{size:13,} {name:18} {passes:7.1f} {seconds:8.3f} {peak(call) / weights.nbytes:6.2f}", flush=True)


if __name__ == "__main__":
    main()
