"""A reader of sparse files written from docs/sparse-file.md alone: plain Python, one element after the other.

It shares no code with the package, and of libraries only zstandard, for the frame. Arrays come out as bytes.
"""

import json
import math
import struct
from fractions import Fraction
from typing import NamedTuple

import zstandard

BYTES = {"float16": 2, "float32": 4, "float64": 8, "bfloat16": 2}
BYTES |= {f"{kind}{8 * width}": width for kind in ("int", "uint") for width in (1, 2, 4, 8)}
PACKED = {"float16": "<e", "float32": "<f", "float64": "<d"}


class Array(NamedTuple):
    """An array as it lies in memory: little-endian, row by row."""

    name: str
    dtype: str
    shape: list[int]
    content: bytes


def read(file: bytes) -> list[Array]:
    return read_tensors(tensors(zstandard.ZstdDecompressor().decompress(file)))


def tensors(content: bytes) -> dict[str, bytes]:
    """safetensors: eight bytes with the length of the header, the header, and behind it the tensors."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    return {name: data[slice(*what["data_offsets"])] for name, what in header.items()}


def read_tensors(content: dict[str, bytes]) -> list[Array]:
    index = json.loads(content["index"].decode("utf-8"))
    assert index["version"] == 1
    entries = index["arrays"]
    where, at = [], 0
    for entry in entries:
        length = entry.get("bytes", 0)
        where.append(positions(entry, content["positions"][at : at + length]))
        at += length
    lists = [[[0] * length for length, _ in parts(entry, places)] for entry, places in zip(entries, where, strict=True)]
    at = 0
    for width in (1, 2, 4, 8):
        of_width = [
            lists[i][j]
            for i, (entry, places) in enumerate(zip(entries, where, strict=True))
            for j, (_, each) in enumerate(parts(entry, places))
            if each == width
        ]
        length = width * sum(map(len, of_width))
        integers = iter(from_planes(content["values"][at : at + length], width))
        for integer_list in of_width:
            integer_list[:] = [next(integers) for _ in integer_list]
        at += length
    assert at == len(content["values"])
    return [array(*one) for one in zip(entries, where, lists, strict=True)]


def bits(content: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in content)


def from_planes(content: bytes, width: int) -> list[int]:
    count = len(content) // width
    return [int.from_bytes(content[i::count], "big") for i in range(count)]


def positions(entry: dict, content: bytes) -> list[int]:
    size, count, parameter = math.prod(entry["shape"]), entry["stored"], entry.get("parameter", 0)
    match entry.get("positions", "all"):
        case "all":
            return list(range(size))
        case "bitmask":
            return [i for i, bit in enumerate(bits(content)) if bit == "1"]
        case "gaps":
            gaps = from_planes(content, parameter)
        case "rice":
            gaps = rice(bits(content), count, parameter)
    found, last = [], -1
    for gap in gaps:
        last += gap + 1
        found.append(last)
    return found


def rice(code: str, count: int, k: int) -> list[int]:
    quotients, at = [], 0
    for _ in range(count):
        one = code.index("1", at)
        quotients.append(one - at)
        at = one + 1
    at += -at % 8
    remainders = [int("0" + "".join(code[at + plane * count + i] for plane in range(k)), 2) for i in range(count)]
    return [quotient * 2**k + remainder for quotient, remainder in zip(quotients, remainders, strict=True)]


def parts(entry: dict, where: list[int]) -> list[tuple[int, int]]:
    """(length, bytes of an integer) of the lists of an array's values."""
    width = BYTES[entry["dtype"]]
    match entry.get("values", "exact"):
        case "exact":
            return [(entry["stored"], width)]
        case "table":
            return [(entry["distinct"], width), (entry["stored"], 1)]
        case "bfloat16":
            return [(entry["stored"], 2)]
        case "int8" | "int6" | "int5":
            return [(entry["stored"], 1), (len({channel(i, entry["shape"]) for i in where}), 2)]
    raise AssertionError(entry)


def channel(position: int, shape: list[int]) -> int:
    length = shape[-2] * shape[-1] if len(shape) > 2 and shape[-1] == 1 else shape[-1]
    return position % length


def array(entry: dict, where: list[int], lists: list[list[int]]) -> Array:
    dtype, width = entry["dtype"], BYTES[entry["dtype"]]
    content = bytearray(width * math.prod(entry["shape"]))
    for position, element in zip(where, elements(entry, where, lists), strict=True):
        content[position * width : (position + 1) * width] = element
    return Array(entry["name"], dtype, entry["shape"], bytes(content))


def elements(entry: dict, where: list[int], lists: list[list[int]]) -> list[bytes]:
    dtype, width = entry["dtype"], BYTES[entry["dtype"]]
    match entry.get("values", "exact"):
        case "exact":
            return [plain(i, dtype).to_bytes(width, "little") for i in lists[0]]
        case "table":
            return [plain(lists[0][i], dtype).to_bytes(width, "little") for i in lists[1]]
        case "bfloat16":
            return [number(bfloat16(i), dtype) for i in lists[0]]
        case _:
            codes = [code - 256 if code > 127 else code for code in lists[0]]
            channels = sorted({channel(i, entry["shape"]) for i in where})
            scales = dict(zip(channels, map(bfloat16, lists[1]), strict=True))
            return [
                number(code * scales[channel(i, entry["shape"])], dtype) for code, i in zip(codes, where, strict=True)
            ]


def plain(turned: int, dtype: str) -> int:
    """The bits of a number as they are in memory."""
    if not dtype.endswith(("float16", "float32", "float64")):
        return turned
    return turned >> 1 | (turned & 1) << (8 * BYTES[dtype] - 1)


def bfloat16(turned: int) -> Fraction:
    (value,) = struct.unpack(">f", plain(turned, "bfloat16").to_bytes(2, "big") + b"\0\0")
    return Fraction(value)


def number(value: Fraction, dtype: str) -> bytes:
    """A number that is computed exactly, rounded to the nearest of the dtype, ties to even."""
    if dtype != "bfloat16":
        return struct.pack(PACKED[dtype], float(value))
    whole = int.from_bytes(struct.pack(">f", float(value)), "big")  # exact: fewer than 24 bits
    upper, lower = divmod(whole, 2**16)
    return (upper + (lower > 2**15 or (lower == 2**15 and upper % 2 == 1))).to_bytes(2, "little")
