"""Arrays, and sparse files taken apart and put together."""

import json

import numpy as np
import zstandard
from safetensors.numpy import load, save

FOUR = np.array([[0, 0.5], [0, -2]], np.float32)


def assert_same(found, expected):
    """Bit for bit."""
    assert [(a.dtype, a.shape) for a in found] == [(a.dtype, a.shape) for a in expected]
    assert [a.tobytes() for a in found] == [a.tobytes() for a in expected]


def unpacked(content):
    """The tensors of a sparse file."""
    return {name: t.tobytes() for name, t in load(zstandard.ZstdDecompressor().decompress(content)).items()}


def packed(tensors):
    content = save({name: np.frombuffer(t, np.uint8) for name, t in tensors.items()})
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def entries(content):
    return json.loads(unpacked(content)["index"])["arrays"]


def sparse(size, density, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < density, rng.normal(size=size), 0).astype(np.float32)
