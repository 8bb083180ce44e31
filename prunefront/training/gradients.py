"""The gradient of a network's loss, for those who look at it outside of training."""

import numpy as np

from prunefront.common.runtime import keras, tf
from prunefront.data.splits import Split


def gradients_of(model: "keras.Model", batch: Split) -> list[np.ndarray | None]:
    """The gradient of the loss on a batch, for each weight array, in model order; of pruned weights too.

    The network computes as it does when it is evaluated, without dropout, so that nothing is drawn by chance.

    Args:
        model: compiled to be trained; it is not changed.
        batch: examples that fit into memory.

    Returns:
        float32 arrays of the shapes of the weights; None for those that are not trained or have no part in the loss.
    """
    variables = {id(variable): variable.value for variable in model.trainable_weights}
    with tf.GradientTape() as tape:
        loss = model.compute_loss(batch.x, batch.y, model(batch.x, training=False), training=False)
    found = dict(zip(variables, tape.gradient(loss, list(variables.values())), strict=True))
    gradients = [found.get(id(variable)) for variable in model.weights]
    return [None if one is None else tf.convert_to_tensor(one).numpy().astype(np.float32) for one in gradients]
