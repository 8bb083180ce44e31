"""Exact selection of the smallest among many values, for several counts at once, in a few passes over memory.

Each value becomes an unsigned whole number of the same order, its *key*. The upper 16 bits of all keys are counted;
only where a count ends inside such a bin are the next 8 bits of its keys counted, and so on, until what is left are
equal values, of which the first ones are taken. It is a radix sort of which only those parts are done that a count asks
for, so that beside the values and the result only a piece of them is in memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PIECE = 1 << 17
"""Values that are worked on at once: few enough for a processor's cache."""
MANY = 255
"""So many counts do not fit into uint8 with what stands for none and for undecided."""


@dataclass(frozen=True)
class Keys:
    """From a piece of an array to the keys of its values.

    Attributes:
        dtype: float32 or float64, to which the values are converted.
        magnitudes: whether they are those of absolute values, which are in the order of their bits without the sign;
            else of any values but NaN, and those of -0.0 and 0.0 are equal.
    """

    dtype: np.dtype
    magnitudes: bool

    @property
    def bits(self) -> int:
        """Of a key."""
        return 8 * self.dtype.itemsize

    def __call__(self, piece: np.ndarray) -> np.ndarray:
        """Shape (n,), uint32 or uint64."""
        unsigned = np.dtype(np.uint32 if self.bits == 32 else np.uint64)
        sign = unsigned.type(1 << (self.bits - 1))
        values = piece.astype(self.dtype, copy=False)
        if self.magnitudes:
            return values.view(unsigned) & ~sign
        bits = (values + self.dtype.type(0)).view(unsigned)  # -0.0 becomes 0.0
        return np.where(bits & sign, ~bits, bits | sign)


@dataclass(frozen=True)
class Bins:
    """What is known of keys by one more digit, of those with a prefix in which a count ends.

    Attributes:
        shift: of the digit in a key.
        code: for each prefix and digit the number of counts that leave such keys; one more than there are counts where
            one ends inside.
        prefix: for those the number of the longer prefix that this is.
    """

    shift: int
    code: np.ndarray
    prefix: np.ndarray

    def digit(self, keys: np.ndarray) -> np.ndarray:
        """The digit of each key, as an index."""
        return _digit(keys, self.shift, self.code.shape[1])


def first_counts(arrays: Sequence[np.ndarray], counts: Sequence[int], keys: Keys) -> list[np.ndarray]:
    """For each value the number of counts that leave it: it is among the `counts[k]` smallest for each k from there on.

    Of equal values the first ones are smaller, in the order of the arrays and of positions in them.

    Args:
        arrays: the values, of any shapes, in one or several arrays; they may be mapped from files.
        counts: not falling, each at least 0 and at most the number of all values.
        keys: see `Keys`.

    Returns:
        An array of the shape of each array, uint8 or, for more than 254 counts, uint16.
    """
    wanted = np.asarray(counts, np.int64)
    dtype = np.dtype(np.uint8 if len(wanted) < MANY else np.uint16)
    found = [np.empty(array.shape, dtype) for array in arrays]
    known: list[Bins] = []
    smaller = np.zeros(1, np.int64)  # for each prefix how many keys are below all of its own
    digits = [(keys.bits - 16, 1 << 16), *((shift, 1 << 8) for shift in reversed(range(0, keys.bits - 16, 8)))]
    for shift, size in digits:  # its place in a key, and the number of values that it may have
        counted = np.zeros(len(smaller) * size, np.int64)
        for values, codes in _pieces(arrays, found):
            _, prefixes, left = _settled(values, codes, known, keys, len(wanted) + 1)
            counted += np.bincount(prefixes * size + _digit(left, shift, size), minlength=len(counted))
        bins, smaller = _bins(shift, counted.reshape(-1, size), smaller, wanted, dtype)
        known.append(bins)
        if not len(smaller):
            break
    for values, codes in _pieces(arrays, found):  # what is still undecided are equal values
        places, prefixes, _ = _settled(values, codes, known, keys, len(wanted) + 1)
        for prefix in np.unique(prefixes):
            equal = places[prefixes == prefix]
            ranks = np.arange(smaller[prefix], smaller[prefix] + len(equal))
            codes[equal] = np.searchsorted(wanted, ranks, "right")
            smaller[prefix] += len(equal)
    return found


def _digit(keys: np.ndarray, shift: int, size: int) -> np.ndarray:
    return (keys >> keys.dtype.type(shift)).astype(np.uint16 if size > 256 else np.uint8).astype(np.intp)


def pieces(array: np.ndarray) -> Iterator[np.ndarray]:
    """The values of an array in order, so many at a time that they fit into a processor's cache."""
    flat: Any = array.reshape(-1) if array.flags.c_contiguous else array.flat  # that copies a piece, not all
    for start in range(0, array.size, PIECE):
        yield flat[start : start + PIECE]


def _pieces(arrays: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pieces of all arrays in their order, each with the same piece of the result, which may be written to."""
    for array, codes in zip(arrays, found, strict=True):
        yield from zip(pieces(array), pieces(codes), strict=True)


def _settled(
    values: np.ndarray, codes: np.ndarray, known: Sequence[Bins], keys: Keys, undecided: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Writes the codes that the last digit known settles; gives what is left: places, prefixes, keys."""
    if not known:
        return np.arange(0), np.zeros(1, np.intp), keys(values)
    last = known[-1]
    if len(known) == 1:
        left = keys(values)
        digits = last.digit(left)
        np.take(last.code[0], digits, out=codes)
        places = np.flatnonzero(codes == undecided)
        return places, last.prefix[0, digits[places]], left[places]
    places = np.flatnonzero(codes == undecided)
    left = keys(values[places])
    prefixes = np.zeros(1, np.intp)
    for bins in known[:-1]:
        prefixes = bins.prefix[prefixes, bins.digit(left)]
    digits = last.digit(left)
    settled = last.code[prefixes, digits]
    codes[places] = settled
    open_ = np.flatnonzero(settled == undecided)
    return places[open_], last.prefix[prefixes[open_], digits[open_]], left[open_]


def _bins(
    shift: int, counted: np.ndarray, smaller: np.ndarray, wanted: np.ndarray, dtype: np.dtype
) -> tuple[Bins, np.ndarray]:
    """What is known by a digit, and for each longer prefix how many keys are below all of its own."""
    code, prefix = np.zeros(counted.shape, dtype), np.zeros(counted.shape, np.intp)
    longer: list[int] = []
    for row, below in enumerate(smaller):
        ends = below + np.cumsum(counted[row])
        starts = ends - counted[row]
        leaving = np.searchsorted(starts, wanted)  # the first bin of which a count leaves all
        code[row] = np.cumsum(np.bincount(leaving, minlength=len(ends) + 1))[:-1]
        ending = np.searchsorted(ends, wanted, "right")  # the first bin of which it leaves any
        for bin_ in np.unique(ending[ending < leaving]):
            code[row, bin_], prefix[row, bin_] = len(wanted) + 1, len(longer)
            longer.append(starts[bin_])
    return Bins(shift, code, prefix), np.array(longer, np.int64)
