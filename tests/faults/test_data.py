"""Data that are not what they are taken for: files of other kinds, arrays and labels of other meanings, odd images."""

import json
import os
import pickle
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from prunefront.common.arrays import read_npz
from prunefront.data.splits import read_split
from prunefront.sources.read import load
from prunefront.sources.splits import write_prepared
from stages.prepare import prepare as run_prepare
from tests.faults.corpus import Fault, refused
from tests.helpers import data_params, write_images

# --- files that are no .npz, whatever they are called


def holding(content: bytes):
    def make(folder: Path) -> Path:
        (folder / "data.npz").write_bytes(content)
        return folder / "data.npz"

    return make


def hdf5(folder: Path) -> Path:
    with h5py.File(folder / "data.npz", "w") as file:
        file["x_train"] = np.zeros(3)
    return folder / "data.npz"


def npy(folder: Path) -> Path:
    np.save(folder / "data.npy", np.zeros(3))
    return (folder / "data.npy").rename(folder / "data.npz")


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "data.npz")
    return folder / "data.npz"


FILES = {
    "csv": Fault(holding(b"a,b,label\n1,2,x\n"), read_npz, "a text file, such as CSV"),
    "csv in utf-8": Fault(holding("größe,label\n1,2\n".encode()), read_npz, "a text file, such as CSV"),
    "hdf5": Fault(hdf5, read_npz, "Received: an HDF5 file"),
    "npy": Fault(npy, read_npz, "Received: an .npy file, a single array"),
    "pickle": Fault(holding(pickle.dumps([1, 2])), read_npz, "Received: a pickle, which is never loaded"),
    "git lfs": Fault(
        holding(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"), read_npz, "a Git LFS pointer"
    ),
    "gzip": Fault(holding(b"\x1f\x8b\x08\x00"), read_npz, "a gzip file"),
    "parquet": Fault(holding(b"PAR1\x15\x04"), read_npz, "a Parquet file"),
    "empty": Fault(holding(b""), read_npz, "an empty one"),
    "noise": Fault(holding(bytes(range(1, 60))), read_npz, "a file of another kind"),
    "folder": Fault(lambda folder: folder, read_npz, "which is no file"),
    "fifo": Fault(fifo, read_npz, "which is no file"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_npz_are_called_what_they_are(name, tmp_path):
    refused(FILES[name], tmp_path)


# --- arrays that are no examples, labels that are no classes

X, Y = np.arange(40 * 300, dtype=np.uint8).reshape(40, 10, 10, 3), np.arange(40) % 2


def given(**arrays):
    """Whole data but for these arrays; what is a setting of the data goes there."""
    settings = {name: arrays.pop(name) for name in ("image_size", "pixel_range") if name in arrays}

    def make(folder: Path):
        np.savez(folder / "data.npz", **{"x_train": X, "y_train": Y, **arrays})
        return data_params(
            folder, **{"source": "npz", "path": str(folder / "data.npz"), "image_size": None, **settings}
        )

    return make


ARRAYS = {
    "16 bits": ({"x_train": X.astype(np.uint16) * 257}, r"x_train: expected integer images in 0 to 255.*uint16"),
    "text": ({"x_train": np.full((40, 3), "text")}, r"x_train: expected finite numbers. Received: text \(dtype <U4\)"),
    "bytes": ({"x_train": np.full((40, 3), b"text")}, r"Received: text"),
    "complex": ({"x_train": np.ones((40, 3), complex)}, r"Received: complex numbers"),
    "dates": ({"x_train": np.zeros((40, 3), "M8[s]")}, r"Received: dates"),
    "records": ({"x_train": np.zeros(40, [("a", int)])}, r"Received: records"),
    "nan": ({"x_train": np.full((40, 3), np.nan)}, r"NaN or infinity"),
    "huge": ({"x_train": np.full((40, 3), 1e300)}, r"values beyond float32"),
    "one value": ({"x_train": np.float32(1)}, r"x_train: expected an array of many values. Received: a single one"),
    "objects": ({"y_train": np.array(["a", "b"] * 20, object)}, r"array.astype\(str\)"),
    "channels first": (
        {"x_train": X.reshape(40, 3, 10, 10), "image_size": [25, 25]},
        r"x.transpose\(0, 2, 3, 1\).*\(3, 10, 10\), with the channels in front",
    ),
    "channels first, floats": (
        {"x_train": X.reshape(40, 3, 10, 10) / 255, "image_size": [25, 25], "pixel_range": None},
        r"with the channels in front",
    ),
    "labels from 1": ({"y_train": Y + 1}, r"y_train: expected labels from 0. Received: labels from 1 to 2; subtract 1"),
    "labels from 1, one-hot no": ({"y_train": (Y + 1.0)[:, None]}, r"labels from 1 to 2; subtract 1"),
    "labels below 0": ({"y_train": Y * 2 - 1}, r"Received: a label -1; numpy.unique"),
    "gaps": ({"y_train": Y * 2}, r"none of class 1 \(1\); numpy.unique"),
    "amounts": ({"y_train": np.arange(40) * 1000}, r"amounts are no classes"),
    "regression": ({"y_train": np.linspace(0, 1, 40)}, r"prunes classifiers, no regression.*such as 0.02"),
    "regression, column": ({"y_train": np.linspace(0, 1, 40)[:, None]}, r"prunes classifiers, no regression"),
    "nan label": ({"y_train": np.where(Y, np.nan, 0)}, r"values such as nan"),
    "infinite label": ({"y_train": np.where(Y, np.inf, 0)}, r"values such as inf"),
    "large label": ({"y_train": np.where(Y, 1e30, 0)}, r"labels below the number of classes. Received: a label 1"),
    "several of many": (
        {"y_train": np.ones((40, 3), int)},
        r"one-hot rows with a single 1 in each",
    ),
    "unknown name": (
        {"y_train": np.array(["a", "b"])[Y], "x_val": X[:2], "y_val": ["a", "c"]},
        r"y_val: expected names of classes, a, b. Received: 'c'",
    ),
    "text, then numbers": (
        {"y_train": np.array(["a", "b"])[Y], "x_val": X[:2], "y_val": [0, 1]},
        r"y_val: expected text as in the training split. Received: .*int64",
    ),
    "names in latin 1": ({"class_names": np.array([b"a", b"\xe4"])}, r"class_names: expected text in UTF-8"),
    "names that are amounts": (
        {"class_names": np.array([0.5, 1.5])},
        r"class_names: expected text. Received",
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_another_meaning_are_refused_with_what_to_do(name, tmp_path):
    arrays, message = ARRAYS[name]
    refused(Fault(given(**arrays), load, message), tmp_path)


# --- what the built-in network cannot take


def prepared(settings) -> None:
    """The stage, given parameters of data that lie beside their file."""
    run_prepare(settings.path.parent / "params.yaml")


GREY = np.arange(40 * 144).reshape(40, 12, 12) % 256
BUILT_IN = {
    "floats to 255": (
        GREY[..., None] * 0.5,
        r"uint8 images, which are scaled, or floats.*astype.*null feeds them",
    ),
    "channels first": (np.zeros((40, 3, 12, 12)), r"x.transpose\(0, 2, 3, 1\).*with the channels in front"),
    "channels first, ints": (np.full((40, 3, 12, 12), 9), r"with the channels in front"),
    "grey integers": (GREY, r"uint8 arrays of shape \(n, height, width\) are grey ones. Received: .*\(12, 12\)"),
    "small": (np.zeros((40, 5, 5, 3), np.uint8), r"at least 10x10 pixels"),
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_network_is_given_images_only(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, message = BUILT_IN[name]
    refused(Fault(given(x_train=x), prepared, message), tmp_path)


# --- images that are none


def images_with(spoil):
    """Two classes of ten images, of which one is replaced."""

    def make(folder: Path) -> Path:
        write_images(folder / "own")
        (folder / "own" / "cat" / "3.png").unlink()
        spoil(folder / "own" / "cat" / "3.png")
        return folder

    return make


def named(folder: Path, name: str):
    """Parameters that name a folder of images."""
    params = data_params(folder, source="folder", path=str(folder / name))
    (folder / "params.yaml").unlink()
    return params


def prepare(folder: Path) -> None:
    write_prepared(load(named(folder, "own")), folder / "prepared")


def png(width: int, height: int):
    """Makes a file that declares an image of this size, and holds none."""

    def spoil(path: Path) -> None:
        chunks = {b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT": zlib.compress(b"")}
        written = [struct.pack(">I", len(body)) + kind + body for kind, body in chunks.items()]
        sums = [struct.pack(">I", zlib.crc32(chunk[4:])) for chunk in written]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(a + b for a, b in zip(written, sums, strict=True)))

    return spoil


IMAGES = {
    "bomb": Fault(
        images_with(png(200_000, 200_000)), prepare, r"3.png, 200000x200000 pixels: expected at most .* GiB unpacked"
    ),
    "large, but no bomb": Fault(images_with(png(10_000, 9_000)), prepare, r"3.png: .*does not decode \(OSError"),
    "fifo": Fault(images_with(os.mkfifo), prepare, r"3.png: expected a BMP.*Received: no file, but a pipe"),
    "device": Fault(images_with(lambda p: p.symlink_to("/dev/zero")), prepare, r"3.png: .*no file, but a pipe"),
    "data.path": Fault(fifo, lambda path: load(named(path.parent, path.name)), r"a folder with one folder of images"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_that_are_no_files_are_refused_and_not_waited_for(name, tmp_path):
    refused(IMAGES[name], tmp_path)


# --- prepared data that somebody has changed


def spoilt(name: str, content):
    """Prepared data of which one file holds something else."""

    def make(folder: Path) -> Path:
        write_prepared(load(given()(folder)), folder / "prepared")
        if isinstance(content, np.ndarray):
            np.save(folder / "prepared" / name, content)
        elif callable(content):
            content(folder / "prepared" / name)
        else:
            (folder / "prepared" / name).write_bytes(content)
        return folder / "prepared"

    return make


def about(**changes) -> bytes:
    whole = {"class_names": ["a", "b"], "pixel_range": [0, 1], "streamed": False}
    return json.dumps({**whole, **changes}).encode()


def archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, np.zeros(3))


PREPARED = {
    "fewer labels": spoilt("train_y.npy", np.zeros(3, np.int64)),
    "labels of another type": spoilt("train_y.npy", np.zeros(24)),
    "a label too large": spoilt("train_y.npy", np.full(24, 2)),
    "a single label": spoilt("train_y.npy", np.int64(1)[()].reshape(())),
    "no examples": spoilt("train_x.npy", np.zeros((0, 10, 10, 3), np.uint8)),
    "one value": spoilt("train_x.npy", np.zeros((), np.uint8)),
    "text": spoilt("train_x.npy", np.full((24, 3), "text")),
    "an archive": spoilt("train_x.npy", archive),
    "half an archive": spoilt("train_x.npy", b"PK\x03\x04"),
    "names": spoilt("about.json", about(class_names=3)),
    "one name": spoilt("about.json", about(class_names=["a"])),
    "range": spoilt("about.json", about(pixel_range="wide")),
    "a range of one": spoilt("about.json", about(pixel_range=[1])),
    "streamed": spoilt("about.json", about(streamed="no")),
    "a list": spoilt("about.json", b"[]"),
    "deep": spoilt("about.json", b"[" * 100_000),
    "other bytes": spoilt("about.json", b"\xff\xfe"),
}


@pytest.mark.parametrize("name", PREPARED)
def test_prepared_data_that_have_been_changed_are_refused(name, tmp_path):
    fault = Fault(
        PREPARED[name], lambda folder: read_split("train", folder), r"Expected prepared data in .*`dvc repro`"
    )
    refused(fault, tmp_path)
