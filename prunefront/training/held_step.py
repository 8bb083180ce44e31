"""The training step that keeps zeros, and the watch over it while `fit` runs.

It is an override on the instance. The alternatives lose something: a `constraint` runs after the moving average is
taken and before it is written back, an optimizer of one's own lands in the saved compile configuration, and a subclass
or mix-in changes the class that is saved.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras, tf
from prunefront.pruning.masks import Masks


class Holder:
    """The masks of one model, and the methods that stand in for the model's own.

    A plain object, so that Keras neither tracks nor saves what it holds. The model's class stays as it is: that is what
    makes files saved from the model plain ones.
    """

    def __init__(self, model: "keras.Model", masks: Masks, adjustable: bool):
        self.model, self.masks, self.adjustable = model, masks, adjustable
        previous = holder_of(model)
        self.plain: tuple[Any, Any, Any] = (
            previous.plain if previous else (model.train_step, model.train_on_batch, model.fit)
        )
        with model.distribute_strategy.scope():
            # The weights after the last good update, before the masks.
            self.last = [tf.Variable(v.value, trainable=False) for v in model.weights]
            self.factors = [
                tf.Variable(mask, dtype=v.dtype, trainable=False) if adjustable or not mask.all() else None
                for v, mask in zip(model.weights, masks, strict=True)
            ]
            self.bad = tf.Variable([-1, 0], dtype="int64", trainable=False)  # first bad tensor, and its step
        self.factor_of = {id(v): f for v, f in zip(model.weights, self.factors, strict=True) if f is not None}

    def take_over(self) -> None:
        """Puts the overriding methods in place; steps that were compiled before are compiled anew."""
        self.model.train_step = self.train_step
        self.model.train_on_batch = self.train_on_batch
        self.model.fit = self.fit
        self.model.train_function = None

    def train_step(self, data: Any) -> Any:
        """The model's own training step with masked gradients, then what is pruned is zero again."""
        self._mask_gradients_of(self.model.optimizer)
        plain_train_step, _, _ = self.plain
        logs = plain_train_step(data)
        loss = tf.cast(logs.get("loss", 0.0) if isinstance(logs, dict) else 0.0, tf.float32)
        tf.distribute.get_replica_context().merge_call(self._settle, args=(loss,))
        return logs

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own, followed by the check for NaN and infinity."""
        _, plain_train_on_batch, _ = self.plain
        logs = plain_train_on_batch(*args, **kwargs)
        self.check_finite()
        return logs

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own, with `_Watch` as the last callback."""
        _, _, plain_fit = self.plain
        call = inspect.signature(plain_fit).bind(*args, **kwargs)
        given = call.arguments.get("callbacks")
        if isinstance(given, keras.callbacks.CallbackList):
            given.callbacks.append(_Watch(self))
        else:
            call.arguments["callbacks"] = [*keras.tree.flatten(given if given is not None else []), _Watch(self)]
        return plain_fit(*call.args, **call.kwargs)

    def adjust(self, masks: Masks) -> None:
        """Puts other masks in place, which the compiled step uses from now on."""
        self.masks = masks
        for variable, mask in zip(self.model.weights, masks, strict=True):
            factor = self.factor_of[id(variable)]
            factor.assign(mask.astype(factor.dtype.as_numpy_dtype))
        self.project()

    def project(self) -> None:
        """Sets the pruned weights to zero, outside of a step."""
        for variable, mask in zip(self.model.weights, self.masks, strict=True):
            if not mask.all():
                variable.assign(np.where(mask, variable.numpy(), 0))
        for last, variable in zip(self.last, self.model.weights, strict=True):
            last.assign(variable.value)

    def check_finite(self) -> None:
        """Raises InputError if a step had to be undone."""
        index, step = (int(value) for value in self.bad.numpy())
        if index >= 0:
            self.bad.assign([-1, 0])
            for variable, last, mask in zip(self.model.weights, self.last, self.masks, strict=True):
                # Undone already, but a callback may have put an average of bad weights in their place.
                variable.assign(np.where(mask, last.numpy(), 0))
            tensor = ["the loss", *(v.path for v in self.model.weights)][index]
            raise InputError(
                f"training stopped at step {step}; expected finite numbers, lower the learning rate or check the data. "
                f"Received: NaN or infinity in {tensor}. The weights are those from before that step"
            )

    def _settle(self, strategy: Any, loss: Any) -> None:
        """After a step, on all replicas together: masked weights become zero, or a bad step is undone."""
        variables = [v.value for v in self.model.weights]
        # Before anything waits for all layers, so that it runs while the backward pass of others still does.
        masked = [v if f is None else v * f for v, f in zip(variables, self.factors, strict=True)]
        sums = [strategy.reduce("SUM", loss, axis=None), *(_sum(value) for value in masked)]
        # Once a step is bad, the rest of a multi-step execution is void.
        good = tf.math.is_finite(tf.add_n(sums)) & (self.bad[0] < 0)
        step = tf.cast(self.model.optimizer.iterations, tf.int64)
        everywhere = (variables, self.last, self.factors, self.bad)
        for here, last, factors, bad in strategy.experimental_local_results(everywhere):
            with tf.device(bad.device):
                state = {
                    "variables": [v.handle for v in here],
                    "last": [v.handle for v in last],
                    "updated": [v.value() for v in here],
                    "factors": [tf.constant(True) if f is None else f.value() for f in factors],
                    "bad": bad.handle,
                    "sums": sums,
                    "step": step,
                }
                for variable, value, factor in zip(here, masked, factors, strict=True):
                    if factor is not None:
                        variable.assign(value)
                _either(good, _keep, _undo, state)
        for variable, average in _moving_averages(self.model.optimizer):
            if average is not None and id(variable) in self.factor_of:
                strategy.extended.update(average.value, _scale, args=(self.factor_of[id(variable)],), group=False)

    def _mask_gradients_of(self, optimizer: Any) -> None:
        """Makes the optimizer multiply each gradient by its mask before anything else."""
        plain_apply = getattr(optimizer.apply, "plain", optimizer.apply)

        def apply(grads: Any, trainable_variables: Any = None) -> Any:
            variables = list(optimizer._trainable_variables if trainable_variables is None else trainable_variables)
            masked = [_masked(g, self.factor_of.get(id(v))) for g, v in zip(grads, variables, strict=True)]
            return plain_apply(masked, trainable_variables if trainable_variables is None else variables)

        apply.plain = plain_apply  # type: ignore[attr-defined]
        optimizer.apply = apply


