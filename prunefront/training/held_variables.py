"""Masks that live on variables: whatever assigns to a held one, and whichever optimizer updates it, its zeros stay.

A model's variables are updated by more than its own `fit`: the two optimizers of a GAN, a loop of one's own, another
model that it is a part of. What all these have in common is the variable and `keras.optimizers.Optimizer.apply`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakSet

import numpy as np

from prunefront.common.runtime import keras, tf

NAME = "_prunefront_hold"
"""The attribute of a variable that has its `Hold`; Keras neither tracks nor saves it."""


@dataclass(eq=False)
class Hold:
    """How one variable is held.

    Attributes:
        own: TensorFlow's variable inside Keras's.
        mask: boolean array of the variable's shape, True = kept.
        factor: the mask in the variable's dtype, as a variable; None if everything is kept for good.
        last: the variable after the last good update, before the mask.
        assign: the variable's own `assign`.
        optimizers: that have updated the variable.
        settled_later: whether a training step is under way that masks the variable by itself.
    """

    own: Any
    mask: np.ndarray
    factor: Any
    last: Any
    assign: Callable[[Any], Any]
    optimizers: "WeakSet[Any]" = field(default_factory=WeakSet)
    settled_later: bool = False


def hold(variable: Any, mask: np.ndarray, adjustable: bool) -> Hold:
    """Holds a Keras variable, or exchanges the mask by which it is held. Its value changes when it is next assigned.

    Args:
        variable: of a model.
        mask: boolean, of its shape; it becomes the hold's own.
        adjustable: makes room for other masks even where this one keeps all.
    """
    held = hold_of(variable)
    if held is None:
        own = variable.value
        held = Hold(own, mask, None, tf.Variable(own, trainable=False), variable.assign)
        setattr(variable, NAME, held)
        setattr(own, NAME, held)  # loops of one's own may give it to an optimizer
        variable.assign = partial(_assign, variable, held)
        _watch_optimizers()
    held.mask = mask
    if held.factor is not None:
        held.factor.assign(mask.astype(held.factor.dtype.as_numpy_dtype))
    elif adjustable or not mask.all():
        held.factor = tf.Variable(mask, dtype=variable.dtype, trainable=False)
    return held


def hold_of(variable: Any) -> Hold | None:
    """How a variable is held, None if it is not."""
    return getattr(variable, NAME, None)


def project(variables: Sequence[Any], optimizers: Sequence[Any]) -> None:
    """Sets the pruned weights of held variables to zero, and optimizers' moving averages of them; not in a step."""
    averages = [pair for optimizer in optimizers for pair in moving_averages(optimizer)]
    for variable, target in [*((v, v) for v in variables), *averages]:
        held = hold_of(variable)
        if held is not None and not held.mask.all():
            target.assign(np.where(held.mask, target.numpy(), 0))
    for variable in variables:
        held = getattr(variable, NAME)
        held.last.assign(held.own)


def heal(optimizer: Any) -> None:
    """Makes an optimizer's state finite after NaN: averages begin again at the weights, all else at zero."""
    averaged = {id(average): variable for variable, average in moving_averages(optimizer)}
    for variable in optimizer.variables:
        if keras.backend.is_float_dtype(variable.dtype):
            value = variable.numpy()
            finite = np.isfinite(value.astype(np.float32))
            if not finite.all():
                other = averaged[id(variable)].numpy() if id(variable) in averaged else np.zeros_like(value)
                variable.assign(np.where(finite, value, other))


def moving_averages(optimizer: Any) -> Iterator[tuple[Any, Any]]:
    """Each trainable variable with its moving average, of an optimizer and those that it wraps."""
    if getattr(optimizer, "use_ema", False) and optimizer.built:  # one of several may have no variable to train
        yield from zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
    for inner in (getattr(optimizer, "inner_optimizer", None), *getattr(optimizer, "_inner_optimizers", ())):
        if inner is not None:
            yield from moving_averages(inner)


def on_all_replicas(function: Callable[..., None], *args: Any) -> None:
    """Calls a function with the strategy in use, and with the arguments of all replicas together."""
    replica = tf.distribute.get_replica_context()
    if replica is None:
        function(tf.distribute.get_strategy(), *args)
    else:
        replica.merge_call(function, args=args)


def _assign(variable: Any, held: Hold, value: Any) -> Any:
    """Stands in for a held variable's `assign`."""
    if held.factor is not None:
        value = keras.ops.convert_to_tensor(value, variable.dtype)
        if value.shape == held.factor.shape:  # else Keras says what is wrong
            value = kept(value, held.factor)
    assigned = held.assign(value)
    if tf.executing_eagerly() and not held.settled_later:
        held.last.assign(held.own)
    return assigned


def _watch_optimizers() -> None:
    """From now on every Keras optimizer masks what it does to held variables, and treats others as before."""
    optimizer_class = keras.optimizers.Optimizer
    plain_apply = optimizer_class.apply
    if getattr(plain_apply, "masks", False):
        return

    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        variables = list(self._trainable_variables if trainable_variables is None else trainable_variables)
        holds = [hold_of(variable) for variable in variables]
        if not any(holds) or len(grads) != len(variables):  # other lengths are for Keras to refuse
            return plain_apply(self, grads, trainable_variables)
        masked = [_masked(gradient, held) for gradient, held in zip(grads, holds, strict=True)]
        result = plain_apply(self, masked, trainable_variables if trainable_variables is None else variables)
        for held in holds:
            if held is not None:
                held.optimizers.add(self)
        on_all_replicas(_mask_updated, self)
        return result

    apply.masks = True  # type: ignore[attr-defined]
    optimizer_class.apply = apply


def _mask_updated(strategy: Any, optimizer: Any) -> None:
    """After an optimizer's update, on all replicas together: pruned weights and moving averages of them are zero."""
    for variable in optimizer._trainable_variables:
        held = hold_of(variable)
        if held is not None and held.factor is not None and not held.settled_later:
            strategy.extended.update(held.own, _keep, args=(held.factor,), group=False)
    for variable, average in moving_averages(optimizer):
        held = hold_of(variable)
        if held is not None and average is not None:
            args = (held.last, True if held.factor is None else held.factor)
            strategy.extended.update(average.value, _keep_finite, args=args, group=False)


def _keep(variable: Any, factor: Any) -> None:
    variable.assign(kept(variable, factor))


def _keep_finite(average: Any, last: Any, factor: Any) -> None:
    """A moving average masked; where a step that will be undone has made it NaN, it begins again at the weights."""
    average.assign(kept(tf.where(tf.math.is_finite(average), average, tf.cast(last, average.dtype)), factor))


def kept(value: Any, factor: Any) -> Any:
    """A tensor with zeros where a factor is 0, also in place of NaN."""
    return tf.where(tf.cast(factor, tf.bool), value, tf.zeros_like(value))


def _masked(gradient: Any, held: Hold | None) -> Any:
    if gradient is None or held is None or held.factor is None:
        return gradient
    if isinstance(gradient, tf.IndexedSlices):  # of an embedding: stays sparse, as optimizers expect it
        rows = tf.gather(held.factor, gradient.indices)
        return tf.IndexedSlices(gradient.values * tf.cast(rows, gradient.dtype), gradient.indices, gradient.dense_shape)
    return gradient * tf.cast(held.factor, gradient.dtype)
