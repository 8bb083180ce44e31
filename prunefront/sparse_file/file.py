"""Sparse files on disk."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.files import replacing
from prunefront.common.sizes import check_size
from prunefront.sparse_file.codec import decode_named, encode

SUFFIX = ".sparse"


def save_sparse(
    path: str | Path, weights: Sequence[np.ndarray], values: str = "float32", names: Sequence[str] | None = None
) -> None:
    """Writes weights to a small file that `load_weights` reads, and `certify` and `model.weights` take.

    Args:
        path: ends in `.sparse`.
        weights: arrays in model order, as `load_weights` and `model.get_weights()` give them.
        values: "float32" keeps every bit, whatever the dtype. Smaller, with a loss: "bfloat16" rounds all values,
            "int8", "int6" and "int5" those of kernels and embeddings (arrays of two or more axes), with a scale for
            each output channel. Zeros stay zeros, and nothing becomes one.
        names: of the arrays, for example `[w.path for w in model.weights]`; by default their numbers.

    Raises:
        InputError: as `encode`; or the path has another ending, or the file read back is another (a failing disk).
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise InputError(f"Expected the path of a sparse file to end in {SUFFIX}. Received: {path}")
    content = encode(weights, values, names)
    with replacing(path) as partial:
        partial.write_bytes(content)
        if partial.read_bytes() != content:
            raise InputError(f"Expected {path} to hold what was written. Received: something else when read back")


def read_sparse(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a sparse file by their names, in the file's order. Raises InputError as `decode`."""
    check_size(path.stat().st_size, str(path))
    return decode_named(path.read_bytes(), str(path))
