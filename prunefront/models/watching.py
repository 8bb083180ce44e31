"""The calls of a model's layers, watched during one forward pass."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prunefront.common.patching import replaced
from prunefront.common.runtime import keras


def watch(
    operations: "Sequence[keras.Operation]", note: Callable[..., Any], model: "keras.Model", example: np.ndarray
) -> None:
    """Runs the model once, with the calls of these layers or operations handed to a function that makes them.

    Args:
        operations: of the model.
        note: takes the operation, its plain method, arguments and keywords; returns the outputs.
        model: of any kind.
        example: a batch of examples.
    """
    with contextlib.ExitStack() as watching:
        for operation in operations:
            call = functools.wraps(operation.call)(functools.partial(_noted, note, operation, operation.call))
            watching.enter_context(replaced(operation, "call", call))
        model(example, training=False)


def _noted(
    note: Callable[..., Any], operation: "keras.Operation", plain: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    return note(operation, plain, args, kwargs)
