"""Sparse files that are damaged, cut off, or claim to be enormous: refused in a line, or read as what they say."""

import contextlib
import json
import struct

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from prunefront import InputError, load_weights
from prunefront.common.sizes import VARIABLE
from prunefront.sparse_file.codec import decode, encode
from prunefront.sparse_file.values import BFLOAT16, DTYPES
from tests.sparse_files import FOUR, entries, packed, sparse, unpacked

CLUSTERED = np.random.default_rng(0).choice(np.float32([0.1, -0.3, 0.7]), 900)
GOOD = encode([FOUR, sparse(3000, 0.02), CLUSTERED, np.ones((3, 3, 2), BFLOAT16)], "int8", list("abcd"))


def frame(content, **options):
    return zstandard.ZstdCompressor(**options).compress(content)


@pytest.mark.parametrize(
    "content",
    {
        "nothing": b"",
        "text": b"0.5, -2",
        "an archive": b"PK\x03\x04" + bytes(100),
        "no frame": save({"index": np.zeros(3, np.uint8)}),
        "an empty frame": frame(b""),
        "a frame of text": frame(b"text"),
        "another safetensors file": frame(save({"kernel": FOUR})),
        "no index": packed({"index": b"", "positions": b"", "values": b""}),
        "deep": packed({"index": b"[" * 10**6, "positions": b"", "values": b""}),
        "a frame without its size": frame(zstandard.ZstdDecompressor().decompress(GOOD), write_content_size=False),
        "more behind it": GOOD + b"\0",
        "two frames": GOOD + GOOD,
        "a frame to be skipped": b"\x50\x2a\x4d\x18\x02\0\0\0ab",
        "a frame to be skipped before it": b"\x50\x2a\x4d\x18\x02\0\0\0ab" + GOOD,
    }.items(),
    ids=lambda item: item[0],
)
def test_what_is_no_sparse_file_is_refused(content, tmp_path):
    (tmp_path / "a.sparse").write_bytes(content[1])
    with pytest.raises(InputError, match=r"a\.sparse: expected a (sparse file|file with content)") as caught:
        load_weights(tmp_path / "a.sparse")
    assert "\n" not in str(caught.value)


def test_a_file_that_was_cut_off_is_refused():
    for length in range(len(GOOD)):
        with pytest.raises(InputError, match="expected a sparse file, the whole of it"):
            decode(GOOD[:length])


def changed(number, **fields):
    tensors = unpacked(GOOD)
    index = json.loads(tensors["index"])
    index["arrays"][number] |= fields
    return packed(tensors | {"index": json.dumps(index).encode()})


@pytest.mark.parametrize(
    ("number", "fields"),
    [
        (0, {"name": "b"}),
        (0, {"name": None}),
        (0, {"dtype": "float8"}),
        (2, {"dtype": "float64"}),
        (0, {"dtype": "int32"}),
        (0, {"dtype": "object"}),
        (0, {"shape": [2, 3]}),
        (0, {"shape": [2, -2]}),
        (0, {"shape": [1] * 65}),
        (0, {"shape": []}),
        (0, {"shape": [2, 2**63]}),
        (0, {"shape": [0, 2**62, 2**62]}),
        (0, {"shape": "2"}),
        (0, {"stored": 3}),
        (0, {"stored": 1}),
        (0, {"stored": 2.0}),
        (0, {"positions": "all"}),
        (0, {"positions": "gaps", "parameter": 1}),
        (0, {"positions": "rice", "parameter": 63}),
        (0, {"bytes": 0}),
        (0, {"bytes": 2}),
        (0, {"values": "exact"}),
        (0, {"values": "int4"}),
        (0, {"extra": 1}),
        (1, {"parameter": 0}),
        (1, {"parameter": 62}),
        (1, {"shape": [300]}),
        (1, {"stored": 59}),
        (1, {"stored": 2999}),
        (2, {"distinct": 2}),
        (2, {"distinct": 2**40}),
        (3, {"values": "bfloat16"}),
        (3, {"stored": 2**40}),
        (3, {"shape": [3, 3]}),
    ],
)
def test_an_index_that_is_wrong_is_refused(number, fields):
    assert {e.get("positions") for e in entries(GOOD)} == {"bitmask", "rice", None}
    assert {e.get("values") for e in entries(GOOD)} == {"int8", "table", None}
    with pytest.raises(InputError, match="expected a sparse file, the whole of it") as caught:
        decode(changed(number, **fields))
    assert "\n" not in str(caught.value)


def test_another_version_is_refused():
    tensors = unpacked(GOOD)
    index = tensors["index"].replace(b'"version":1', b'"version":2')
    with pytest.raises(InputError, match=r"expected a sparse file.*version"):
        decode(packed(tensors | {"index": index}))


def test_an_index_that_is_a_bomb_is_refused():
    index = b'{"version":1,"arrays":[' + b'{"name":"a","dtype":"int8","shape":[0],"stored":0},' * 2**19
    with pytest.raises(InputError, match=r"expected a sparse file.*an index of 26738711 bytes"):
        decode(packed({"index": index, "positions": b"", "values": b""}))
    with pytest.raises(InputError, match="fewer arrays, or shorter names"):
        encode([FOUR], names=["a" * 2**24])


def claims(size):
    """A frame that states a size and holds nothing."""
    return b"\x28\xb5\x2f\xfd" + bytes([0b1110_0000]) + struct.pack("<Q", size)


def index_of(**fields):
    entry = {"name": "a", "dtype": "int8", "shape": [10 * 2**30], "stored": 0, "positions": "rice"} | fields
    index = {"version": 1, "arrays": [entry]}
    return packed({"index": json.dumps(index).encode(), "positions": b"", "values": b""})


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (claims(10 * 2**30), "10 GiB"),
        (claims(2**60), "1,073,741,824 GiB"),
        (index_of(), "10 GiB"),
        (index_of(dtype="float64", shape=[2**40, 2]), "16,384 GiB"),
        (index_of(positions="all", stored=10 * 2**30), "90 GiB"),  # the elements, and eight bytes for each position
    ],
)
def test_a_bomb_is_refused_before_it_is_unpacked(content, size, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "1")
    (tmp_path / "a.sparse").write_bytes(content)
    with pytest.raises(InputError, match=rf"a.sparse: expected at most 1 GiB unpacked.* Received: {size}"):
        load_weights(tmp_path / "a.sparse")


def reads_well_or_is_refused(content):
    with contextlib.suppress(InputError):
        arrays = decode(content)
        assert all(array.dtype.name in DTYPES for array in arrays)
        assert sum(array.nbytes for array in arrays) < 2**20


FLIPS = st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), min_size=1, max_size=4)


def flipped(content, flips):
    changed = bytearray(content)
    for place, change in flips:
        changed[place % len(changed)] ^= change
    return bytes(changed)


@settings(max_examples=300)
@given(FLIPS)
def test_flipped_bytes_are_refused_or_read_well(flips):
    reads_well_or_is_refused(flipped(GOOD, flips))


@settings(max_examples=300)
@given(FLIPS, st.sampled_from(["index", "positions", "values", "container"]))
def test_bytes_flipped_under_a_good_checksum_are_refused_or_read_well(flips, what):
    if what == "container":
        reads_well_or_is_refused(frame(flipped(zstandard.ZstdDecompressor().decompress(GOOD), flips)))
    else:
        tensors = unpacked(GOOD)
        reads_well_or_is_refused(packed(tensors | {what: flipped(tensors[what], flips)}))
