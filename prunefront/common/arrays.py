"""Arrays from files and in the precision of networks; nothing is ever unpickled."""

import zipfile
from pathlib import Path

import numpy as np

from prunefront.common.errors import InputError, cause
from prunefront.common.files import check_fetched
from prunefront.common.sizes import check_size


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, in the file's order; never unpickles.

    Raises:
        InputError: the file is missing, truncated, no `.npz` (what it is instead is named), unpacks to more than
            `sizes.memory_limit`, or holds Python objects (a pickle).
    """
    if not path.is_file():  # a pipe would be waited for
        raise InputError(
            f"Expected an .npz file. Received: {path}, which {'is no file' if path.exists() else 'does not exist'}"
        )
    check_fetched(path)
    check_size(_declared(path), str(path))
    try:
        with path.open("rb") as file:
            kind = _kind(file.read(64))
            if kind is not None:
                raise InputError(f"{path}: expected an .npz file, as numpy.savez writes it. Received: {kind}")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except ValueError as error:
        if "pickle" not in str(error).lower():
            raise InputError(f"{path}: expected a whole .npz file. Received: {error}") from None
        raise InputError(
            f"{path}: expected plain arrays of numbers or text. Received: pickled Python objects, which are never "
            "loaded because they can run code; save the arrays with a plain dtype, text with array.astype(str)"
        ) from None
    except Exception as error:  # a damaged archive raises almost anything
        raise InputError(
            f"{path}: expected a whole .npz file. Received: a damaged or different file ({cause(error)})"
        ) from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InputError(
                f"{path}: expected an .npz file, of arrays only. Received: an archive with {name}, which is none"
            )
    return arrays


def _kind(head: bytes) -> str | None:
    """What a file is by its first bytes, where it cannot be an `.npz`: NumPy takes all of these for pickles."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return None
    known = {
        b"\x93NUMPY": "an .npy file, a single array without a name",
        b"\x89HDF": "an HDF5 file",
        b"\x80": "a pickle, which is never loaded because it can run code",
        b"\x1f\x8b": "a gzip file",
        b"PAR1": "a Parquet file",
        b"SQLite": "a SQLite file",
    }
    for beginning, kind in known.items():
        if head.startswith(beginning):
            return kind
    if all(byte >= 32 or byte in b"\t\r\n" for byte in head):  # UTF-8 and its like as well
        return "a text file, such as CSV; read it with pandas or numpy.loadtxt first"
    return "a file of another kind"


def _declared(path: Path) -> int:
    """What the arrays of an `.npz` file take unpacked, in bytes: no member can give more than it declares here."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):  # no archive, or a damaged one
        return 0


def finite_in_float32(array: np.ndarray) -> bool:
    """Whether all values are finite in the precision that networks compute in."""
    with np.errstate(over="ignore"):
        return bool(np.all(np.isfinite(array.astype(np.float32))))
