"""The network that the fits of a stage train, one after the other, with a training step that is compiled once.

Compiling takes seconds, which is more than a small network trains. What a fit starts from is set in full each time, so
that no fit depends on those before it: the variables of a new network, those of random layers among them, a new
optimizer's state, and the masks.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from prunefront.common.runtime import keras
from prunefront.models.layers import layers_of
from prunefront.training.held_step import holder_of


@dataclass
class Network:
    """A compiled network, for one fit at a time.

    Attributes:
        model: the network.
        teachers: the networks whose outputs are imitated.
        scalars: the optimizer's scalars before the first step; all else of its state begins at zero.
    """

    model: "keras.Model"
    teachers: Sequence["keras.Model"] = ()
    scalars: list[np.ndarray | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        optimizer = self.model.optimizer
        optimizer.build(self.model.trainable_variables)
        self.scalars = [None if len(v.shape) else v.numpy() for v in optimizer.variables]

    def begin_anew(self, new: "keras.Model") -> None:
        """The state of a new network, with an optimizer that has not made a step."""
        holder = holder_of(self.model)
        if holder is not None:
            holder.adjust([np.ones(v.shape, bool) for v in self.model.weights])
        for variable, other in zip(self.model.variables, new.variables, strict=True):
            variable.assign(other)
        for variable, scalar in zip(self.model.optimizer.variables, self.scalars, strict=True):
            variable.assign(np.zeros(variable.shape) if scalar is None else scalar)


class Networks:
    """Keeps the network of the last fit for a next one with the same training step; one, since it may be large."""

    def __init__(self) -> None:
        self.last: tuple[str, Network] | None = None

    def get(self, new: "keras.Model", step: object, compiled: Callable[["keras.Model"], Network]) -> Network:
        """A network in the state of a new one, with an optimizer that has not made a step.

        Args:
            new: a new network; it may become the one that is trained.
            step: all that the compiled training step depends on, beside the shapes of the variables, for JSON.
            compiled: compiles a new network.
        """
        key = json.dumps([step, [[list(v.shape), v.dtype] for v in new.variables]], sort_keys=True)
        if self.last is not None and self.last[0] == key and _made_of_variables(new):
            network = self.last[1]
            network.begin_anew(new)
        else:
            self.last = None  # before the next one is made
            network = compiled(new)
            self.last = key, network
        return network


def _made_of_variables(model: "keras.Model") -> bool:
    """Whether all that a network remembers is in its variables: what a layer of the user's own does, nobody knows."""
    parts = [model, *(layer for _, layer in layers_of(model))]
    own = [part for part in parts if type(part).__module__.split(".")[0] != "keras"]
    return not own and not any(isinstance(part, keras.layers.Lambda) for part in parts)
