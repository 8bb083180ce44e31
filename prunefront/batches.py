"""Splits as batches for Keras: from memory, or from disk a batch at a time."""

import numpy as np

from prunefront.data import Split
from prunefront.examples import Stored
from prunefront.runtime import tf


def in_order(split: Split, batch_size: int) -> "tf.data.Dataset":
    """All batches once, for evaluation."""
    return _batched(split, tf.data.Dataset.range(len(split.y)), batch_size)


def shuffled(split: Split, batch_size: int, seed: int) -> "tf.data.Dataset":
    """All batches, the examples in another order each time they are gone through; the same orders for the same seed."""
    count = len(split.y)
    return _batched(split, tf.data.Dataset.range(count).shuffle(count, seed=seed), batch_size)


def _batched(split: Split, numbers: "tf.data.Dataset", batch_size: int) -> "tf.data.Dataset":
    labels = tf.constant(split.y)
    if isinstance(split.x, Stored):
        stored = split.x

        def rows(chosen: np.ndarray) -> np.ndarray:
            return stored.rows(chosen)

        def read(chosen: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
            x = tf.numpy_function(rows, [chosen], tf.as_dtype(stored.dtype), stateful=False)
            return tf.ensure_shape(x, (None, *stored.shape[1:])), tf.gather(labels, chosen)

    else:
        examples = tf.constant(split.x)

        def read(chosen: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
            return tf.gather(examples, chosen), tf.gather(labels, chosen)

    return numbers.batch(batch_size).map(read).prefetch(1)