class _Watch(keras.callbacks.Callback):
    """Comes after the user's callbacks, which may load weights: a backup at the start, the best epoch at the end."""

    def __init__(self, holder: Holder):
        super().__init__()
        self.holder = holder

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        self.holder.project()

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        # Nothing is lost by looking now and then: after a bad step no other has an effect, and its number is noted.
        if batch % 16 == 0:
            self.holder.check_finite()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        self.holder.check_finite()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        self.holder.project()
        model = self.holder.model
        assert_held(model.get_weights(), self.holder.masks, [v.path for v in model.weights])


def assert_held(weights: Sequence[np.ndarray], masks: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """Raises AssertionError if a masked weight is not exactly zero, naming the first array concerned."""
    for weight, mask, name in zip(weights, masks, names, strict=True):
        revived = int(np.count_nonzero(weight[~mask]))
        if revived:
            raise AssertionError(f"{revived} pruned weights of {name} are not zero: the mask did not hold")


def _keep(state: dict[str, Any]) -> None:
    # Not what the masks made of it: memory that two variables share would be copied by the next update.
    for last, updated in zip(state["last"], state["updated"], strict=True):
        tf.raw_ops.AssignVariableOp(resource=last, value=updated)


def _undo(state: dict[str, Any]) -> None:
    for variable, last, updated, factor in zip(
        state["variables"], state["last"], state["updated"], state["factors"], strict=True
    ):
        value = tf.raw_ops.ReadVariableOp(resource=last, dtype=updated.dtype)
        masked = tf.where(tf.cast(factor, tf.bool), value, tf.zeros_like(value))
        tf.raw_ops.AssignVariableOp(resource=variable, value=masked)
    noted = tf.raw_ops.ReadVariableOp(resource=state["bad"], dtype=tf.int64)
    first = tf.stack([tf.argmax(~tf.math.is_finite(state["sums"])), state["step"]])
    tf.raw_ops.AssignVariableOp(resource=state["bad"], value=tf.where(noted[0] >= 0, noted, first))


def _either(good: Any, keep: Callable[[Any], None], undo: Callable[[Any], None], state: dict[str, Any]) -> None:
    """What `tf.cond` does. In a graph that one splits in two each tensor that is used, which would double the cost."""
    if tf.executing_eagerly():
        (keep if good else undo)(state)
        return
    like = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), state)
    then, otherwise = (tf.function(branch, autograph=False).get_concrete_function(like) for branch in (keep, undo))
    tf.raw_ops.If(cond=good, input=tf.nest.flatten(state), Tout=[], then_branch=then, else_branch=otherwise)


def _scale(variable: Any, factor: Any) -> None:
    variable.assign(variable * factor)


def _masked(gradient: Any, factor: Any) -> Any:
    if gradient is None or factor is None:
        return gradient
    if isinstance(gradient, tf.IndexedSlices):  # of an embedding: stays sparse, as optimizers expect it
        rows = tf.gather(factor, gradient.indices)
        return tf.IndexedSlices(gradient.values * tf.cast(rows, gradient.dtype), gradient.indices, gradient.dense_shape)
    return gradient * tf.cast(factor, gradient.dtype)


def _sum(variable: Any) -> Any:
    """A float32 scalar that is finite if the variable is: for float32 its sum, which reads the memory but once."""
    if variable.dtype == tf.float32:
        return tf.reduce_sum(variable)
    if not variable.dtype.is_floating:
        return tf.constant(0.0)
    return tf.where(tf.reduce_all(tf.math.is_finite(variable)), 0.0, np.nan)  # the sum of good halves may overflow


def _moving_averages(optimizer: Any) -> Iterator[tuple[Any, Any]]:
    """Each trainable variable with its moving average, of an optimizer and those that it wraps."""
    if getattr(optimizer, "use_ema", False) and optimizer.built:  # one of several may have no variable to train
        yield from zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
    for inner in (getattr(optimizer, "inner_optimizer", None), *getattr(optimizer, "_inner_optimizers", ())):
        if inner is not None:
            yield from _moving_averages(inner)


def holder_of(model: "keras.Model") -> Holder | None:
    """What holds the model, None if nothing does."""
    holder = getattr(model.train_step, "__self__", None)
    return holder if isinstance(holder, Holder) else None
