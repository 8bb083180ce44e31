"""Numbers as byte planes: all first bytes, then all second ones, so that zstd finds like with like."""

from collections.abc import Sequence

import numpy as np

WIDTHS = (1, 2, 4, 8)
"""Bytes that a number may have."""


def to_planes(numbers: Sequence[np.ndarray], width: int) -> list[bytes]:
    """The bytes of unsigned integers of `width` bytes, one array after the other: plane by plane from the highest.

    >>> to_planes([np.array([0x0102, 0x0304], np.uint16)], 2)
    [b'\x01\x03', b'\x02\x04']
    """
    joined = np.concatenate([np.empty(0, f"u{width}"), *numbers]).astype(f">u{width}")
    return [plane.tobytes() for plane in joined.view(np.uint8).reshape(-1, width).T]


def from_planes(content: np.ndarray, width: int) -> np.ndarray:
    """Unsigned integers of `width` bytes from all their planes, one after the other: as many in each."""
    planes = content.reshape(width, -1)
    return np.ascontiguousarray(planes.T).view(f">u{width}").ravel().astype(f"u{width}")
