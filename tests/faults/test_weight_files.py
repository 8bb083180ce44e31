"""Weight and model files that are not what they seem, or that reach for other files or for all memory."""

import json
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunefront import InputError, certify, load_weights, save_masks, verify
from prunefront.common.arrays import read_npz
from prunefront.common.runtime import keras
from prunefront.common.sections import Model
from prunefront.common.sizes import VARIABLE
from prunefront.models.build import build_model, starting_weights
from prunefront.models.model_files import load_model
from tests.faults.corpus import Fault, refused

layers = keras.layers

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 94371840\n"
DENSE = "layers/dense/vars"


def network():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])


def start(path):
    """As the pipeline reads `model.weights`."""
    nothing = {"path": "inputs/none", "builder": "any:one", "code": "inputs/none", "application": None}
    return starting_weights(Model(**nothing, weights=path, outputs="auto", trust=False), network())


def start_built_in(path):
    nothing = {"path": "inputs/none", "builder": None, "code": "inputs/none", "application": None}
    params = Model(**nothing, weights=path, outputs="auto", trust=False)
    return starting_weights(params, build_model(params, (10, 10, 1), 2))


def model(path):
    return load_model(path, trust=False)


def verified(path):
    """As `prunefront verify`, with a certificate from before."""
    return verify(path, path.with_name("earlier.json"))


def file(name, content):
    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


def hdf5(name, fill):
    """A weight file that `fill` writes into, or a `.keras` archive around one."""

    def make(folder):
        secret = folder / "secret.h5"
        with h5py.File(secret, "w") as other:
            other["w"] = np.zeros((4, 3), np.float32)
        (folder / "raw.bin").write_bytes(bytes(4096))
        inner = folder / "model.weights.h5" if name.endswith(".keras") else folder / name
        with h5py.File(inner, "w") as opened:
            fill(opened, secret)
        if inner.name != name:
            with zipfile.ZipFile(folder / name, "w") as archive:
                archive.write(inner, inner.name)
                archive.writestr("config.json", network().to_json())
            inner.unlink()
        return folder / name

    return make


def weights(opened, **arrays):
    for number, array in arrays.items():
        opened[f"{DENSE}/{number.removeprefix('_')}"] = array


def linked_array(opened, secret):
    weights(opened, _1=np.ones(3, np.float32))
    opened[f"{DENSE}/0"] = h5py.ExternalLink(secret, "w")


def linked_group(opened, secret):
    opened["layers/dense"] = h5py.ExternalLink(secret, "/")


def linked_beside(opened, secret):
    weights(opened, _0=np.ones((4, 3), np.float32))
    opened["notes"] = h5py.ExternalLink(secret, "w")


def linked_through(opened, secret):
    opened["away"] = h5py.ExternalLink(secret, "/")
    opened[f"{DENSE}/0"] = h5py.SoftLink("/away/w")


def stored_elsewhere(opened, secret):
    where = [(str(secret.with_name("raw.bin")), 0, 48)]
    opened.create_dataset(f"{DENSE}/0", (4, 3), np.float32, external=where)


def virtual(opened, secret):
    source = h5py.VirtualLayout((4, 3), np.float32)
    source[:] = h5py.VirtualSource(str(secret), "w", (4, 3))
    opened.create_virtual_dataset(f"{DENSE}/0", source)


def legacy(fill):
    """The same in the legacy layout, and as a whole model."""

    def write(opened, secret):
        opened.attrs["model_config"] = json.dumps(json.loads(network().to_json()))
        group = opened.create_group("model_weights")
        group.attrs["layer_names"] = ["dense"]
        group.create_group("dense").attrs["weight_names"] = ["0"]
        fill(group, secret)
        if DENSE in group:
            group.move(f"{DENSE}/0", "dense/0")

    return write


def legacy_link(opened, secret):
    opened["dense/0"] = h5py.ExternalLink(secret, "w")


