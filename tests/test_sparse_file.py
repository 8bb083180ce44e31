"""Sparse files: what goes in comes out, by the package and by a reader of the document."""

import json
import re
import struct
from fractions import Fraction

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from prunefront import InputError, certify, load_weights, save_sparse, verify
from prunefront.common.sections import Model
from prunefront.models.build import starting_weights
from prunefront.models.weights import load_named_weights, save_weights
from prunefront.sparse_file import codec
from prunefront.sparse_file import positions as coding
from prunefront.sparse_file.codec import decode, encode, encode_each
from prunefront.sparse_file.values import BFLOAT16, DTYPES, KINDS, channel_numbers
from tests.helpers import ROOT, assert_one_line, python, randomized, small
from tests.sparse_by_the_document import read, read_tensors
from tests.sparse_files import FOUR, assert_same, entries, packed, sparse, unpacked

PAGE = (ROOT / "docs" / "sparse-file.md").read_text(encoding="utf-8")
SUBMITTED = ROOT / "results" / "cifar10-animals-best" / "submitted.npz"
FLOATING = [name for name, dtype in DTYPES.items() if dtype.kind not in "iu"]


# --- the document


def examples():
    """The blocks of the page that show an array and its tensors."""
    blocks = re.findall(r"```text\n(array .*?)```", PAGE, re.DOTALL)
    return [dict(re.split(r"\s+", line, maxsplit=1) for line in block.splitlines()) for block in blocks]


@pytest.mark.parametrize("shown", examples(), ids=lambda shown: shown["array"][-20:])
def test_the_examples_of_the_document_are_so(shown):
    numbers, dtype, values = re.fullmatch(r"(\[.*\]) (\w+)(?: as (\w+))?", shown["array"]).groups()
    array = np.array(json.loads(numbers), dtype)
    decoded = np.array(json.loads(shown.get("decoded", numbers)), dtype)
    index = shown["index"].encode()
    tensors = {"index": index} | {k: bytes.fromhex(shown[k].replace("|", "")) for k in ("positions", "values")}
    name = json.loads(index)["arrays"][0]["name"]
    assert unpacked(encode([array], values or "float32", [name])) == tensors
    assert_same(decode(packed(tensors)), [decoded])
    assert read_tensors(tensors) == [(name, dtype, list(array.shape), decoded.tobytes())]


def test_the_document_shows_the_whole_content_of_the_first_example():
    header = re.search(r'```text\n(\{"index":\{"dtype".*)\n```', PAGE)[1].encode() + 6 * b" "
    length, size = re.search(r"of\s+the frame is (\d+) bytes: `c0 00 00 00 00 00 00 00`, (\d+) bytes", PAGE).groups()[
        ::-1
    ]
    content = zstandard.ZstdDecompressor().decompress(encode([FOUR], names=["kernel"]))
    assert content.startswith(struct.pack("<Q", int(length)) + header)
    assert (len(content), len(header)) == (int(size), 192)


def test_the_document_names_all_that_there_is():
    assert len(examples()) == 3
    for name in (*KINDS, "all", "bitmask", "gaps", "rice", "exact", "table"):
        assert f"`{name}`" in PAGE


def random_array(rng, dtype, shape, density, bits):
    """Numbers, or with `bits` anything that the dtype can be, of which about a share is not zero."""
    dtype, size = DTYPES[dtype], int(np.prod(shape))
    numbers = rng.integers(0, 256, size * dtype.itemsize, dtype=np.uint8).view(dtype)
    if not bits:
        numbers = np.rint(20 * rng.normal(size=size)).astype(np.int8).astype(dtype)
    return np.where(rng.random(size) < density, numbers, np.zeros(1, dtype)).reshape(shape)


def assert_read_as(content, arrays):
    """By the package and by the reader of the document."""
    assert_same(decode(content), arrays)
    assert_same([np.frombuffer(a.content, DTYPES[a.dtype]).reshape(a.shape) for a in read(content)], arrays)


ARRAYS = st.lists(
    st.tuples(
        st.sampled_from(sorted(DTYPES)),
        st.lists(st.integers(0, 7), max_size=4) | st.just([0, 9]) | st.just([40, 9]) | st.just([3, 3, 5, 1]),
        st.sampled_from([0, 0.02, 0.3, 0.9, 1]),
    ),
    max_size=4,
)


