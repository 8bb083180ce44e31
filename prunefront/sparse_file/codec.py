"""Arrays to bytes and back: safetensors within a zstd frame; `docs/sparse-file.md` says what each byte is.

The frame holds three tensors of bytes: `index`, JSON that says what the arrays are and how each is coded; `positions`,
where the stored elements of each array are; and `values`, these elements. An element is stored unless all of its bits
are zero.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import zstandard
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import load, save

from prunefront.common.errors import InputError, cause
from prunefront.common.sizes import check_size
from prunefront.sparse_file import positions as coding
from prunefront.sparse_file.planes import WIDTHS, from_planes, to_planes
from prunefront.sparse_file.values import (
    BFLOAT16,
    DTYPES,
    KINDS,
    LEVELS,
    channel_numbers,
    from_bits,
    from_codes,
    to_bfloat16,
    to_bits,
    to_codes,
)

_LEVEL = 9  # of zstd; 19 takes three times as long for half a percent
_TABLE = 256  # distinct values that an index of one byte tells apart
_INDEX = 2**24  # bytes of JSON; more would be a bomb, since objects take many times as much

Count = Annotated[int, Field(ge=0, lt=2**63)]
Numbers = list[np.ndarray]
"""Unsigned integers of one to eight bytes, an array for each list of them that a coding has."""
Place = tuple[bytes, dict[str, object]]
"""Positions as bytes, and the fields of the entry that say how."""
Places = dict[int, Place]


class Entry(BaseModel):
    """How one array is coded."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    dtype: str
    shape: Annotated[list[Count], Field(max_length=64)]
    stored: Count
    positions: Literal["all", "bitmask", "gaps", "rice"] = "all"
    parameter: Count = 0
    bytes: Count = 0
    values: Literal["exact", "table", "bfloat16", "int8", "int6", "int5"] = "exact"
    distinct: Count = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Index(BaseModel):
    """How all arrays are coded."""

    model_config = ConfigDict(strict=True, extra="forbid")

    version: Literal[1]
    arrays: list[Entry]


def encode(arrays: Sequence[np.ndarray], values: str = "float32", names: Sequence[str] | None = None) -> bytes:
    """Arrays as the bytes of a sparse file; the same arrays give the same bytes wherever zstd is of the same version.

    Args:
        arrays: of floating-point numbers (16 to 64 bits, bfloat16 too) or integers, of any shape.
        values: "float32" keeps every bit of every array, of whatever dtype. "bfloat16" rounds float32 and float64 to
            the nearest bfloat16, ties to even. "int8", "int6" and "int5" round floating-point arrays of two or more
            axes to symmetric integers with a scale for each output channel, and keep every other array as it is. Zeros
            stay zeros (of positive sign, if anything is rounded), and no value becomes one.
        names: of the arrays, each once; by default their numbers.

    Raises:
        InputError: an array is of another dtype, or there is no such kind of values; or values are to be rounded and
            some are NaN, infinite, or too large once rounded.
    """
    return encode_each(arrays, [values], names)[0]


def encode_each(arrays: Sequence[np.ndarray], kinds: Sequence[str], names: Sequence[str] | None = None) -> list[bytes]:
    """What `encode` gives for each of several kinds of values; where the elements are is coded once for all."""
    if wrong := [values for values in kinds if values not in KINDS]:
        raise InputError(f"Expected values to be one of {', '.join(KINDS)}. Received: {wrong[0]!r}")
    names = [str(number) for number in range(len(arrays))] if names is None else list(names)
    if len(names) != len(arrays) or len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise InputError(f"Expected {len(arrays)} names, one for each array and each once. Received: {names}")
    known: list[Places] = [{} for _ in names]
    given = list(zip(names, map(np.asarray, arrays), known, strict=True))
    return [_encode_arrays([_encode_array(*one, values) for one in given]) for values in kinds]


def decode(content: bytes, origin: str = "sparse file") -> list[np.ndarray]:
    """The arrays that `encode` was given, as they were or as they were rounded, of their dtypes.

    Args:
        content: of a sparse file.
        origin: how errors call it, as a rule its path.

    Raises:
        InputError: it is something else, damaged, or unpacks to more than `sizes.memory_limit`.
    """
    return list(decode_named(content, origin).values())


