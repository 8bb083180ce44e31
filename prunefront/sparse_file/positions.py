"""Where the stored values of an array are, to bytes and from bytes (uint8 arrays).

Positions are those of the array read row by row. The *gap* before a stored value is how many elements since the last
stored one (or since the start) are not.
"""

import numpy as np

from prunefront.sparse_file.planes import WIDTHS, from_planes, to_planes


def bitmask(positions: np.ndarray, size: int) -> bytes:
    """A bit for each element of the array, the first in the highest bit of the first byte."""
    stored = np.zeros(size, bool)
    stored[positions] = True
    return np.packbits(stored).tobytes()


def from_bitmask(content: np.ndarray, size: int) -> np.ndarray:
    """The positions, rising.

    Raises:
        ValueError: it is no bitmask of so many elements.
    """
    if content.size != _bytes(size):
        raise ValueError(f"a bitmask of {content.size} bytes for {size} elements")
    bits = np.unpackbits(content)
    _check_padding(bits[size:])
    return np.flatnonzero(bits[:size])


def gaps(positions: np.ndarray) -> tuple[bytes, int]:
    """The gaps as byte planes, and the width of each in bytes: the smallest that the largest gap fits in."""
    numbers = _gaps(positions)
    largest = int(numbers.max(initial=0))
    width = next(width for width in WIDTHS if largest < 256**width)
    return b"".join(to_planes([numbers.astype(f"u{width}")], width)), width


def from_gaps(content: np.ndarray, width: int, count: int, size: int) -> np.ndarray:
    """The positions, rising. Raises ValueError as `from_bitmask`."""
    if width not in WIDTHS or content.size != width * count:
        raise ValueError(f"{count} gaps of {width} bytes in {content.size}")
    return _positions(from_planes(content, width), size)


def rice(positions: np.ndarray) -> tuple[bytes, int]:
    """The gaps in Rice's code, and its parameter k, the one that makes it shortest.

    First the quotients of all gaps by 2**k, in unary: as many zeros, then a one. Then the remainders, k bit planes from
    the highest bit, each of one bit per gap. Both are filled up with zeros to a whole byte.

    Source: Rice and Plaunt, "Adaptive variable-length coding for efficient compression of spacecraft television data"
    (1971); Golomb, "Run-length encodings" (1966): the shortest code, but for the rounding of 2**k, for gaps between
    independent positions.
    """
    numbers = _gaps(positions)
    k = _shortest(numbers)
    ends = np.cumsum((numbers >> k) + 1) - 1
    unary = np.zeros(int(ends[-1]) + 1 if ends.size else 0, bool)
    unary[ends] = True
    planes = [(numbers >> bit) & 1 == 1 for bit in reversed(range(k))]
    return np.packbits(unary).tobytes() + np.packbits(np.concatenate([unary[:0], *planes])).tobytes(), k


def from_rice(content: np.ndarray, k: int, count: int, size: int) -> np.ndarray:
    """The positions, rising. Raises ValueError as `from_bitmask`."""
    remainders = _bytes(k * count)
    unary = content.size - remainders
    if not 0 <= k < 63 or not 0 <= unary <= _bytes((size >> k) + count):
        raise ValueError(f"{count} gaps with k = {k} in {content.size} bytes")
    ends = np.flatnonzero(np.unpackbits(content[:unary]))
    if ends.size != count or unary != _bytes(int(ends[-1]) + 1 if count else 0):
        raise ValueError(f"{ends.size} of {count} gaps")
    numbers = np.diff(ends, prepend=-1) - 1
    if int(numbers.max(initial=0)) > size >> k:
        raise ValueError("a gap beyond the end")
    bits = np.unpackbits(content[unary:])
    _check_padding(bits[k * count :])
    for plane in bits[: k * count].reshape(k, count):
        numbers = numbers << 1 | plane
    return _positions(numbers, size)


def _shortest(numbers: np.ndarray) -> int:
    """The k of the shortest Rice code: each step of k costs a bit per gap, and saves less than the one before."""
    k, length = 0, int(numbers.sum())
    while (longer := int((numbers >> (k + 1)).sum()) + (k + 1) * numbers.size) < length:
        k, length = k + 1, longer
    return k


def _gaps(positions: np.ndarray) -> np.ndarray:
    return np.diff(positions.astype(np.int64), prepend=-1) - 1


def _positions(numbers: np.ndarray, size: int) -> np.ndarray:
    """Gaps to positions. A sum that overflows is negative, hence no larger than the one before."""
    if int(numbers.max(initial=0)) >= max(size, 1):
        raise ValueError("a gap beyond the end")
    positions = np.cumsum(numbers.astype(np.int64) + 1) - 1
    if positions.size and not (positions[0] >= 0 and (positions[1:] > positions[:-1]).all() and positions[-1] < size):
        raise ValueError("a position beyond the end")
    return positions


def _check_padding(bits: np.ndarray) -> None:
    if bits.any():
        raise ValueError("bits after the last")


def _bytes(bits: int) -> int:
    return -(-bits // 8)
