"""Bootstrap samples of examples, as counts: how often each example is drawn, in integers that are exact as floats.

Sums of integers are the same in any order, so that a matrix product of them has the same bytes on any machine.
"""

from collections.abc import Iterator

import numpy as np

RESAMPLES = 3999
"""How many samples are drawn: with one more, the shares of 2.5 % on either side are whole numbers."""
_AT_ONCE = 2**23
"""Numbers in a matrix of samples, 32 MiB."""


def resamples(examples: int, count: int = RESAMPLES, seed: int = 0) -> Iterator[np.ndarray]:
    """So many samples of as many examples as there are, with replacement; the same ones for the same arguments.

    Yields:
        A few samples at a time, shape (samples, examples): how often each has each example; of `exact` numbers.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    step = max(1, _AT_ONCE // examples)
    for start in range(0, count, step):
        rows = min(step, count - start)
        drawn = draw.integers(0, examples, (rows, examples)) + examples * np.arange(rows)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=rows * examples)
        yield exact(counts.reshape(rows, examples), examples)


def exact(counts: np.ndarray, examples: int) -> np.ndarray:
    """Numbers up to so many examples, as floats in which their sums are exact."""
    return counts.astype(np.float32 if examples < 2**23 else np.float64)


def seed_draws(seeds: int, count: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each sample has each of the seeds, shape (count, seeds), int64.

    A sample has one seed less than there are: the variance of a mean of all would be too small by the factor
    (seeds - 1) / seeds (Rao and Wu 1988), which is a half of two seeds. A single seed is drawn once.
    """
    size = max(1, seeds - 1)
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(0, seeds, (count, size))
    return np.stack([(drawn == number).sum(axis=1) for number in range(seeds)], axis=1)
