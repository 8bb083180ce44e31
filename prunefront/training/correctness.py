"""Which examples a model gets right, found in the same pass over them as accuracy and loss."""

import numpy as np

from prunefront.common.runtime import keras, tf
from prunefront.data.batches import MOST
from prunefront.models.outputs import Outputs

NAME = "right"


class Right(keras.metrics.Metric):
    """Which examples of the last batch are right: 1.0 or 0.0 for each, as a vector of `MOST` of which the rest is old.

    The length is fixed, since a metric's state has a shape; `EachBatch` takes the vectors as batches end.
    """

    def __init__(self, outputs: Outputs):
        super().__init__(name=NAME)
        self.outputs = outputs
        self.last = self.add_variable((MOST,), "zeros", name="last")

    def update_state(self, y_true: "tf.Tensor", y_pred: "tf.Tensor", sample_weight: object = None) -> None:  # noqa: ARG002
        right = keras.ops.cast(self.outputs.right(y_true, y_pred), "float32")
        self.last.assign(keras.ops.concatenate([right, self.last[keras.ops.shape(right)[0] :]]))

    def result(self) -> "tf.Tensor":
        return keras.ops.convert_to_tensor(self.last)


class EachBatch(keras.callbacks.Callback):
    """Collects what `Right` says of each batch.

    Attributes:
        batch_size: of all batches but the last.
        vectors: one for each batch that has ended.
    """

    def __init__(self, batch_size: int):
        super().__init__()
        self.batch_size = batch_size
        self.vectors: list[np.ndarray] = []

    def on_test_batch_end(self, batch: int, logs: dict[str, "tf.Tensor"] | None = None) -> None:  # noqa: ARG002
        self.vectors.append(np.asarray((logs or {})[NAME])[: self.batch_size] > 0)

    def right(self, examples: int) -> np.ndarray:
        """For each of so many examples whether it is right, shape (examples,), bool."""
        return np.concatenate(self.vectors)[:examples]
