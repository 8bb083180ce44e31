"""LiteRT files, as Keras's exporter and TensorFlow's converter write them."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from prunefront.common.errors import InputError, cause
from prunefront.common.runtime import keras, quiet_stderr, tf
from prunefront.export.formats import variant
from prunefront.export.litert_file import sparse_defect

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
        x = examples.astype(model.inputs[0].dtype)
        options["representative_dataset"] = lambda: ([x[i : i + 1]] for i in range(len(x)))
    options["target_spec"] = {"supported_ops": [operations]}
    try:
        _convert(path, model, None, options)
    except Exception:  # recurrent layers need to know the size of a batch
        try:
            _convert(
                path,
                model,
                [keras.InputSpec(shape=(1, *model.inputs[0].shape[1:]), dtype=model.inputs[0].dtype)],
                options,
            )
        except Exception as error:  # the converter raises what it comes upon
            raise InputError(
                f"Expected a model that LiteRT's converter can convert. Received: {_reason(error)}"
            ) from None
    defect = sparse_defect(path)
    if defect is not None:
        path.unlink()
        raise InputError(
            f"Expected kernels whose zeros LiteRT's converter can store; litert_sparse (float32) and litert_int8 "
            f"(dense) may do. Received: {defect}"
        )


def _convert(path: Path, model: "keras.Model", signature: Any, options: dict[str, Any]) -> None:
    """Writes the file, or raises what the converter raises; nothing else is said."""
    failed = None
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.export(path, format="litert", verbose=False, input_signature=signature, **options)
        except Exception as error:  # caught here: what native code says would be shown
            failed = error
    if failed is not None:
        raise failed


def _reason(error: Exception) -> str:
    """The converter's first complaint of an operation, without the places that it comes from."""
    complaint = re.search(r"error: ('[^']*' op [^\n]*)", str(error))
    return cause(error) if complaint is None else complaint[1][:300]
