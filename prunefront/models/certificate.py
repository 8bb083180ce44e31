"""Zero-hold certificates: what a weight file held when it was written, to be checked at any later time.

The certificate of `FILE` is `FILE.certificate.json`: for each array its shape, its count of zeros and a digest of where
they are, and a digest of the whole file. It is always computed from the file on disk.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prunefront.common.errors import InputError, cause
from prunefront.common.files import digest, write_json
from prunefront.models.weights import load_named_weights
from prunefront.pruning.masks import count_zeros

Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Tensor(BaseModel):
    """What a certificate says of one array: the digest is that of the places of its zeros."""

    model_config = ConfigDict(strict=True, extra="forbid")

    shape: list[Count]
    values: Count
    zeros: Count
    mask_sha256: Digest


class Certificate(BaseModel):
    """What a certificate says of a weight file: of all bytes, of all arrays together, and of each by its name."""

    model_config = ConfigDict(strict=True, extra="forbid")

    file: str
    sha256: Digest
    mask_sha256: Digest
    values: Count
    zeros: Count
    tensors: dict[str, Tensor]


def certificate_path(path: Path) -> Path:
    """Where the certificate of a weight file lies."""
    return path.with_name(f"{path.name}.certificate.json")


def certify(path: str | Path, masks: Sequence[np.ndarray] | None = None) -> Path:
    """Writes the certificate of a weight file beside it.

    Args:
        path: any file that `load_weights` reads.
        masks: in the order in which `load_weights(path)` gives the arrays, True = kept; the zeros in the file are
            checked against them first.

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
            if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != array.shape:
                received = f"{mask.dtype} of shape {mask.shape}" if isinstance(mask, np.ndarray) else repr(mask)
                raise InputError(
                    f"{path}: expected masks in the order of load_weights, boolean arrays, for {name} of shape "
                    f"{array.shape}. Received: {received}"
                )
            revived = int(np.count_nonzero(array[~mask]))
            if revived:
                raise InputError(f"{path}: expected zeros where the masks remove. Received: {revived} others in {name}")
    certify_read(path, arrays)
    return certificate_path(path)


def certify_read(path: Path, arrays: dict[str, np.ndarray]) -> Certificate:
    """Writes the certificate of a weight file that has just been read.

    Args:
        path: the file.
        arrays: what `load_named_weights` gives of it.
    """
    certificate = _describe(path, arrays)
    write_json(certificate_path(path), certificate.model_dump())
    return certificate


def verify(path: str | Path, certificate: Path | None = None) -> dict[str, Any]:
    """Checks a weight file against its certificate.

    Args:
        path: any file that `load_weights` reads.
        certificate: the certificate, by default the one beside the file.

    Returns:
        What the file holds, counted anew: "file" (its name), "sha256", "mask_sha256", "values", "zeros" and, for each
        array by its name in "tensors", "shape", "values", "zeros" and "mask_sha256". But for the file's name it is what
        the certificate says.

    Raises:
        InputError: one of the two cannot be read, or the file is not what the certificate says; the first array in
            which zeros came back or moved is named, or the first figure that is wrong.
    """
    path = Path(path)
    certificate = certificate_path(path) if certificate is None else Path(certificate)
    found = _describe(path, load_named_weights(path))
    certified = _read(certificate)
    if certified.sha256 == found.sha256:
        for what, stated, counted in _contradictions(certified, found):
            raise InputError(f"{certificate}: expected {what} {counted}, as {path} has it. Received: {stated}")
        return found.model_dump()
    differences = list(_differences(certified.tensors, found.tensors))
    if differences:
        more = f" (and {len(differences) - 1} more arrays)" if len(differences) > 1 else ""
        raise InputError(f"{path}: expected the zeros that {certificate.name} states. Received: {differences[0]}{more}")
    raise InputError(
        f"{path}: expected the file that {certificate.name} was written for. Received: another one, with all zeros "
        f"in the same places but different weights; certify it anew if that was meant"
    )


def _describe(path: Path, arrays: dict[str, np.ndarray]) -> Certificate:
    tensors = {
        name: Tensor(
            shape=list(array.shape),
            values=array.size,
            zeros=count_zeros([array]),
            mask_sha256=_mask_digest([array]),
        )
        for name, array in arrays.items()
    }
    return Certificate(
        file=path.name,
        sha256=digest(path),
        mask_sha256=_mask_digest(list(arrays.values())),
        values=sum(array.size for array in arrays.values()),
        zeros=count_zeros(list(arrays.values())),
        tensors=tensors,
    )


def _differences(certified: dict[str, Tensor], found: dict[str, Tensor]) -> Iterator[str]:
    """What became of the arrays of a file that is another one now."""
    for name in dict.fromkeys([*certified, *found]):
        was, now = certified.get(name), found.get(name)
        if was is None or now is None or was.shape != now.shape:
            yield f"{name} of shape {now and now.shape}, which was {was and was.shape}"
        elif now.zeros < was.zeros:
            yield f"{was.zeros - now.zeros} of {was.zeros} zeros came back in {name}"
        elif now.mask_sha256 != was.mask_sha256:
            yield f"the zeros of {name} are in other places ({now.zeros} now, {was.zeros} then)"


def _contradictions(certified: Certificate, found: Certificate) -> Iterator[tuple[str, object, object]]:
    """What a certificate says wrongly of the very file that it was written for: (what, stated, counted)."""
    for name in dict.fromkeys([*found.tensors, *certified.tensors]):
        stated, counted = certified.tensors.get(name), found.tensors.get(name)
        if stated is None or counted is None:
            yield f"for {name}", stated and stated.shape, counted and counted.shape
        elif stated != counted:
            yield from ((f"for {name} {field}", was, now) for field, was, now in _unequal(stated, counted))
    yield from ((f"in all {field}", was, now) for field, was, now in _unequal(certified, found, {"file", "tensors"}))


def _unequal(one: BaseModel, other: BaseModel, but: set[str] | None = None) -> Iterator[tuple[str, object, object]]:
    said, is_so = one.model_dump(exclude=but), other.model_dump(exclude=but)
    return ((field, said[field], is_so[field]) for field in said if said[field] != is_so[field])


def _mask_digest(arrays: Sequence[np.ndarray]) -> str:
    """SHA-256 over the masks that the zeros make, one bit per value, each array padded to whole bytes."""
    return hashlib.sha256(b"".join(np.packbits(array != 0).tobytes() for array in arrays)).hexdigest()


def _read(path: Path) -> Certificate:
    if not path.is_file():
        raise InputError(
            f"Expected a certificate beside the file; prunefront.certify(FILE) writes one. Received: no {path}"
        )
    try:
        return Certificate.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: expected a certificate. Received: {cause(error)}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path}: expected a certificate. Received: {where + ': ' if where else ''}{first['msg']}"
        ) from None
