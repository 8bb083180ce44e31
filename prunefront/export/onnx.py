"""ONNX files, as Keras writes them through tf2onnx."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np

from prunefront.common.errors import InputError, cause
from prunefront.common.runtime import keras, quiet_stderr

EXTRA = ("onnx", "onnxruntime", "tf2onnx")


def check_extra() -> None:
    """Raises InputError if a package of the extra is missing."""
    missing = [package for package in EXTRA if importlib.util.find_spec(package) is None]
    if missing:
        raise InputError(
            f"Expected the packages of the extra for the format onnx; pip install 'prunefront[onnx]'. "
            f"Received: no package {missing[0]}"
        )


def write_onnx(path: Path, model: "keras.Model", example: np.ndarray) -> None:
    """Converts a model.

    Args:
        path: ends in `.onnx`.
        model: built, float32.
        example: a batch as the model takes it; a model that was never called cannot be exported.

    Raises:
        InputError: the model cannot be converted.
    """
    failed = None
    with quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model(example, training=False)
            model.export(path, format="onnx", verbose=False)
            importlib.import_module("onnx.checker").check_model(
                path
            )  # operations that it has no word for stay as they are
        except Exception as error:  # the converter raises what it comes upon, after many lines
            failed = error
    if failed is not None:
        raise InputError(f"Expected a model that tf2onnx can convert. Received: {cause(failed)}")