ELSEWHERE = {
    "linked array": linked_array,
    "linked group": linked_group,
    "linked beside the weights": linked_beside,
    "linked through a soft link": linked_through,
    "stored elsewhere": stored_elsewhere,
    "virtual": virtual,
    "legacy, linked": legacy(legacy_link),
    "legacy, stored elsewhere": legacy(stored_elsewhere),
    "legacy, virtual": legacy(virtual),
}
READERS = [load_weights, certify, verified, start, start_built_in]


NAMES = ["a.weights.h5", "a.h5", "a.keras"]
WHOLE_MODELS = [("a.keras", kind) for kind in ELSEWHERE] + [("a.h5", kind) for kind in ELSEWHERE if "legacy" in kind]
REACHING = [(meet, name, kind) for meet in READERS for name in NAMES for kind in ELSEWHERE]
REACHING += [(model, name, kind) for name, kind in WHOLE_MODELS]


@pytest.mark.parametrize(("meet", "name", "kind"), REACHING)
def test_no_content_comes_from_other_files(meet, name, kind, tmp_path):
    message = r"expected all content in the file itself. Received: a file in which "
    refused(Fault(hdf5(name, ELSEWHERE[kind]), meet, message), tmp_path)


def test_links_within_the_file_are_followed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        opened["kept/w"] = np.ones((4, 3), np.float32)
        opened["dense/w"] = h5py.SoftLink("/kept/w")
        opened["dense/back"] = opened["/"]  # a loop
        opened.attrs["layer_names"] = ["dense"]
        opened["dense"].attrs["weight_names"] = ["w"]
    assert load_weights(tmp_path / "a.h5")[0].shape == (4, 3)


STAND_INS = {
    "git lfs": (LFS, r"expected the file itself; `git lfs pull` fetches it. Received: a Git LFS pointer"),
    "git annex": (b"/annex/objects/SHA256E-s9--a.h5\n", r"`git annex get` fetches it. Received: a git-annex pointer"),
    "dvc": (b"outs:\n- md5: 0123\n  path: a.h5\n", r"`dvc pull` fetches it.*Received: a DVC pointer"),
    "web page": (b"\xef\xbb\xbf\n<!DOCTYPE html><html>404", r"Received: a web page in its place"),
    "nothing": (b"", r"expected a file with content. Received: an empty one"),
}


@pytest.mark.parametrize(
    ("name", "meet"),
    [
        *((name, meet) for meet in (load_weights, certify, start) for name in ("a.weights.h5", "a.keras", "a.npz")),
        *(("a.h5", meet) for meet in (verified, model)),
        ("a.keras", model),
        ("a.npz", read_npz),
    ],
)
@pytest.mark.parametrize("kind", STAND_INS)
def test_what_stands_for_a_file_is_said(kind, name, meet, tmp_path):
    content, message = STAND_INS[kind]
    refused(Fault(file(name, content), meet, message), tmp_path)


def packed(**arrays):
    return hdf5("a.weights.h5", lambda opened, _: weights(opened, **arrays))


def quantized(mode, suffix, **options):
    def make(folder):
        one = keras.Sequential([keras.Input((64,)), layers.Dense(8), layers.Dense(8)])
        one.quantize(mode, **options)
        path = folder / f"a{suffix}"
        one.save_weights(path) if suffix == ".weights.h5" else one.save(path)
        return path

    return make


def per_channel(suffix):
    return quantized("int4", suffix, config=keras.quantizers.Int4QuantizationConfig(block_size=None))


def shards(given):
    def make(folder):
        network().save_weights(folder / "a.weights.json", max_shard_size=50 / 2**30)
        return folder / given

    return make


def archive(name, **members):
    def make(folder):
        with zipfile.ZipFile(folder / name, "w") as opened:
            for member, content in members.items():
                opened.writestr(member.replace("_", "."), content)
        return folder / name

    return make


def cut_archive(folder):
    """A member that ends early: an error of Python without a text."""
    path = folder / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("model.weights.h5", np.random.default_rng(0).bytes(3000))
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")
    for at in (18, start + 20):  # the size on disk, in both headers
        content[at : at + 4] = struct.pack("<I", 100)
    path.write_bytes(content)
    return path


def masks(folder):
    save_masks(folder / "a.npz", [np.ones((4, 3), bool), np.zeros(3, bool)])
    return folder / "a.npz"


