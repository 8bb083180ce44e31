"""Data that are not what they are taken for: files of other kinds, arrays and labels of other meanings, odd images."""

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from prunefront.common.arrays import read_npz
from tests.faults.corpus import Fault, refused

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
    "empty": Fault(holding(b""), read_npz, "an empty file"),
    "noise": Fault(holding(bytes(range(1, 60))), read_npz, "a file of another kind"),
    "folder": Fault(lambda folder: folder, read_npz, "which is no file"),
    "fifo": Fault(fifo, read_npz, "which is no file"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_npz_are_called_what_they_are(name, tmp_path):
    refused(FILES[name], tmp_path)
