"""The stored values of an array as unsigned integers: bit for bit, or rounded."""

import math
from collections.abc import Sequence

import ml_dtypes
import numpy as np

KINDS = ("float32", "bfloat16", "int8", "int6", "int5")
"""How values are stored: as they are, of whatever dtype, or rounded."""

LEVELS = {"int8": 127, "int6": 31, "int5": 15}
"""The largest code of each kind of integers."""

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = {
    dtype.name: dtype
    for dtype in (
        *map(np.dtype, (np.float16, np.float32, np.float64)),
        BFLOAT16,
        *(np.dtype(f"{kind}{width}") for kind in "iu" for width in (1, 2, 4, 8)),
    )
}
"""What arrays may be of, by name."""

_SMALLEST_SCALE = 2.0**-133  # the smallest bfloat16 above zero


def to_bits(values: np.ndarray) -> np.ndarray:
    """The bits of numbers as unsigned integers; those of floating-point numbers turned left by one.

    So the sign is the lowest bit and, of float32 and bfloat16, the exponent is the first byte. Zero has no bit set, and
    minus zero is 1.
    """
    bits = values.view(f"u{values.dtype.itemsize}")
    return bits if values.dtype.kind in "iu" else bits << 1 | bits >> (8 * bits.itemsize - 1)


def from_bits(bits: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """What `to_bits` was given."""
    turned = bits if dtype.kind in "iu" else bits >> 1 | bits << (8 * bits.itemsize - 1)
    return turned.view(dtype)


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Numbers other than zero rounded to the nearest bfloat16, ties to even; never to zero."""
    rounded = _to_float32(values).astype(BFLOAT16)
    smallest = np.copysign(_SMALLEST_SCALE, values).astype(BFLOAT16)
    return np.where(rounded == 0, smallest, rounded)


def _to_float32(values: np.ndarray) -> np.ndarray:
    """float64 rounded to odd: cut off, and the last bit set if anything was. Rounded on from there, nothing is off.

    Two roundings to nearest would take what lies just beside a tie for one. Source: Boldo and Melquiond, "Emulation of
    a FMA and correctly rounded sums: proved algorithms using rounding to odd" (2008).
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    cut = np.where(np.abs(rounded) > np.abs(values), np.nextafter(rounded, np.float32(0)), rounded)
    return (cut.view(np.uint32) | (cut != values)).view(np.float32)


def to_codes(values: np.ndarray, channels: np.ndarray, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers other than zero as integers and a scale for each channel: a value is about code x scale.

    A scale is the channel's largest magnitude over the largest code, as bfloat16. A code is never zero: what rounds to
    zero becomes 1 or -1, so that zeros stay where they are and are no more.

    Args:
        values: finite, of any floating-point dtype, shape (n,).
        channels: the number of each one's channel, from 0 on, each with at least one value.
        largest: code.

    Returns:
        Codes, int8, shape (n,), and scales, bfloat16, shape (channels,).
    """
    magnitudes = np.abs(values.astype(np.float64))
    peaks = np.zeros(int(channels.max(initial=-1)) + 1)
    np.maximum.at(peaks, channels, magnitudes)
    floor = max(float(np.nextafter(values.dtype.type(0), values.dtype.type(1))), _SMALLEST_SCALE)
    with np.errstate(over="ignore"):
        scales = np.maximum(peaks / largest, floor).astype(np.float32).astype(BFLOAT16)
    codes = np.rint(magnitudes / scales.astype(np.float64)[channels]).clip(1, largest)
    return np.copysign(codes, values).astype(np.int8), scales


def from_codes(codes: np.ndarray, scales: np.ndarray, channels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Code x scale, of the array's dtype; exact in float32 and float64."""
    with np.errstate(over="ignore", invalid="ignore"):  # damaged scales
        return (codes.astype(np.float32) * scales.astype(np.float32)[channels]).astype(dtype)


def channel_numbers(positions: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The channel of each stored value, numbered among those channels that have any.

    Channels are those of the last axis; of an array of three or more axes whose last has length 1, as the kernel of a
    depthwise convolution has it, those of the axis before.
    """
    axes = 2 if len(shape) > 2 and shape[-1] == 1 else 1
    count = max(math.prod(shape[-axes:]), 1)
    channels = positions % count
    if count > channels.size:  # which a damaged file may say, of more than there is memory for
        return np.unique(channels, return_inverse=True)[1]
    present = np.zeros(count, bool)
    present[channels] = True
    return (np.cumsum(present) - 1)[channels]
