"""TensorFlow and Keras, imported quietly and set up to give the same numbers every time."""

import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from prunefront.common.errors import InputError, cause
from prunefront.common.machine import COMMAND, without_16_bits

# before Keras is imported; an empty one would leave the choice to the user's keras.json
BACKEND = os.environ.get("KERAS_BACKEND") or "tensorflow"
if BACKEND != "tensorflow":
    raise InputError(f"Expected Keras on TensorFlow; unset KERAS_BACKEND. Received: KERAS_BACKEND={BACKEND}")
os.environ["KERAS_BACKEND"] = BACKEND
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back what native code writes to stderr; shows it after all if the block fails.

    TensorFlow logs half a dozen lines at import that no setting of its own silences.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        try:
            original = os.dup(2)
        except OSError:  # no stderr at all: nothing to silence
            yield
            return
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


@contextlib.contextmanager
def sooner() -> Iterator[None]:
    """Imports Keras and TensorFlow in half of the time.

    Their half a million objects are no garbage: they are not searched for it, neither now nor, in a command, whenever a
    training step is traced. And a command needs nothing of what Keras offers beside its models, so that it does without
    the packages for that; Keras takes them for not installed.
    """
    ours = COMMAND in os.environ  # else the process, and what it imports, is the user's
    left_out = [name for name in ("matplotlib", "sklearn") if ours and name not in sys.modules]
    collects = gc.isenabled()
    gc.disable()
    modules: dict[str, Any] = sys.modules  # where None stands for a module that is not there
    modules.update(dict.fromkeys(left_out))
    try:
        yield
    finally:
        for name in left_out:
            del sys.modules[name]
        if ours:
            gc.freeze()
        if collects:
            gc.enable()


try:
    with quiet_stderr(), sooner():
        import keras
        import tensorflow as tf
except Exception as error:  # both read files and the environment
    raise InputError(
        f"Expected Keras and TensorFlow to start; look at what the environment sets (KERAS_*), and at keras.json in "
        f"~/.keras or KERAS_HOME. Received: {cause(error)}"
    ) from None
if keras.config.backend() != BACKEND:  # imported before, by a program that uses the library
    raise InputError(f"Expected Keras on TensorFlow. Received: Keras on {keras.config.backend()}")

tf.get_logger().setLevel("ERROR")  # each level retrains a new network, which TensorFlow takes for a mistake

__all__ = ["keras", "quiet_stderr", "set_up", "tf"]


def set_up(precision: str, seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, makes operations deterministic, and sets the precision of new layers.

    What the user's keras.json and KERAS_MAX_EPOCHS set counts for nothing: results follow from the parameters.

    Args:
        precision: a Keras dtype policy, "float32" or "mixed_bfloat16".
        seed: in [0, 2**32).

    Raises:
        InputError: TensorFlow would end the process in this precision.
    """
    if "16" in precision and (held := without_16_bits()) is not None:
        raise InputError(f"Expected precision: float32, or {held} unset. Received: precision: {precision}")
    keras.backend.clear_session()  # so that new layers have the names that they have in a process of their own
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)
    keras.config.set_dtype_policy(precision)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
