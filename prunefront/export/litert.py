"""LiteRT files, as Keras's exporter and TensorFlow's converter write them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from prunefront.common.errors import InputError, cause
from prunefront.common.runtime import keras, quiet_stderr, tf
from prunefront.export.formats import variant
from prunefront.export.litert_file import unpacks_int8_kernels

REPRESENTATIVE = 300
"""Training examples by which the ranges of int8 activations are found: converter and accuracy want a few hundred."""


def write_litert(path: Path, model: "keras.Model", name: str, examples: np.ndarray) -> None:
    """Converts a model.

    Only operations of LiteRT itself are allowed, so that every build of the runtime loads the file. Inputs and outputs
    stay float32, or the integers that the model takes, in int8 files too: a caller needs to know no scale.

    Args:
        path: ends in `.tflite`.
        model: built, float32.
        name: litert, litert_sparse, litert_dynamic, litert_int8 or litert_int8_sparse.
        examples: as the model takes them, shape (n, ...); int8 finds the ranges of activations by them.

    Raises:
        InputError: the converter cannot convert the model, or to a file only that LiteRT does not run.
    """
    words = variant(name).split("_")
    optimize = tf.lite.Optimize
    options: dict[str, Any] = {"optimizations": []}
    if "dynamic" in words or "int8" in words:
        options["optimizations"].append(optimize.DEFAULT)
    if "sparse" in words:
        options["optimizations"].append(optimize.EXPERIMENTAL_SPARSITY)
    operations = tf.lite.OpsSet.TFLITE_BUILTINS
    if "int8" in words:
        operations = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        options["representative_dataset"] = lambda: ([examples[i : i + 1]] for i in range(len(examples)))
    options["target_spec"] = {"supported_ops": [operations]}
    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.export(path, format="litert", verbose=False, **options)
    except Exception as error:  # the converter raises what it comes upon
        raise InputError(f"Expected a model that LiteRT's converter can convert. Received: {cause(error)}") from None
    if unpacks_int8_kernels(path):
        path.unlink()
        raise InputError(
            "Expected sparse Dense kernels to have empty blocks of 16 inputs, since LiteRT runs no int8 file with "
            "others; litert_sparse and litert_int8 take any. Received: zeros one by one"
        )