@given(ARRAYS, st.integers(0, 2**32), st.booleans())
def test_every_bit_of_every_array_is_kept(arrays, seed, bits):
    rng = np.random.default_rng(seed)
    arrays = [random_array(rng, *array, bits) for array in arrays]
    content = encode(arrays)
    assert_read_as(content, arrays)


@given(ARRAYS, st.integers(0, 2**32), st.sampled_from(KINDS[1:]))
def test_what_is_rounded_is_read_alike_and_keeps_its_zeros(arrays, seed, values):
    rng = np.random.default_rng(seed)
    arrays = [random_array(rng, *array, bits=False) for array in arrays]
    content = encode(arrays, values)
    decoded = decode(content)
    assert [(a.name, a.dtype, tuple(a.shape), a.content) for a in read(content)] == [
        (str(number), a.dtype.name, a.shape, a.tobytes()) for number, a in enumerate(decoded)
    ]
    for array, found in zip(arrays, decoded, strict=True):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found != 0, array != 0)
        np.testing.assert_array_equal(np.sign(found), np.sign(array))


# --- positions


POSITIONS = np.array([1, 3])  # of four elements: the gaps are 1 and 1


def test_the_codings_of_four_elements():
    assert coding.bitmask(POSITIONS, 4) == bytes([0b0101_0000])
    assert coding.gaps(POSITIONS) == (bytes([1, 1]), 1)
    assert coding.rice(POSITIONS) == (bytes([0b0101_0000]), 0)
    assert coding.rice(np.array([9])) == (bytes([0b0010_0000, 0b0100_0000]), 2)  # 9 = 2 x 4 + 1


def as_bytes(content):
    return np.frombuffer(content, np.uint8)


@given(st.lists(st.integers(0, 2**40) | st.integers(0, 9), max_size=40, unique=True), st.integers(1, 100))
def test_positions_of_any_distance_are_coded(positions, rest):
    positions = np.sort(np.array(positions, np.int64))
    size, count = int(positions.max(initial=0)) + rest, positions.size
    gaps, width = coding.gaps(positions)
    np.testing.assert_array_equal(coding.from_gaps(as_bytes(gaps), width, count, size), positions)
    gaps = np.diff(positions, prepend=-1) - 1
    if gaps.max(initial=0) < 2**20 * max(count, 1):  # else the unary part is long, which the other test has
        rice, k = coding.rice(positions)
        np.testing.assert_array_equal(coding.from_rice(as_bytes(rice), k, count, size), positions)
        bits = [int((gaps >> other).sum()) + other * count for other in range(50)]
        assert bits[k] == min(bits)
    if size < 2**20:
        mask = coding.bitmask(positions, size)
        np.testing.assert_array_equal(coding.from_bitmask(as_bytes(mask), size), positions)


def test_a_gap_of_two_to_the_31st_takes_five_bytes():
    positions = np.array([2**31])
    content, k = coding.rice(positions)
    assert len(content) == 5
    np.testing.assert_array_equal(coding.from_rice(as_bytes(content), k, 1, 2**31 + 1), positions)
    assert coding.gaps(positions) == (bytes([128, 0, 0, 0]), 4)
    np.testing.assert_array_equal(coding.from_gaps(as_bytes(bytes([128, 0, 0, 0])), 4, 1, 2**31 + 1), positions)


@pytest.mark.parametrize(
    ("array", "positions"),
    [
        (np.ones(500, np.float32), "all"),
        (sparse(20_000, 0.5), "bitmask"),
        (np.tile(np.eye(8, dtype=np.float32), 30), "gaps"),  # regular: all gaps are 8, of each row's first 0 to 7
        (sparse(20_000, 0.02), "rice"),
    ],
)
def test_the_smallest_coding_is_taken(array, positions):
    assert entries(encode([array]))[0].get("positions", "all") == positions