def decode_named(content: bytes, origin: str = "sparse file") -> dict[str, np.ndarray]:
    """As `decode`, with the names of the arrays."""
    try:
        size = zstandard.get_frame_parameters(content).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN:
            raise ValueError("a frame that does not say how large its content is")
        check_size(size, origin)
        tensors = load(zstandard.ZstdDecompressor().decompress(content, allow_extra_data=False))
        if tensors["index"].size > _INDEX:
            raise ValueError(f"an index of {tensors['index'].size} bytes")
        index = Index.model_validate_json(tensors["index"].tobytes())
        _check_index(index)
        check_size(
            size + sum(entry.size * DTYPES[entry.dtype].itemsize + 8 * entry.stored for entry in index.arrays), origin
        )
        return _decode_arrays(index, tensors["positions"], tensors["values"])
    except InputError:
        raise
    except Exception as error:  # damaged bytes raise almost anything in the libraries
        raise InputError(
            f"{origin}: expected a sparse file, the whole of it. Received: a damaged or different file ({cause(error)})"
        ) from None


def _encode_arrays(coded: Sequence[tuple[Entry, bytes, Numbers]]) -> bytes:
    """The file of arrays that are coded."""
    index = Index(version=1, arrays=[entry for entry, _, _ in coded])
    described = index.model_dump_json(exclude_defaults=True).encode()
    if len(described) > _INDEX:
        raise InputError(f"Expected fewer arrays, or shorter names. Received: an index of {len(described)} bytes")
    numbers = [array for _, _, arrays in coded for array in arrays]
    tensors = {
        "index": [described],
        "positions": [where for _, where, _ in coded],
        "values": [p for width in WIDTHS for p in to_planes([n for n in numbers if n.itemsize == width], width)],
    }
    content = save({name: np.frombuffer(b"".join(pieces), np.uint8) for name, pieces in tensors.items()})
    pieces = [piece for name in sorted(tensors) for piece in tensors[name]]  # in the order of the container
    return _compressed([content[: len(content) - sum(map(len, pieces))], *pieces])


def _encode_array(name: str, array: np.ndarray, known: Places, values: str) -> tuple[Entry, bytes, Numbers]:
    """How an array is coded, where its stored elements are, and what they are.

    Args:
        name: of the array.
        array: of any shape.
        known: how positions of the array's elements are coded, by how many they are; added to. Elements that are not
            zero are among those with a bit set, so that as many are the same.
        values: a kind.
    """
    if array.dtype.name not in DTYPES:
        raise InputError(f"Expected arrays of {', '.join(DTYPES)}. Received: array {name} of dtype {array.dtype}")
    dtype, shape = DTYPES[array.dtype.name], array.shape
    flat = array.ravel().astype(dtype, copy=False)  # in the byte order of the machine
    rounding = values != "float32" and dtype.kind not in "iu"
    if rounding and not np.isfinite(flat).all():
        raise InputError(f"Expected finite values, to be stored as {values}. Received: NaN or infinity in array {name}")
    positions = np.flatnonzero(flat != 0 if rounding else to_bits(flat))
    stored = flat[positions]
    kind, numbers = _encode_values(stored, positions, shape, values)
    if rounding and kind != "exact" and not np.isfinite(_decode_values(kind, dtype, numbers, positions, shape)).all():
        raise InputError(f"Expected values that {values} can hold. Received: {np.abs(stored).max()} in array {name}")
    if stored.size not in known:
        known[stored.size] = _encode_positions(positions, flat.size)
    coded, fields = known[stored.size]
    distinct = numbers[0].size if kind == "table" else 0
    what = {"name": name, "dtype": dtype.name, "shape": list(shape), "stored": stored.size}
    return Entry.model_validate(what | fields | {"values": kind, "distinct": distinct}), coded, numbers


def _encode_positions(positions: np.ndarray, size: int) -> Place:
    """The positions in the coding that is smallest, and the fields of the entry that say which."""
    if positions.size == size:
        return b"", {"positions": "all"}
    gaps, width = coding.gaps(positions)
    rice, k = coding.rice(positions)
    codings = [("bitmask", 0, coding.bitmask(positions, size)), ("gaps", width, gaps), ("rice", k, rice)]
    kind, parameter, content = min(codings, key=lambda one: len(_compressed([one[2]])))
    return content, {"positions": kind, "parameter": parameter, "bytes": len(content)}


def _decode_positions(entry: Entry, content: np.ndarray) -> np.ndarray:
    match entry.positions:
        case "all":
            return np.arange(entry.size)
        case "bitmask":
            return coding.from_bitmask(content, entry.size)
        case "gaps":
            return coding.from_gaps(content, entry.parameter, entry.stored, entry.size)
        case "rice":
            return coding.from_rice(content, entry.parameter, entry.stored, entry.size)


