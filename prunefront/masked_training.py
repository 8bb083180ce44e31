"""Training that cannot bring pruned weights back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from prunefront.errors import InputError
from prunefront.masks import apply_masks, check_masks
from prunefront.runtime import keras, tf


def hold_masks(model: "keras.Model", masks: Sequence[np.ndarray]) -> "keras.Model":
    """Prunes a model and overrides its `train_step` so that what is pruned stays exactly zero.

    Each step multiplies the gradient by the mask before the optimizer sees it (method 4 of the founding report), then
    sets the masked weights, and the optimizer's moving averages of them, to zero again: momentum, weight decay and
    optimizers that mix the entries of a matrix move weights whose gradient is zero. Compile and `fit` as usual, before
    or after; files saved from the model are those of the plain model.

    Args:
        model: a built Keras model; changed in place.
        masks: for each array of `model.get_weights()` a boolean array of its shape, True = kept.

    Returns:
        The same model.

    Raises:
        InputError: the model is not built, or the masks do not fit its weights.
    """
    if not model.built:
        raise InputError("Expected a built model; call it on data or model.build(...) first. Received: an unbuilt one")
    checked = check_masks(masks, [tuple(v.shape) for v in model.weights])
    model.set_weights(apply_masks(model.get_weights(), checked))
    holder = _Holder(model, checked)
    model.train_step = holder.train_step
    model.fit = holder.fit
    return model


def assert_held(weights: Sequence[np.ndarray], masks: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """Raises RuntimeError if a masked weight is not exactly zero, naming the first array concerned."""
    for weight, mask, name in zip(weights, masks, names, strict=True):
        revived = int(np.count_nonzero(weight[~mask]))
        if revived:
            raise RuntimeError(f"{revived} pruned weights of {name} are not zero: the mask did not hold")


class _Holder:
    """The masks of one model. A plain object, so that Keras neither tracks nor saves what it holds."""

    def __init__(self, model: "keras.Model", masks: Sequence[np.ndarray]):
        self.model = model
        self.masks = list(masks)
        self.plain_train_step = model.train_step
        self.plain_fit = model.fit
        self.optimizer: Any = None
        pairs = zip(model.weights, masks, strict=True)
        self.factors = {v.path: (v, tf.Variable(m, dtype=v.dtype, trainable=False)) for v, m in pairs if not m.all()}

    def train_step(self, data: Any) -> Any:
        """The model's own training step with masked gradients, then the projection onto the masks."""
        if self.model.optimizer is not self.optimizer:
            self._mask_gradients_of(self.model.optimizer)
        logs = self.plain_train_step(data)
        for variable, factor in self.factors.values():
            variable.assign(variable * factor)
        return logs

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own `fit`; afterwards the zeros are restored (Keras may end with an average) and checked."""
        history = self.plain_fit(*args, **kwargs)
        self.model.set_weights(apply_masks(self.model.get_weights(), self.masks))
        assert_held(self.model.get_weights(), self.masks, [v.path for v in self.model.weights])
        return history

    def _mask_gradients_of(self, optimizer: Any) -> None:
        plain_apply = optimizer.apply

        def masked_apply(grads: Any, trainable_variables: Any = None) -> Any:
            variables = optimizer._trainable_variables if trainable_variables is None else list(trainable_variables)
            masked = [self._masked(g, v) for g, v in zip(grads, variables, strict=True)]
            return plain_apply(masked, trainable_variables)

        optimizer.apply = masked_apply
        self.optimizer = optimizer

    def _masked(self, gradient: Any, variable: Any) -> Any:
        if gradient is None or variable.path not in self.factors:
            return gradient
        return gradient * self.factors[variable.path][1]
