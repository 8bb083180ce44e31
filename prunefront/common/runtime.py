"""TensorFlow and Keras, imported quietly and set up to give the same numbers every time."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

# before Keras is imported
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
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


with _quiet_stderr():
    import keras
    import tensorflow as tf

tf.get_logger().setLevel("ERROR")  # each level retrains a new network, which TensorFlow takes for a mistake

__all__ = ["keras", "set_up", "tf"]


def set_up(precision: str, seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, makes operations deterministic, and sets the precision of new layers.

    Args:
        precision: a Keras dtype policy, "float32" or "mixed_bfloat16".
        seed: in [0, 2**32).
    """
    keras.config.set_dtype_policy(precision)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
