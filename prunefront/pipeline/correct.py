"""Which examples an operating point gets right, packed to bits, in a small file that says of which labels and weights.

`models/STAGE/SEED/LEVEL.correct.npz` lies beside the weights of a point and is about the validation split;
`models/correct.npz`, of the last stage, holds what all points and the dense networks get right of the test split.
"""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prunefront.common.errors import InputError, cause
from prunefront.common.sizes import check_size
from prunefront.pipeline.store import level_name, weights_folder

ARRAYS = ("right", "examples", "labels_sha256", "weights_sha256")


def correct_file(stage: str, seed: int, level: float) -> Path:
    """The file of an operating point."""
    return weights_folder(stage, seed) / correct_name(level)


def correct_name(level: float) -> str:
    """The name of the file in the stage's folder."""
    return f"{level_name(level)}.correct.npz"


def write_correct(path: Path, right: np.ndarray, y: np.ndarray, weights: Sequence[str]) -> None:
    """Writes what points get right; the same content gives the same bytes.

    Args:
        path: of the `.npz` file.
        right: shape (points, n), bool.
        y: shape (n,), the labels of the split.
        weights: the SHA-256 of each point's weight file, in hexadecimal.
    """
    with path.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            right=np.packbits(right, axis=1),
            examples=np.int64(right.shape[1]),
            labels_sha256=_bytes(labels_digest(y)),
            weights_sha256=np.array([_bytes(digest) for digest in weights], np.uint8),
        )


def read_correct(path: Path, y: np.ndarray, weights: Sequence[str]) -> np.ndarray:
    """What points get right of a split.

    Args:
        path: of the `.npz` file.
        y: shape (n,), the labels of the split that it has to be about.
        weights: the SHA-256 of the weight file of each point that it has to be about, in their order.

    Returns:
        Shape (points, n), bool.

    Raises:
        InputError: the file is missing or damaged, or it is about other labels or weights.
    """
    try:
        packed, examples, labels, points = _read(path)
    except FileNotFoundError:
        raise refused(path, "no such file") from None
    except InputError:
        raise
    except Exception as error:  # a damaged file raises almost anything
        raise refused(path, f"a damaged or different file ({cause(error)})") from None
    if examples != len(y) or labels.tobytes().hex() != labels_digest(y):
        raise refused(path, "those of another split")
    if [row.tobytes().hex() for row in points] != list(weights):
        raise refused(path, "those of other weights")
    return np.unpackbits(packed, axis=1, count=examples).astype(bool)


def labels_digest(y: np.ndarray) -> str:
    """SHA-256 of labels, shape (n,), as little-endian int64, in hexadecimal."""
    return hashlib.sha256(y.astype("<i8").tobytes()).hexdigest()


def _read(path: Path) -> tuple[np.ndarray, int, np.ndarray, np.ndarray]:
    """The arrays of a file, after a look at what they declare to be. Raises ValueError if they are none of ours."""
    with zipfile.ZipFile(path) as archive:
        check_size(sum(member.file_size for member in archive.infolist()), str(path))
    with np.load(path, allow_pickle=False) as arrays:
        if set(arrays.files) != set(ARRAYS):
            raise ValueError(f"arrays {', '.join(arrays.files)[:80]}")
        right, examples, labels, weights = (arrays[name] for name in ARRAYS)
    if examples.shape != () or examples.dtype != np.int64 or examples < 1:
        raise ValueError("no number of examples")
    shapes = (len(weights), -(-int(examples) // 8)), (32,), (len(weights), 32)
    for array, shape in zip((right, labels, weights), shapes, strict=True):
        if array.dtype != np.uint8 or array.shape != shape:
            raise ValueError(f"an array of shape {array.shape} and dtype {array.dtype}")
    return right, int(examples), labels, weights


def _bytes(digest: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(digest), np.uint8)


def refused(path: Path, received: str) -> InputError:
    """What is said of a file that is not what this run wrote."""
    return InputError(
        f"{path}: expected which examples a point gets right, as this run wrote it; run `dvc repro`. "
        f"Received: {received}"
    )