@pytest.mark.parametrize("kind", ["bitmask", "gaps", "rice"])
def test_every_coding_is_read_wherever_it_is_used(kind, monkeypatch):
    def encode_positions(positions, size):
        content, parameter = {
            "bitmask": lambda: (coding.bitmask(positions, size), 0),
            "gaps": lambda: coding.gaps(positions),
            "rice": lambda: coding.rice(positions),
        }[kind]()
        return content, {"positions": kind, "parameter": parameter, "bytes": len(content)}

    monkeypatch.setattr(codec, "_encode_positions", encode_positions)
    densities = (0, 1e-5, 0.0005, 0.02, 0.5, 1)  # gaps of one, two and four bytes
    arrays = [sparse(100_000, density) for density in densities] + [np.zeros(0, np.int64), np.array(3, np.uint8)]
    content = encode(arrays)
    assert {entry["positions"] for entry in entries(content)} == {kind}
    assert kind != "gaps" or {entry.get("parameter") for entry in entries(content)} == {1, 2, 4}
    assert_read_as(content, arrays)


def test_few_different_values_are_a_table():
    clustered = np.random.default_rng(0).choice(np.float32([0, 0.1, -0.3, 0.7]), 4000)
    content = encode([clustered, sparse(4000, 0.75)])
    assert [(e.get("values"), e.get("distinct")) for e in entries(content)] == [("table", 3), (None, None)]
    assert_read_as(content, [clustered, sparse(4000, 0.75)])


# --- values


def test_minus_zero_is_kept_or_rounded_to_zero():
    array = np.array([[0.0, -0.0, 1.0]], np.float32)
    assert_same(decode(encode([array])), [array])
    assert [e["stored"] for e in entries(encode([array]))] == [2]
    for values in KINDS[1:]:
        (decoded,) = decode(encode([array], values))
        np.testing.assert_array_equal(np.signbit(decoded), [[False, False, False]])
        np.testing.assert_allclose(decoded, [[0, 0, 1]], rtol=2**-8)


def test_bfloat16_rounds_to_nearest_and_ties_to_even():
    ties = np.float32([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -(1 + 2**-8)])
    (decoded,) = decode(encode([ties], "bfloat16"))
    np.testing.assert_array_equal(decoded, np.float32([1, 1 + 2**-6, 1 + 2**-7, -1]))
    arrays = [ties.astype(dtype) for dtype in (np.float64, np.float16, BFLOAT16)] + [np.array([2**30 + 1])]
    found = decode(encode(arrays, "bfloat16"))
    np.testing.assert_array_equal(found[0], decoded)
    assert_same(found[1:], arrays[1:])


@given(
    st.lists(st.floats(width=64, allow_nan=False, allow_infinity=False, min_value=-3e38, max_value=3e38), min_size=1)
)
def test_bfloat16_is_the_nearest_of_any_float64(numbers):
    numbers += [1 + 2**-8 + 2**-40, 1 + 3 * 2**-8 - 2**-40]  # beside ties, which float32 cannot tell
    for number, found in zip(numbers, decode(encode([np.array(numbers)], "bfloat16"))[0].tolist(), strict=True):
        near = [np.nextafter(BFLOAT16.type(found), BFLOAT16.type(end)) for end in (-np.inf, np.inf)]
        errors = [abs(Fraction(number) - Fraction(float(other))) for other in near if np.isfinite(other)]
        assert abs(Fraction(number) - Fraction(found)) <= min(errors) or (found == np.sign(number) * 2.0**-133)


@pytest.mark.parametrize(("values", "largest"), [("int8", 127), ("int6", 31), ("int5", 15)])
def test_four_numbers_as_integers(values, largest):
    kernel = np.float32([[largest, 0.4], [-2.6, -largest / 100]])  # scales 1 and largest / 100 / largest, nearly
    decoded, bias = decode(encode([kernel, np.float32([0.1, 0.2])], values))
    np.testing.assert_array_equal(decoded[:, 0], [largest, -3])
    np.testing.assert_allclose(decoded[:, 1], kernel[:, 1], atol=0.01 / 2 + largest / 100 / 256 if largest > 40 else 1)
    np.testing.assert_array_equal(bias, np.float32([0.1, 0.2]))


@pytest.mark.parametrize("values", ["int8", "int6", "int5"])
@given(seed=st.integers(0, 2**32), dtype=st.sampled_from(["float32", "float64"]))
def test_integers_are_off_by_half_a_scale(values, seed, dtype):
    rng = np.random.default_rng(seed)
    kernel = (rng.normal(size=(50, 6)) * 10.0 ** rng.integers(-9, 9, 6)).astype(dtype)
    (decoded,) = decode(encode([kernel], values))
    peaks = np.abs(kernel).max(axis=0)
    scales = peaks / {"int8": 127, "int6": 31, "int5": 15}[values]
    raised = np.abs(kernel) < scales / 2 * 1.01  # to one scale, in the place of zero
    bound = np.where(raised, scales, scales / 2) + 2**-8 * np.abs(kernel) + 2**-8 * scales
    assert (np.abs(decoded - kernel) <= bound).all()


