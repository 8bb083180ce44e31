"""The training step that keeps zeros, and the watch over it while `fit` runs.

It is an override on the instance. The alternatives lose something: a `constraint` runs after the moving average is
taken and before it is written back, an optimizer of one's own lands in the saved compile configuration, and a subclass
or mix-in changes the class that is saved. A callback that `fit` is given would depend on how a model's own `fit` takes
its arguments.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras, tf
from prunefront.pruning.masks import Masks
from prunefront.training.held_variables import heal, hold, kept, on_all_replicas, project

OVERRIDDEN = ("train_step", "make_train_function", "train_on_batch", "fit", "save", "save_weights", "export")
"""The methods of a model that those of its `Holder` stand in for."""
CHECKED_EVERY = 16
"""Steps. Nothing is lost by looking now and then: after a bad step no other has an effect, and its number is noted."""


class Holder:
    """What holds one model: the methods that stand in for the model's own.

    A plain object, so that Keras neither tracks nor saves what it holds. The model's class stays as it is: that is what
    makes files saved from the model plain ones.
    """

    def __init__(self, model: "keras.Model", masks: Masks, adjustable: bool):
        previous = holder_of(model)
        self.model, self.adjustable = model, adjustable
        self.plain: dict[str, Any] = previous.plain if previous else {name: getattr(model, name) for name in OVERRIDDEN}
        self.calls, self.iterator = 0, None
        with model.distribute_strategy.scope():
            self.variables = list(model.weights)
            self.holds = [hold(v, mask.copy(), adjustable) for v, mask in zip(self.variables, masks, strict=True)]
            self.step = tf.Variable(0, dtype="int64", trainable=False)
            self.bad = tf.Variable([-1, 0], dtype="int64", trainable=False)  # first bad tensor, and its step

    def take_over(self) -> None:
        """Puts the overriding methods in place; steps that were compiled before are compiled anew."""
        for name in OVERRIDDEN:
            setattr(self.model, name, getattr(self, name))
        self._compile_anew()
        self.project()

    @property
    def masks(self) -> Masks:
        """The masks, in model order; not to be changed."""
        return [held.mask for held in self.holds]

    @property
    def optimizers(self) -> list[Any]:
        """The model's, and all that have updated its variables."""
        seen = {id(optimizer): optimizer for held in self.holds for optimizer in held.optimizers}
        compiled = getattr(self.model, "optimizer", None)
        return [*([] if compiled is None or id(compiled) in seen else [compiled]), *seen.values()]

    def train_step(self, data: Any) -> Any:
        """The model's own training step, in which optimizers mask gradients; then what is pruned is zero again."""
        self.check_variables()
        for held in self.holds:
            held.settled_later = True
        try:
            logs = self.plain["train_step"](data)
        finally:
            for held in self.holds:
                held.settled_later = False
        on_all_replicas(self._settle, _finite_loss(logs))
        return logs

    def make_train_function(self, force: bool = False) -> Any:
        """The model's own, with a look at the state of things every so many steps."""
        if self.model.train_function is not None and not force:
            return self.model.train_function
        self.plain["make_train_function"](force)
        step = self.model.train_function

        def train_function(iterator: Any) -> Any:
            if self.calls % CHECKED_EVERY == 0 or iterator is not self.iterator:  # another iterator: another epoch
                self.check_finite()
            self.calls, self.iterator = self.calls + 1, iterator
            return step(iterator)

        self.model.train_function = train_function
        return train_function

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own, followed by the check for NaN and infinity."""
        self._prepare()
        logs = self.plain["train_on_batch"](*args, **kwargs)
        self.check_finite()
        return logs

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own. Before and after it, and thus after all callbacks, the zeros are restored and checked."""
        self._prepare()
        self.project()
        result = self.plain["fit"](*args, **kwargs)
        self.calls, self.iterator = 0, None
        self.check_finite()
        self._check_weights()
        self.project()
        assert_held(self.model.get_weights(), self.masks, [v.path for v in self.variables])
        return result

    def save(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own, after a look whether the zeros are there."""
        self._warn_of_revived()
        return self.plain["save"](*args, **kwargs)

    def save_weights(self, *args: Any, **kwargs: Any) -> Any:
        """See `save`."""
        self._warn_of_revived()
        return self.plain["save_weights"](*args, **kwargs)

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """See `save`."""
        self._warn_of_revived()
        return self.plain["export"](*args, **kwargs)

    def adjust(self, masks: Masks) -> None:
        """Puts other masks in place, which the compiled step uses from now on."""
        for variable, mask in zip(self.variables, masks, strict=True):
            hold(variable, mask.copy(), self.adjustable)
        self.project()

    def project(self) -> None:
        """Sets the pruned weights to zero, and the optimizers' moving averages of them; outside of a step."""
        project(self.variables, self.optimizers)

    def check_variables(self) -> None:
        """Raises InputError if the model has other variables than those that are held."""
        now = self.model.weights
        if [id(v) for v in now] != [id(v) for v in self.variables]:
            raise InputError(
                f"Expected the {len(self.variables)} weight arrays that hold_masks was given; call it again with masks "
                f"for those of now. Received: a model that was changed since, with {len(now)} arrays"
            )

    def _prepare(self) -> None:
        self.check_variables()
        if self.compiled_with != [held.factor is not None for held in self.holds]:
            self._compile_anew()  # a model around this one, or inside it, is held since by masks that prune more

    def _compile_anew(self) -> None:
        self.compiled_with = [held.factor is not None for held in self.holds]
        self.model.train_function = None

    def check_finite(self) -> None:
        """Raises InputError if a step had to be undone."""
        index, step = (int(value) for value in self.bad.numpy())
        if index >= 0:
            self._go_back()
            tensor = ["the loss", *(v.path for v in self.variables)][index]
            raise InputError(
                f"training stopped at step {step}; expected finite numbers, lower the learning rate or check the data. "
                f"Received: NaN or infinity in {tensor}. The weights are those from before that step"
            )

    def _check_weights(self) -> None:
        """Raises InputError if the weights are not finite although every step was good."""
        for variable in self.variables:
            if not np.all(np.isfinite(variable.numpy().astype(np.float32))):
                self._go_back()
                raise InputError(
                    f"Expected finite weights after training. Received: NaN or infinity in {variable.path}, which a "
                    f"callback or a moving average has put there. The weights are those of the last good step"
                )

    def _go_back(self) -> None:
        """To the weights after the last good step, which a callback may have replaced by an average of bad ones."""
        self.bad.assign([-1, 0])
        self.calls, self.iterator = 0, None
        for variable, held in zip(self.variables, self.holds, strict=True):
            variable.assign(np.where(held.mask, held.last.numpy(), 0))
        for optimizer in self.optimizers:
            heal(optimizer)

    def _warn_of_revived(self) -> None:
        for variable, held in zip(self.model.weights, self.holds, strict=False):
            revived = 0 if held.mask.all() else int(np.count_nonzero(variable.numpy()[~held.mask]))
            if revived:
                warnings.warn(
                    f"{revived} pruned weights of {variable.path} are not zero: hold_masks cannot see what changed "
                    f"them, such as a step that was compiled before it. fit, or hold_masks again, makes them zero",
                    stacklevel=3,
                )
                return

    def _settle(self, strategy: Any, loss: Any) -> None:
        """After a step, on all replicas together: masked weights become zero, or a bad step is undone."""
        variables = [v.value for v in self.variables]
        factors = [held.factor for held in self.holds]
        # Before anything waits for all layers, so that it runs while the backward pass of others still does.
        masked = [v if f is None else v * f for v, f in zip(variables, factors, strict=True)]
        loss = strategy.reduce("SUM", loss, axis=None)
        sums = tf.add_n([loss, *(_sum(value) for value in masked)])
        # Finite numbers may add up to infinity; only then is each looked at.
        finite = _either(tf.math.is_finite(sums), _all_finite, _which_finite, {"loss": loss, "values": masked}, tf.bool)
        # Once a step is bad, the rest of a multi-step execution is void.
        good = tf.reduce_all(finite) & (self.bad[0] < 0)
        self.step.assign_add(1, read_value=False)
        step = tf.identity(self.step)
        everywhere = (variables, [held.last for held in self.holds], factors, self.bad)
        for here, last, own_factors, bad in strategy.experimental_local_results(everywhere):
            with tf.device(bad.device):
                state = {
                    "variables": [v.handle for v in here],
                    "last": [v.handle for v in last],
                    "updated": [v.value() for v in here],
                    "factors": [tf.constant(True) if f is None else f.value() for f in own_factors],
                    "bad": bad.handle,
                    "finite": finite,
                    "step": step,
                }
                for variable, value, factor in zip(here, masked, own_factors, strict=True):
                    if factor is not None:
                        variable.assign(value)
                _either(good, _keep, _undo, state)


def assert_held(weights: Sequence[np.ndarray], masks: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """Raises AssertionError if a masked weight is not exactly zero, naming the first array concerned."""
    for weight, mask, name in zip(weights, masks, names, strict=True):
        revived = int(np.count_nonzero(weight[~mask]))
        if revived:
            raise AssertionError(f"{revived} pruned weights of {name} are not zero: the mask did not hold")


def holder_of(model: "keras.Model") -> Holder | None:
    """What holds the model, None if nothing does."""
    holder = getattr(model.train_step, "__self__", None)
    return holder if isinstance(holder, Holder) else None


def _keep(state: dict[str, Any]) -> None:
    # Not what the masks made of it: memory that two variables share would be copied by the next update.
    for last, updated in zip(state["last"], state["updated"], strict=True):
        tf.raw_ops.AssignVariableOp(resource=last, value=updated)


def _undo(state: dict[str, Any]) -> None:
    for variable, last, updated, factor in zip(
        state["variables"], state["last"], state["updated"], state["factors"], strict=True
    ):
        value = tf.raw_ops.ReadVariableOp(resource=last, dtype=updated.dtype)
        tf.raw_ops.AssignVariableOp(resource=variable, value=kept(value, factor))
    noted = tf.raw_ops.ReadVariableOp(resource=state["bad"], dtype=tf.int64)
    first = tf.stack([tf.argmax(~state["finite"]), state["step"]])
    tf.raw_ops.AssignVariableOp(resource=state["bad"], value=tf.where(noted[0] >= 0, noted, first))


def _all_finite(state: dict[str, Any]) -> Any:
    return tf.ones(1 + len(state["values"]), tf.bool)


def _which_finite(state: dict[str, Any]) -> Any:
    return tf.stack([tf.reduce_all(_is_finite(tensor)) for tensor in (state["loss"], *state["values"])])


def _is_finite(tensor: Any) -> Any:
    return tf.math.is_finite(tensor) if tensor.dtype.is_floating else tf.ones_like(tensor, tf.bool)


def _either(
    condition: Any, then: Callable[[Any], Any], otherwise: Callable[[Any], Any], state: dict[str, Any], *returns: Any
) -> Any:
    """What `tf.cond` does. In a graph that one splits in two each tensor that is used, which would double the cost."""
    if tf.executing_eagerly():
        return (then if condition else otherwise)(state)
    like = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), state)
    branches = [tf.function(branch, autograph=False).get_concrete_function(like) for branch in (then, otherwise)]
    result = tf.raw_ops.If(
        cond=condition, input=tf.nest.flatten(state), Tout=returns, then_branch=branches[0], else_branch=branches[1]
    )
    return result[0] if returns else None


def _finite_loss(logs: Any) -> Any:
    """The loss of a step as a float32 scalar: NaN if any of it, of whatever shape, is not finite."""
    try:
        loss = tf.cast(logs["loss"], tf.float32)
    except (KeyError, TypeError, ValueError):  # a step of one's own may give anything
        return tf.constant(0.0)
    return tf.where(tf.reduce_all(tf.math.is_finite(loss)), 0.0, np.nan)


def _sum(variable: Any) -> Any:
    """A float32 scalar that is finite only if the variable is: for float32 its sum, which reads the memory but once."""
    if variable.dtype == tf.float32:
        return tf.reduce_sum(variable)
    return tf.where(tf.reduce_all(_is_finite(variable)), 0.0, np.nan)
