"""Image folders that do not fit into memory."""

import os
import resource
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

from prunefront import InputError
from prunefront.data.batches import in_order, shuffled
from prunefront.data.rows import RowsOnDisk
from prunefront.data.splits import Split, read_split
from prunefront.sources.images import ImageFiles
from prunefront.sources.read import load
from prunefront.sources.splits import write_prepared
from tests.helpers import ROOT, data_params, edited, write_images


def stored(folder, array, convert=lambda x: x):
    np.save(folder / "x.npy", array)
    return RowsOnDisk(folder / "x.npy", convert)


def test_stored_rows_are_those_of_the_array(tmp_path):
    array = np.arange(60, dtype=np.int16).reshape(10, 3, 2)
    rows = stored(tmp_path, array, lambda x: x * np.float32(2))
    assert (len(rows), rows.shape, rows.ndim, rows.dtype) == (10, (10, 3, 2), 3, np.float32)
    np.testing.assert_array_equal(rows[np.array([7, 0, 7])], array[[7, 0, 7]] * 2.0)
    np.testing.assert_array_equal(rows.converted(lambda x: x + 1)[9:], array[[9]] * 2.0 + 1)
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="not whole"):
        RowsOnDisk(tmp_path / "x.npy", lambda x: x)


def test_batches_from_disk_are_those_from_memory(tmp_path):
    array, labels = np.random.default_rng(0).random((11, 2), np.float32), np.arange(11) % 3
    memory, disk = Split(array, labels), Split(stored(tmp_path, array), labels)
    for batches in (lambda s: in_order(s, 4), lambda s: shuffled(s, 4, 1).repeat(2)):
        one, other = ([(x.numpy(), y.numpy()) for x, y in batches(split)] for split in (memory, disk))
        assert len(one) == len(other) > 2
        for (x, y), (u, v) in zip(one, other, strict=True):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, v)


def test_a_folder_comes_back_as_it_was_read_image_by_image(tmp_path):
    write_images(tmp_path / "own", mode="L", size=(10, 11))
    params = data_params(tmp_path, source="folder", path=str(tmp_path / "own"), image_size=[10, 11], channels=1)
    dataset = load(params)
    assert isinstance(dataset.train.x, ImageFiles)
    write_prepared(dataset, tmp_path / "prepared")
    split = read_split("train", tmp_path / "prepared")
    assert isinstance(split.x, RowsOnDisk)
    for row, path in zip(split.x[:], dataset.train.x.paths, strict=True):
        np.testing.assert_array_equal(row[..., 0], np.asarray(Image.open(str(path))).astype(np.float32) / 255)


@pytest.mark.parametrize(
    ("pixel_range", "expected"), [([0, 1], 128 / 255), ([-1, 1], 2 * 128 / 255 - 1), ([0, 255], 128), (None, 128)]
)
def test_pixels_are_scaled_to_the_range_that_a_network_takes(tmp_path, pixel_range, expected):
    x, y = np.full((40, 10, 10, 3), 128, np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    settings = {"source": "npz", "path": str(tmp_path / "data.npz"), "image_size": None, "pixel_range": pixel_range}
    write_prepared(load(data_params(tmp_path, **settings)), tmp_path / "prepared")
    np.testing.assert_allclose(read_split("train", tmp_path / "prepared").x, expected, rtol=1e-4)


def test_images_of_16_bits_with_transparency_or_turned_are_read_as_they_are_seen(tmp_path):
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep.png")
    clear = Image.fromarray(np.full((4, 4), 3, np.uint8), "P")
    clear.putpalette([10 * i for i in range(4) for _ in range(3)])
    clear.save(tmp_path / "clear.png", transparency=3)
    turned = Image.fromarray(np.array([[0] * 8, [255] * 8], np.uint8).repeat(4, axis=0))
    exif = turned.getexif()
    exif[0x0112] = 3  # upside down
    turned.save(tmp_path / "turned.png", exif=exif)
    names = np.array([str(tmp_path / f"{name}.png") for name in ("deep", "clear", "turned")])
    deep, clear_, turned_ = next(ImageFiles(names, (8, 8), 1).chunks())
    assert np.all(np.abs(deep.astype(int) - 40_000 / 257) < 1)
    assert np.all(clear_ == 30)
    assert turned_[0, 0, 0] == 255
    assert turned_[-1, 0, 0] == 0


BUILDER = """
    import keras


    def build(shape, classes):
        pooled = keras.layers.AveragePooling2D(32)
        return keras.Sequential([keras.Input(shape), pooled, keras.layers.Flatten(), keras.layers.Dense(classes)])
"""


def test_a_folder_larger_than_the_memory_is_prepared_trained_on_and_evaluated(tmp_path):
    count, side = 3000, 256
    for number in range(count):
        folder = tmp_path / "own" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (number % 2 * 255, number % 256, 0)).save(folder / f"{number}.png")
    (tmp_path / "net.py").write_text(textwrap.dedent(BUILDER))
    edited(
        tmp_path,
        ("data.source", "folder"), ("data.path", "own"), ("data.image_size", [side, side]),
        ("model.builder", "net:build"), ("model.code", "net.py"),
        ("baseline.epochs", 1), ("baseline.learning_rate", 0.01),
    )  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def limited(limit):
        return lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    def stage(name, memory):
        return subprocess.run(
            [sys.executable, "-m", f"stages.{name}"], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False, preexec_fn=limited(memory), timeout=120,
        )  # fmt: skip

    # Private memory. All images take 590 MB as they are, the training split 1416 MB as the floats of a network; what is
    # imported takes 442 MB, with TensorFlow, which the first stage tries the network with.
    prepared = stage("prepare", 850_000_000)
    assert prepared.returncode == 0, prepared.stderr[-2000:]
    trained = stage("baseline", 1_300_000_000)
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert "validation accuracy 1.0000" in trained.stderr


def test_names_of_undecodable_images_are_given_before_anything_is_replaced(tmp_path):
    write_images(tmp_path / "own")
    params = data_params(tmp_path, source="folder", path=str(tmp_path / "own"))
    write_prepared(load(params), tmp_path / "prepared")
    before = (tmp_path / "prepared" / "train_x.npy").read_bytes()
    for path in (tmp_path / "own" / "cat").iterdir():
        path.write_bytes(b"GIF89a")
    with pytest.raises(InputError, match=r"cat.\d.png: expected a BMP, GIF"):
        write_prepared(load(params), tmp_path / "prepared")
    assert (tmp_path / "prepared" / "train_x.npy").read_bytes() == before