def folder_of_a_model(folder):
    (folder / "a.keras").mkdir()
    return folder / "a.keras"


def legacy_names(*names):
    def fill(opened, _):
        opened.attrs["layer_names"] = ["a"]
        opened.create_group("a").attrs["weight_names"] = list(names)
        for name in names:
            opened[f"a/{name}"] = np.ones(3, np.float32)

    return hdf5("a.h5", fill)


PACKED = r"expected a number for each weight. Received: packed bytes, as quantization to int4, GPTQ or AWQ"
WRAPPED = r"expected plain weights. Received: .*TensorFlow Model Optimization clusters or quantizes; strip"
KERNEL = np.random.default_rng(0).integers(-119, 120, (32, 8)).astype(np.int8)
NO_WEIGHTS = {
    "int4": (quantized("int4", ".weights.h5"), PACKED),
    "int4 in a whole model": (quantized("int4", ".keras"), PACKED),
    "int4 by channel": (per_channel(".weights.h5"), PACKED),
    "int4 with one scale": (packed(_0=KERNEL, _1=np.ones(8, np.float32), _2=np.ones(8, np.float32)), PACKED),
    "gptq": (packed(_0=np.ones(8, np.float32), _1=KERNEL.astype(np.uint8), _2=np.ones((8, 1), np.float32)), PACKED),
    "a shard": (shards("a_00000.weights.h5"), r"one of \d shards that a.weights.json lists"),
    "another shard": (shards("a_00001.weights.h5"), r"one of \d shards that a.weights.json lists"),
    "the index of shards": (
        shards("a.weights.json"),
        r"Received: the index of sharded weights; load it into the model",
    ),
    "a shard alone": (
        packed(_1=np.ones(3, np.float32)),
        r"expected whole weights. Received: a part; arrays are missing",
    ),
    "clustered": (legacy_names("a/kernel:0", "cluster_a/pulling_indices_kernel:0"), WRAPPED),
    "quantization aware": (legacy_names("a/kernel:0", "quant_a/optimizer_step:0"), WRAPPED),
    "masks": (masks, r"expected weights. Received: masks, for load_masks"),
    "booleans": (packed(_0=np.ones(3, bool)), r"expected numbers. Received: .* of dtype bool"),
    "text": (packed(_0=["a", "b"]), r"expected numbers. Received: .* of dtype object"),
    "complex numbers": (packed(_0=np.ones(3, np.complex64)), r"expected numbers. Received: .* of dtype complex64"),
    "a folder": (folder_of_a_model, r"expected a .keras file; model.save\(path\) writes one. Received: a folder"),
    "an archive without weights": (
        archive("a.keras", config_json="{}"),
        r"model.weights.h5 in it. Received: .* of config",
    ),
    "an empty archive": (archive("a.keras"), r"Received: an archive of nothing"),
    "an archive cut short": (cut_archive, r"expected a whole .keras file. Received: a damaged one \(\w+"),
    "an archive of text": (archive("a.keras", model_weights_h5="text"), r"expected a whole HDF5 weight file"),
}


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
@pytest.mark.parametrize("meet", [load_weights, certify])
@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_what_cannot_be_counted_as_weights_is_said(kind, meet, tmp_path):
    make, message = NO_WEIGHTS[kind]
    refused(Fault(make, meet, message), tmp_path)


def declared(opened, _):
    """A large array of which nothing is written."""
    opened.create_dataset(f"{DENSE}/0", (2**20, 2**20), np.float32, chunks=(1024, 1024), compression="gzip")


def beside(opened, _):
    weights(opened, _0=np.ones((4, 3), np.float32))
    opened.create_dataset("optimizer/vars/1", (2**20, 2**20), np.float32, chunks=(1024, 1024))


def large_chunk(opened, _):
    opened.create_dataset(f"{DENSE}/0", (4,), np.float32, chunks=(2**28,), maxshape=(None,), compression="gzip")


def inflated(opened, _):
    """A chunk that unpacks to 40 MB where 4 KiB are declared."""
    array = opened.create_dataset(f"{DENSE}/0", (1024,), np.float32, chunks=(1024,), compression="gzip")
    array.id.write_direct_chunk((0,), zlib.compress(bytes(40_000_000), 9))