def test_kernels_of_depthwise_convolutions_have_a_scale_for_each_channel():
    kernel = np.float32([[[[1.0], [1000.0]]]] * 3)
    assert_same(decode(encode([kernel], "int5"))[0][0, 0, :, 0] > np.float32([0.99, 990]), np.array([True, True]))
    assert len(unpacked(encode([kernel], "int5"))["values"]) == 6 + 2 * 2


@given(
    st.lists(st.integers(0, 39), unique=True), st.sampled_from([(40,), (8, 5), (5, 8), (2, 20, 1), (4, 1, 10), (1, 40)])
)
def test_channels_are_numbered_among_those_with_a_value(positions, shape):
    channels = 20 if shape == (2, 20, 1) else shape[-1]
    of_each = [position % channels for position in sorted(positions)]
    found = channel_numbers(np.array(sorted(positions), np.int64), shape)
    assert found.tolist() == [sorted(set(of_each)).index(channel) for channel in of_each]


@pytest.mark.parametrize("values", KINDS[1:])
@pytest.mark.parametrize("dtype", FLOATING)
def test_nothing_becomes_zero_however_small(values, dtype):
    smallest = float(np.nextafter(DTYPES[dtype].type(0), DTYPES[dtype].type(1)))
    kernel = np.array([[smallest, 1], [-smallest, -1]]).astype(DTYPES[dtype])
    (decoded,) = decode(encode([kernel], values))
    np.testing.assert_array_equal(np.sign(decoded.astype(np.float64)), [[1, 1], [-1, -1]])


@pytest.mark.parametrize("values", KINDS[1:])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.float32([1, np.nan]), "finite values, to be stored as .* NaN or infinity in array kernel"),
        (np.float16([[1, -np.inf]]), "finite values"),
        (np.array([[1e300, 1]]), r"values that \w+ can hold. Received: 1e\+300 in array kernel"),
    ],
)
def test_what_cannot_be_rounded_is_refused(values, array, message):
    with pytest.raises(InputError, match=message):
        encode([array], values, ["kernel"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([np.array(["a"])],), "Expected arrays of float16, .* Received: array 0 of dtype <U1"),
        (([np.array([True])],), "dtype bool"),
        (([np.array([1j])],), "dtype complex128"),
        (([np.array([None])],), "dtype object"),
        (([FOUR], "int4"), "one of float32, bfloat16, int8, int6, int5. Received: 'int4'"),
        (([FOUR], "float32", ["a", "b"]), "1 names, one for each"),
        (([FOUR, FOUR], "float32", ["a", "a"]), "each once"),
        (([FOUR], "float32", [1]), "1 names"),
    ],
)
def test_what_is_no_list_of_arrays_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        encode(*arguments)


def test_byte_order_and_layout_of_the_memory_do_not_matter():
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    for other in (rows.astype(">f4"), np.asfortranarray(rows), np.repeat(rows, 2, axis=1)[:, ::2]):
        assert encode([other]) == encode([rows])


@given(ARRAYS, st.integers(0, 2**32))
def test_all_kinds_at_once_are_the_files_of_each_alone(arrays, seed):
    rng = np.random.default_rng(seed)
    arrays = [random_array(rng, *array, bits=False) for array in arrays]
    arrays += [
        np.float32([0, -0.0, 1, 0] * 9),
        np.float32([[0, -0.0], [0, 0], [-0.0, 1]]),
    ]  # stored if nothing is rounded
    assert encode_each(arrays, KINDS) == [encode(arrays, values) for values in KINDS]


# --- size


def test_the_files_of_the_report_are_as_small_as_promised():
    arrays = load_weights(SUBMITTED)
    dense = sum(array.nbytes for array in arrays)
    content = encode(arrays)
    assert_same(decode(content), arrays)
    assert content == encode(arrays)
    for values in KINDS:
        size = len(encode(arrays, values))
        assert dense / size >= (48 if values == "float32" else 95)
        told = re.search(rf"^\| sparse file, {values} \| ([\d,]+) \|", PAGE, re.MULTILINE)[1]
        assert size == pytest.approx(int(told.replace(",", "")), rel=0.01)  # another zstd may differ a little


