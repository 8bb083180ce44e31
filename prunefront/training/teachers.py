"""Networks that others imitate: of the same kind as the student or of any other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prunefront.common.runtime import keras, tf
from prunefront.models.outputs import LOGITS, Outputs
from prunefront.pruning.masks import Weights


@dataclass(frozen=True)
class Teachers:
    """Trained networks of one kind, whose outputs are imitated.

    Attributes:
        make_model: builds the network, uncompiled, of the student's inputs.
        weights: of each of them, in model order.
        outputs: what their outputs mean.
        fingerprint: a digest of what the network is made from.
        passes: the work of a forward pass of one of them, in those of the student.
    """

    make_model: Callable[[], "keras.Model"]
    weights: Sequence[Weights]
    outputs: Outputs = LOGITS
    fingerprint: str = ""
    passes: float = 1.0

    @property
    def work(self) -> float:
        """Of one example, in forward passes of the student."""
        return len(self.weights) * self.passes

    @property
    def identity(self) -> list[object]:
        """All that a compiled training step depends on, for JSON."""
        return [len(self.weights), self.fingerprint, self.outputs.binary, self.outputs.logits, self.outputs.separate]

    def arrays(self) -> Iterator[np.ndarray]:
        """All weights of all."""
        for one in self.weights:
            yield from one

    def models(self) -> list["keras.Model"]:
        """A network for each, with random weights."""
        return [self.make_model() for _ in self.weights]

    def teach(self, models: "Sequence[keras.Model]") -> None:
        """Gives networks made by `models` the weights."""
        for model, weights in zip(models, self.weights, strict=True):
            model.set_weights(weights)


def distil(
    student: "keras.Model",
    outputs: Outputs,
    teachers: "Sequence[keras.Model]",
    taught: Outputs,
    share: float,
    temperature: float,
) -> None:
    """Makes the student's training loss imitate teachers' outputs on the same images; evaluation stays as it is.

    The loss becomes (1 - share) times its own plus share times temperature² times the cross-entropy between the two
    softmax distributions at that temperature, of several teachers the mean of theirs: Hinton, Vinyals and Dean,
    "Distilling the knowledge in a neural network" (2015).

    Args:
        student: changed in place.
        outputs: what the student's outputs are.
        teachers: one or more models of the same inputs and classes; they are not trained.
        taught: what the teachers' outputs are.
        share: in [0, 1].
        temperature: above 0; higher ones make the teachers' distributions softer.
    """
    plain = student.compute_loss  # for good: the student lives no longer than its fit

    def compute_loss(
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> "tf.Tensor":
        own = plain(x, y, y_pred, sample_weight, training)
        if not training:
            return own
        said = [taught.class_logits(tf.stop_gradient(teacher(x, training=False))) for teacher in teachers]
        soft = sum(keras.ops.softmax(logits / temperature) for logits in said) / len(said)
        imitation = keras.ops.categorical_crossentropy(
            soft, outputs.class_logits(y_pred) / temperature, from_logits=True
        )
        return (1 - share) * own + share * temperature**2 * keras.ops.mean(imitation)

    student.compute_loss = compute_loss
