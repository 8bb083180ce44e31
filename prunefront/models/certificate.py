"""Zero-hold certificates: what a weight file held when it was written, to be checked at any later time.

The certificate of `FILE` is `FILE.certificate.json`: for each array its shape, its count of zeros and a digest of where
they are, and a digest of the whole file. It is always computed from the file on disk.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.files import digest, write_json
from prunefront.models.weights import load_named_weights
from prunefront.pruning.masks import count_zeros


def certificate_path(path: Path) -> Path:
    """Where the certificate of a weight file lies."""
    return path.with_name(f"{path.name}.certificate.json")


def certify(path: str | Path, masks: Sequence[np.ndarray] | None = None) -> Path:
    """Writes the certificate of a weight file beside it.

    Args:
        path: any file that `load_weights` reads.
        masks: in model order, True = kept; the zeros in the file are checked against them first.

    Returns:
        The path of the certificate.

    Raises:
        InputError: the file cannot be read, or it has weights that are not zero where the masks say so.
    """
    path = Path(path)
    arrays = load_named_weights(path)
    if masks is not None:
        if len(masks) != len(arrays):
            raise InputError(f"{path}: expected {len(arrays)} masks, one for each array. Received: {len(masks)}")
        for (name, array), mask in zip(arrays.items(), masks, strict=True):
            revived = int(np.count_nonzero(array[~mask]))
            if revived:
                raise InputError(f"{path}: expected zeros where the masks remove. Received: {revived} others in {name}")
    destination = certificate_path(path)
    write_json(destination, _describe(path, arrays))
    return destination


def verify(path: str | Path, certificate: Path | None = None) -> dict[str, Any]:
    """Checks a weight file against its certificate.

    Args:
        path: any file that `load_weights` reads.
        certificate: the certificate, by default the one beside the file.

    Returns:
        The certificate's content.

    Raises:
        InputError: one of the two cannot be read, or the file is not what the certificate says; the first array in
            which zeros came back or moved is named.
    """
    path = Path(path)
    certificate = certificate_path(path) if certificate is None else certificate
    found = _describe(path, load_named_weights(path))
    certified = _read(certificate)
    try:
        differences = list(_differences(certified["tensors"], found["tensors"]))
        same_file = certified["sha256"] == found["sha256"]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{certificate}: expected a certificate. Received: one without {error}") from None
    if differences:
        more = f" (and {len(differences) - 1} more arrays)" if len(differences) > 1 else ""
        raise InputError(f"{path}: expected the zeros that {certificate.name} states. Received: {differences[0]}{more}")
    if not same_file:
        raise InputError(
            f"{path}: expected the file that {certificate.name} was written for. Received: another one, with all zeros "
            f"in the same places but different weights; certify it anew if that was meant"
        )
    return certified


def _describe(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    tensors = {
        name: {
            "shape": list(array.shape),
            "values": array.size,
            "zeros": count_zeros([array]),
            "mask_sha256": _mask_digest([array]),
        }
        for name, array in arrays.items()
    }
    return {
        "file": path.name,
        "sha256": digest(path),
        "mask_sha256": _mask_digest(list(arrays.values())),
        "values": sum(array.size for array in arrays.values()),
        "zeros": count_zeros(list(arrays.values())),
        "tensors": tensors,
    }


def _differences(certified: dict[str, Any], found: dict[str, Any]) -> Any:
    for name in dict.fromkeys([*certified, *found]):
        was, now = certified.get(name), found.get(name)
        if was is None or now is None or was["shape"] != now["shape"]:
            yield f"{name} of shape {now and now['shape']}, which was {was and was['shape']}"
        elif now["zeros"] < was["zeros"]:
            yield f"{was['zeros'] - now['zeros']} of {was['zeros']} zeros came back in {name}"
        elif now["mask_sha256"] != was["mask_sha256"]:
            yield f"the zeros of {name} are in other places ({now['zeros']} now, {was['zeros']} then)"


def _mask_digest(arrays: Sequence[np.ndarray]) -> str:
    """SHA-256 over the masks that the zeros make, one bit per value, each array padded to whole bytes."""
    return hashlib.sha256(b"".join(np.packbits(array != 0).tobytes() for array in arrays)).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"Expected a certificate beside the file. Received: no {path}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a certificate. Received: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a certificate. Received: {type(content).__name__}")
    return content
