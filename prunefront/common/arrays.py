"""Arrays from files and in the precision of networks; nothing is ever unpickled."""

import zipfile
from pathlib import Path

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.files import check_fetched
from prunefront.common.sizes import check_size


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file, in the file's order; never unpickles.

    Raises:
        InputError: the file is missing, truncated, no `.npz`, unpacks to more than `sizes.memory_limit`, or holds
            Python objects (a pickle).
    """
    check_fetched(path)
    check_size(_declared(path), str(path))
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"Expected an .npz file. Received: {path}, which does not exist") from None
    except ValueError as error:
        if "pickle" not in str(error).lower():
            raise InputError(f"{path}: expected a whole .npz file. Received: {error}") from None
        raise InputError(
            f"{path}: expected plain arrays of numbers or text. Received: pickled Python objects, which are never "
            "loaded because they can run code; save the arrays with a plain dtype"
        ) from None
    except Exception as error:  # a damaged archive raises almost anything
        raise InputError(
            f"{path}: expected a whole .npz file. Received: a damaged or different file ({error})"
        ) from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path}: expected arrays only. Received: {name}, which is none")
    return arrays


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
