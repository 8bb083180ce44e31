"""Image folders that do not fit into memory."""

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
from tests.helpers import data_params, edited, python, write_images


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
        pooled = keras.layers.AveragePooling2D(64)
        return keras.Sequential([keras.Input(shape), pooled, keras.layers.Flatten(), keras.layers.Dense(classes)])
"""
STAGES = """
    import os, resource, sys
    from pathlib import Path
    from prunefront.data import batches
    from stages.baseline import baseline
    from stages.prepare import prepare

    batches.STREAMED = 4  # so that the small folder, too, is more batches than are in memory at once
    for folder in sys.argv[1:]:
        os.chdir(folder)
        for stage in (prepare, baseline):
            stage(params=Path("params.yaml"))
            print("peak", stage.__name__, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def solid_images(folder, count, side):
    """Images of one colour each, red or not by their class, and what the stages need beside them."""
    for number in range(count):
        path = folder / "own" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (number % 2 * 255, number % 256, 0)).save(path)
    (folder / "net.py").write_text(textwrap.dedent(BUILDER))
    edited(
        folder,
        ("seeds", [0]), ("data.source", "folder"), ("data.path", "own"), ("data.image_size", [side, side]),
        ("data.channels", 3), ("model.builder", "net:build"), ("model.code", "net.py"),
        ("baseline.epochs", 1), ("baseline.learning_rate", 0.01), ("baseline.batch_size", 4),
    )  # fmt: skip
    return str(folder)


@pytest.mark.long
def test_memory_does_not_grow_with_a_folder_that_is_prepared_trained_on_and_evaluated(tmp_path):
    """What TensorFlow and a few batches take differs between machines: that is there after the first, small folder."""
    count, side = 600, 512
    small, large = solid_images(tmp_path / "small", 120, side), solid_images(tmp_path / "large", count, side)
    # large blocks are given back to the system at once, so that what is free but kept does not count
    ran = python("-c", textwrap.dedent(STAGES), small, small, large, MALLOC_MMAP_THRESHOLD_="65536")
    assert ran.returncode == 0, ran.stderr[-2000:]
    *_, before, prepared, trained = (int(line.split()[-1]) for line in ran.stdout.splitlines() if "peak" in line)
    of_training = 0.6 * count * 3 * side**2  # a byte each; as the floats of a network they take four times as much
    assert max(prepared, trained) - before < of_training / 2, (before, prepared, trained)
    assert "validation accuracy 1.0000" in ran.stderr


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