def deep(opened, _):
    for _ in range(200):
        opened = opened.create_group("layers")
    opened["vars/0"] = np.ones(3, np.float32)


def many_names(opened, _):
    """One array under many names, each of which would be read."""
    opened["a/w"] = np.ones((512, 512), np.float32)
    opened.attrs["layer_names"] = ["a"]
    for number in range(200):
        opened[f"a/{number}"] = opened["a/w"]
    opened["a"].attrs["weight_names"] = [str(number) for number in range(200)]


def compressed(name, member="model.weights.h5"):
    """An archive whose member is 200 MB of nothing."""

    def make(folder):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as opened:
            if name.endswith(".keras"):
                opened.writestr("config.json", network().to_json())
            with opened.open(member, "w") as packed_member:
                for _ in range(100):
                    packed_member.write(bytes(2_000_000))
        return folder / name

    return make


TOO_LARGE = r"expected at most 0.0977 GiB unpacked; the environment variable PRUNEFRONT_MEMORY_GIB allows more"
BOMBS = {
    "weights": (hdf5("a.weights.h5", declared), [load_weights, certify, verified, start], TOO_LARGE),
    "weights in an archive": (hdf5("a.keras", declared), [load_weights, start, model], TOO_LARGE),
    "optimizer": (hdf5("a.weights.h5", beside), [load_weights, start], TOO_LARGE),
    "legacy": (hdf5("a.h5", legacy(declared)), [load_weights, start, model], TOO_LARGE),
    "large chunk": (hdf5("a.weights.h5", large_chunk), [load_weights, start], TOO_LARGE),
    "many names": (hdf5("a.h5", many_names), [load_weights], TOO_LARGE),
    "chunk": (hdf5("a.weights.h5", inflated), [load_weights, start], r"expected 4096 bytes in a chunk.*Received: more"),
    "archive": (compressed("a.keras"), [load_weights, start, model], TOO_LARGE),
    "archive's description": (compressed("a.keras", "config.json"), [load_weights, model], TOO_LARGE),
    "npz": (compressed("a.npz", "x_train.npy"), [load_weights, start, read_npz], TOO_LARGE),
    "nesting": (hdf5("a.weights.h5", deep), [load_weights, start], r"expected at most 100 groups in one another"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", BOMBS)
def test_declared_sizes_are_looked_at_first(kind, tmp_path, monkeypatch):
    make, meets, message = BOMBS[kind]
    monkeypatch.setenv(VARIABLE, "0.0977")
    path = make(tmp_path)
    for meet in meets:
        refused(Fault(lambda _, path=path: path, meet, message), tmp_path)


FLIPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file of each kind whose bytes are guarded by a checksum, and a certificate."""
    folder = tmp_path_factory.mktemp("whole")
    network().save(folder / "a.keras")
    np.savez_compressed(folder / "a.npz", np.ones((3, 3)), np.zeros(4))
    certify(folder / "a.npz").rename(folder / "earlier.json")
    return folder


@settings(max_examples=60)
@given(name=st.sampled_from(["a.keras", "a.npz", "earlier.json"]), flips=FLIPS, kept=st.floats(0.5, 1))
def test_damage_anywhere_is_answered_by_one_line(whole, name, flips, kept):
    content = bytearray((whole / name).read_bytes())
    for at, value in flips:
        content[at % len(content)] = value
    damaged = whole / f"damaged-{name}"
    damaged.write_bytes(content[: max(1, int(len(content) * kept))])
    try:
        verify(whole / "a.npz", damaged) if name.endswith(".json") else load_weights(damaged)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_what_is_large_and_allowed_is_read(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", np.zeros(2**20))
    monkeypatch.setenv(VARIABLE, "0.001")
    refused(Fault(lambda folder: folder / "a.npz", load_weights, r"expected at most 0.001 GiB"), tmp_path)
    monkeypatch.setenv(VARIABLE, "0.1")
    assert load_weights(tmp_path / "a.npz")[0].size == 2**20
