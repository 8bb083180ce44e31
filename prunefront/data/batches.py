"""Splits as Keras takes them. Only here is it asked whether examples are in memory or on disk."""

import hashlib
from collections.abc import Callable

import numpy as np

from prunefront.common.files import digest
from prunefront.common.runtime import tf
from prunefront.data.rows import RowsOnDisk
from prunefront.data.splits import Split

STREAMED = 32
"""Examples from disk in a batch that is evaluated: large images are what does not fit into memory."""
MOST = 256
"""Examples in memory in a batch that is evaluated."""


def in_memory(split: Split) -> bool:
    """Whether all examples are in memory at once."""
    return isinstance(split.x, np.ndarray)


def at_hand(split: Split) -> np.ndarray:
    """All examples that are in memory; of those on disk the first few."""
    return split.x[:STREAMED] if isinstance(split.x, RowsOnDisk) else split.x


def converted(split: Split, convert: Callable[[np.ndarray], np.ndarray]) -> Split:
    """The same labels with other examples, made of these by a function of a batch; those on disk when they are read."""
    return Split(split.x.converted(convert) if isinstance(split.x, RowsOnDisk) else convert(split.x), split.y)


def fingerprint(split: Split) -> str:
    """A digest of all examples and labels; of those on disk the file is read, and one example converted."""
    content = hashlib.sha256(f"{split.x.dtype}{split.x.shape}".encode())
    if isinstance(split.x, RowsOnDisk):
        content.update(digest(split.x.path).encode() + split.x[:1].tobytes())
    else:
        content.update(np.ascontiguousarray(split.x).tobytes())
    content.update(split.y.tobytes())
    return content.hexdigest()


def evaluable(split: Split) -> "tf.data.Dataset":
    """All batches once, in order, for `evaluate` and validation; of arrays Keras itself would make a slower one."""
    if in_memory(split):
        return tf.data.Dataset.from_tensor_slices((split.x, split.y)).batch(batch_size(split)).prefetch(1)
    return in_order(split, STREAMED)


def batch_size(split: Split) -> int:
    """Examples in a batch that is evaluated."""
    return MOST if in_memory(split) else STREAMED


def in_order(split: Split, batch_size: int) -> "tf.data.Dataset":
    """All batches once, for evaluation."""
    return _batched(split, tf.data.Dataset.range(len(split.y)), batch_size)


def shuffled(split: Split, batch_size: int, seed: int) -> "tf.data.Dataset":
    """All batches, the examples in another order each time they are gone through; the same orders for the same seed."""
    count = len(split.y)
    return _batched(split, tf.data.Dataset.range(count).shuffle(count, seed=seed), batch_size)


def _batched(split: Split, numbers: "tf.data.Dataset", batch_size: int) -> "tf.data.Dataset":
    labels = tf.constant(split.y)
    if isinstance(split.x, RowsOnDisk):
        on_disk = split.x

        def rows(chosen: np.ndarray) -> np.ndarray:
            return on_disk[chosen]

        def read(chosen: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
            x = tf.numpy_function(rows, [chosen], tf.as_dtype(on_disk.dtype), stateful=False)
            return tf.ensure_shape(x, (None, *on_disk.shape[1:])), tf.gather(labels, chosen)

    else:
        examples = tf.constant(split.x)

        def read(chosen: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
            return tf.gather(examples, chosen), tf.gather(labels, chosen)

    return numbers.batch(batch_size).map(read).prefetch(1)