@pytest.mark.long
@pytest.mark.parametrize(
    "density", [0.01, pytest.param(0.1, marks=pytest.mark.long), pytest.param(1, marks=pytest.mark.long)]
)
def test_ten_million_elements(density):
    array = sparse(10**7, density).reshape(1000, -1)
    assert_same(decode(encode([array])), [array])
    (decoded,) = decode(encode([array], "int8"))
    assert (np.abs(decoded - array) < np.abs(array).max() / 100).all()


# --- files


def test_a_saved_model_loads_bit_for_bit_and_under_its_names(tmp_path):
    model = randomized(small())
    save_sparse(tmp_path / "a.sparse", model.get_weights(), names=[w.path for w in model.weights])
    assert list(load_named_weights(tmp_path / "a.sparse")) == [w.path for w in model.weights]
    assert_same(load_weights(tmp_path / "a.sparse"), model.get_weights())
    save_weights(tmp_path / "a.weights.h5", model)
    assert_same(load_weights(tmp_path / "a.weights.h5"), load_weights(tmp_path / "a.sparse"))


def test_arrays_without_names_are_numbered_in_their_order(tmp_path):
    arrays = [np.full(2, number, np.float32) for number in range(12)]
    save_sparse(tmp_path / "a.sparse", arrays)
    assert list(load_named_weights(tmp_path / "a.sparse")) == [str(number) for number in range(12)]
    assert_same(load_weights(tmp_path / "a.sparse"), arrays)


@pytest.mark.parametrize("values", KINDS)
def test_a_sparse_file_is_certified(values, tmp_path):
    path = tmp_path / "a.sparse"
    save_sparse(path, [FOUR], values, ["kernel"])
    certify(path, [FOUR != 0])
    assert verify(path)["tensors"]["kernel"]["zeros"] == 2
    masks = {values: verify(path)["mask_sha256"]}
    save_sparse(path, [FOUR + np.float32(1)], values, ["kernel"])
    with pytest.raises(InputError, match="2 of 2 zeros came back in kernel"):
        verify(path)
    np.savez(tmp_path / "a.npz", kernel=FOUR)
    certify(tmp_path / "a.npz")
    assert verify(tmp_path / "a.npz")["mask_sha256"] == masks[values]


def test_a_sparse_file_is_the_start_of_a_run(tmp_path):
    model = randomized(small())
    save_sparse(tmp_path / "a.sparse", model.get_weights())
    nothing = {"path": "inputs/none", "builder": "any:one", "code": "inputs/none", "application": None}
    params = Model(**nothing, weights=tmp_path / "a.sparse", outputs="auto", trust=False)
    assert_same(starting_weights(params, small()), model.get_weights())
    save_sparse(tmp_path / "a.sparse", model.get_weights()[:-1])
    with pytest.raises(InputError, match=r"model.weights \(.*a.sparse\): expected 4 weight arrays"):
        starting_weights(params, small())


def test_verify_by_hand_reads_it(tmp_path):
    save_sparse(tmp_path / "a.sparse", [FOUR])
    certify(tmp_path / "a.sparse")
    assert python("-m", "stages.verify", "a.sparse", folder=tmp_path).returncode == 0
    (tmp_path / "a.sparse").write_bytes(encode([FOUR])[:-9])
    assert_one_line(python("-m", "stages.verify", "a.sparse", folder=tmp_path), "expected a sparse file")


def test_what_cannot_be_saved_leaves_the_earlier_file(tmp_path):
    save_sparse(tmp_path / "a.sparse", [FOUR])
    with pytest.raises(InputError, match="NaN or infinity in array 0"):
        save_sparse(tmp_path / "a.sparse", [FOUR * np.float32(np.nan)], "int8")
    with pytest.raises(InputError, match=r"to end in \.sparse. Received: .*a\.npz"):
        save_sparse(tmp_path / "a.npz", [FOUR])
    assert_same(load_weights(tmp_path / "a.sparse"), [FOUR])
    assert [p.name for p in tmp_path.iterdir()] == ["a.sparse"]