def _encode_values(
    stored: np.ndarray, positions: np.ndarray, shape: tuple[int, ...], values: str
) -> tuple[str, Numbers]:
    """The kind of coding of values, and the numbers that it consists of."""
    floating = stored.dtype.kind not in "iu"
    if values == "bfloat16" and floating and stored.itemsize > 2:
        return values, [to_bits(to_bfloat16(stored))]
    if values in LEVELS and floating and len(shape) > 1:
        codes, scales = to_codes(stored, channel_numbers(positions, shape), LEVELS[values])
        return values, [to_bits(codes), to_bits(scales)]
    bits = to_bits(stored)
    rising = np.sort(bits)  # np.unique takes several times as long where most are distinct
    distinct = rising[np.diff(rising, prepend=~rising[:1]) != 0]
    if 0 < distinct.size <= _TABLE:
        table = [distinct, np.searchsorted(distinct, bits).astype(np.uint8)]
        if _length(table) < _length([bits]):
            return "table", table
    return "exact", [bits]


def _decode_values(
    kind: str, dtype: np.dtype, numbers: Numbers, positions: np.ndarray, shape: Sequence[int]
) -> np.ndarray:
    match kind:
        case "exact":
            return from_bits(numbers[0], dtype)
        case "table":
            return from_bits(numbers[0][numbers[1]], dtype)
        case "bfloat16":
            return from_bits(numbers[0], BFLOAT16).astype(dtype)
        case _:
            codes, scales = numbers[0].view(np.int8), from_bits(numbers[1], BFLOAT16)
            return from_codes(codes, scales, channel_numbers(positions, shape), dtype)


def _layout(entry: Entry, positions: np.ndarray) -> list[tuple[int, int]]:
    """(how many, bytes of each) of the numbers that an array's values consist of."""
    width = DTYPES[entry.dtype].itemsize
    match entry.values:
        case "exact":
            return [(entry.stored, width)]
        case "table":
            return [(entry.distinct, width), (entry.stored, 1)]
        case "bfloat16":
            return [(entry.stored, 2)]
        case _:
            return [(entry.stored, 1), (int(channel_numbers(positions, entry.shape).max(initial=-1)) + 1, 2)]


def _check_index(index: Index) -> None:
    """Raises ValueError if an index contradicts itself. Then no array takes more memory than its shape says."""
    names = [entry.name for entry in index.arrays]
    if len(set(names)) != len(names):
        raise ValueError("a name twice")
    for entry in index.arrays:
        if entry.dtype not in DTYPES:
            raise ValueError(f"dtype {entry.dtype}")
        dtype = DTYPES[entry.dtype]
        if dtype.itemsize * math.prod(max(length, 1) for length in entry.shape) >= 2**63:
            raise ValueError(f"shape {entry.shape}")
        if entry.stored > entry.size or (entry.positions == "all" and entry.stored != entry.size):
            raise ValueError(f"{entry.stored} stored elements of {entry.size}")
        rounded = entry.values not in ("exact", "table")
        if rounded and (dtype.kind in "iu" or (entry.values == "bfloat16" and dtype.itemsize == 2)):
            raise ValueError(f"{entry.dtype} as {entry.values}")


def _decode_arrays(index: Index, positions: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    pieces = _cut(positions, [entry.bytes for entry in index.arrays])
    where = [_decode_positions(entry, piece) for entry, piece in zip(index.arrays, pieces, strict=True)]
    layouts = [_layout(entry, found) for entry, found in zip(index.arrays, where, strict=True)]
    counts = {width: [n for layout in layouts for n, each in layout if each == width] for width in WIDTHS}
    streams = _cut(values, [width * sum(counts[width]) for width in WIDTHS])
    numbers = {
        width: iter(_cut(from_planes(stream, width), counts[width]))
        for width, stream in zip(WIDTHS, streams, strict=True)
    }
    arrays = {}
    for entry, found, layout in zip(index.arrays, where, layouts, strict=True):
        if found.size != entry.stored:
            raise ValueError(f"{found.size} positions for {entry.stored} stored elements")
        dtype = DTYPES[entry.dtype]
        array = np.zeros(entry.size, dtype)
        array[found] = _decode_values(entry.values, dtype, [next(numbers[w]) for _, w in layout], found, entry.shape)
        arrays[entry.name] = array.reshape(entry.shape)
    return arrays


def _cut(content: np.ndarray, lengths: list[int]) -> list[np.ndarray]:
    """A run of bytes in pieces of these lengths. Raises ValueError if they do not come out even."""
    if sum(lengths) != content.size:
        raise ValueError(f"{content.size} bytes for {sum(lengths)}")
    return np.split(content, np.cumsum(lengths, dtype=np.int64)[:-1]) if lengths else []


def _length(numbers: Numbers) -> int:
    return len(_compressed([plane for n in numbers for plane in to_planes([n], n.itemsize)]))


def _compressed(pieces: Sequence[bytes]) -> bytes:
    """A zstd frame of these pieces, with the size of its content and a checksum.

    Each piece begins a block of its own, and so has statistics of its own.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True)
    stream = compressor.compressobj(size=sum(map(len, pieces)))
    blocks = [stream.compress(piece) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for piece in pieces if piece]
    return b"".join([*blocks, stream.flush()])
