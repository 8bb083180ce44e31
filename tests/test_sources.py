import shutil
from pathlib import Path

import numpy as np
import pytest

from prunefront import InputError
from prunefront.common.runtime import keras
from prunefront.data.splits import read_class_names, read_split
from prunefront.sources.images import resize
from prunefront.sources.read import load
from prunefront.sources.splits import Dataset, write_prepared
from tests.helpers import RNG, data_params, workload, write_images


def npz(folder, **arrays):
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return data_params(folder, source="npz", path=str(path), image_size=None)


def examples(count=40, classes=2, shape=(10, 10, 3)):
    return RNG.integers(0, 256, (count, *shape)).astype(np.uint8), np.arange(count) % classes


def prepared(folder, params):
    """The training split of a folder of images as it is written."""
    write_prepared(load(params), folder / "prepared")
    return np.load(folder / "prepared" / "train_x.npy")


def test_digits_are_resized_and_split_by_class(tmp_path):
    dataset = load(data_params(tmp_path))
    assert [len(s.y) for s in (dataset.train, dataset.validation, dataset.test)] == [1079, 359, 359]
    assert dataset.train.x.shape == (1079, 10, 10, 1)
    assert dataset.train.x.dtype == np.uint8
    assert dataset.train.x.max() == 255
    assert np.bincount(dataset.test.y).min() >= 34  # of 35.9 on average


def test_the_split_is_seeded_and_disjoint(tmp_path):
    x = np.tile(np.arange(100, dtype=np.float32).reshape(100, 1, 1, 1), (1, 10, 10, 1))
    y = np.arange(100) % 2
    first, again = (load(npz(tmp_path, x_train=x, y_train=y)) for _ in range(2))
    np.testing.assert_array_equal(first.test.x, again.test.x)
    together = np.concatenate([first.train.x, first.validation.x, first.test.x])[:, 0, 0, 0]
    np.testing.assert_array_equal(np.sort(together), np.arange(100))
    other = load(data_params(tmp_path, source="npz", path=str(tmp_path / "data.npz"), image_size=None, seed=1))
    assert not np.array_equal(first.test.x, other.test.x)


def test_npz_with_all_splits_is_taken_as_it_is(tmp_path):
    (x, y), (xv, yv), (xt, yt) = (examples(n) for n in (40, 12, 8))
    params = npz(tmp_path, x_train=x, y_train=y, x_val=xv, y_val=yv, x_test=xt, y_test=yt, class_names=["a", "b"])
    dataset = load(params)
    np.testing.assert_array_equal(dataset.validation.x, xv)
    np.testing.assert_array_equal(dataset.test.y, yt)
    assert dataset.class_names == ("a", "b")


def test_npz_missing_splits_are_carved_out_of_training(tmp_path):
    (x, y), (xt, yt) = examples(100), examples(8)
    dataset = load(npz(tmp_path, x_train=x, y_train=y.reshape(-1, 1), x_test=xt, y_test=yt))
    assert [len(s.y) for s in (dataset.train, dataset.validation, dataset.test)] == [80, 20, 8]
    assert dataset.class_names == ("0", "1")


def test_grey_images_get_a_channel_and_are_resized(tmp_path):
    x, y = examples(shape=(10, 10))
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    dataset = load(data_params(tmp_path, source="npz", path=str(tmp_path / "data.npz"), image_size=[12, 11]))
    assert dataset.train.x.shape[1:] == (12, 11, 1)


def test_resizing_averages_neighbours():
    square = np.array([[0, 0, 100, 100]] * 4, np.uint8).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(resize(square, (2, 2))[0, 0, :, 0], [14, 86])  # the neighbour weighs 1/7
    assert resize(square, None) is square


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, r"expected an array x_train. Received: y_train"),
        ({"x_train": np.zeros((39, 10, 10, 3), np.uint8)}, r"a label for each of 39 examples. Received: 40"),
        ({"y_train": np.linspace(0, 1, 40)}, r"one integer label.*classifiers, no regression.*dtype float64"),
        ({"y_train": np.zeros(40)}, r"at least 2 classes"),
        ({"y_train": np.eye(40, 3)}, r"one integer label.*\(40, 3\)"),
        ({"y_train": np.arange(40) % 2 - 1}, r"labels from 0. Received: a label -1"),
        ({"y_train": np.zeros(40, int)}, r"at least 2 classes"),
        ({"y_train": np.arange(40) % 2 * 2}, r"training examples of every class. Received: none of class 1"),
        ({"y_train": np.arange(40)}, r"enough examples of each class"),
        ({"class_names": np.array(["only"])}, r"at least 2 classes"),
        ({"class_names": np.array(["a", "b", "c"])}, r"none of class 2 \(c\)"),
        ({"y_train": np.arange(40) % 3, "class_names": np.array(["a", "b"])}, r"labels from 0 to 1.*a label 2"),
        ({"x_val": np.zeros((2, 10, 10, 3), np.uint8)}, r"expected an array y_val"),
        (
            {"x_test": np.zeros((2, 9, 9, 3), np.uint8), "y_test": np.arange(2)},
            r"test split: expected examples of shape",
        ),
        ({"x_train": np.full((40, 3), np.nan)}, r"finite numbers"),
        ({"x_train": np.full((40, 10, 10, 1), 1e300)}, r"finite numbers"),
        ({"x_train": np.zeros((40, 0, 10, 3), np.uint8)}, r"examples with values"),
        ({"x_train": np.full((40, 10, 10, 3), 300)}, r"integer images in 0 to 255; .* Received: 300"),
        ({"x_val": np.zeros((4, 10, 10, 3)), "y_val": np.arange(4) % 2}, r"validation split: expected the dtype of tr"),
        ({"y_train": np.arange(40) % 2 * 10**9}, r"labels numbered from 0.*a label 1000000000 and 40 training"),
        ({"y_train": np.arange(40, dtype=np.uint64) + 2**63}, r"labels below the number of classes"),
        ({"x_valid": np.zeros((4, 10, 10, 3), np.uint8)}, r"x_val, y_val, x_test, y_test. Received: x_valid"),
        ({"class_names": np.array(["a", "a"])}, r"different class names"),
        ({"x_train": np.full((40, 3), "text")}, r"finite numbers"),
        ({"x_train": np.array([{}] * 40, object)}, r"never loaded"),
    ],
)
def test_bad_npz_files_are_refused(arrays, message, tmp_path):
    x, y = examples()
    whole = {"x_train": x, "y_train": y, **arrays} if arrays else {"y_train": y}
    with pytest.raises(InputError, match=message) as caught:
        load(npz(tmp_path, **whole))
    assert "\n" not in str(caught.value)


def test_paths_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"data.path: expected the .npz file for data.source=npz. Received: inputs"):
        load(data_params(tmp_path, source="npz"))
    with pytest.raises(InputError, match=r"folder of images. Received: gone, which does not exist"):
        load(data_params(tmp_path, source="folder", path="gone"))


def test_cifar10_takes_classes_and_crop(tmp_path, monkeypatch):
    x = RNG.integers(0, 256, (200, 32, 32, 3)).astype(np.uint8)
    y = (np.arange(200) % 10).reshape(-1, 1)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: ((x, y), (x[:50], y[:50])))
    chosen = {"classes": [3, 2], "crop": [25, 24]}
    dataset = load(data_params(tmp_path, source="cifar10", cifar10=chosen, image_size=None))
    assert dataset.class_names == ("cat", "bird")
    assert dataset.test.x.shape == (10, 25, 24, 3)
    np.testing.assert_array_equal(dataset.test.x[0], x[2, :25, :24])
    assert dataset.test.y[0] == 1


def test_cifar10_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    def offline():
        raise OSError("no route\nto host")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", offline)
    with pytest.raises(InputError, match=r"data.source=npz with a local file. Received: no route to host"):
        load(data_params(tmp_path, source="cifar10"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("RGB", "png"), ("RGBA", "png"), ("L", "png"), ("P", "png"), ("RGB", "bmp"), ("P", "gif"), ("RGB", "jpg")],
)
def test_folder_of_any_image_mode(mode, suffix, channels, tmp_path):
    write_images(tmp_path / "own", mode=mode, suffix=suffix)
    folder = {"source": "folder", "path": str(tmp_path / "own"), "image_size": [10, 11], "channels": channels}
    dataset = load(data_params(tmp_path, **folder))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.train.x.shape == (12, 10, 11, channels)
    written = prepared(tmp_path, data_params(tmp_path, **folder))
    assert written.shape == (12, 10, 11, channels)
    assert written.std() > 10


def test_files_that_are_left_out_are_counted(tmp_path):
    write_images(tmp_path / "own")
    (tmp_path / "own" / "cat" / "10.tiff").touch()
    with pytest.warns(UserWarning, match=r"cat: 1 files that are not .* are left out"):
        load(data_params(tmp_path, source="folder", path=str(tmp_path / "own")))


def test_bytes_are_decoded_as_class_names_and_integers_as_images(tmp_path):
    x, y = examples()
    dataset = load(npz(tmp_path, x_train=x.astype(np.int64), y_train=y, class_names=[b"a", b"b"]))
    assert dataset.class_names == ("a", "b")
    assert dataset.train.x.dtype == np.uint8


def test_folder_with_splits_and_grey(tmp_path):
    for split, count in (("train", 10), ("val", 3), ("test", 2)):
        write_images(tmp_path / "own" / split, count=count)
    dataset = load(data_params(tmp_path, source="folder", path=str(tmp_path / "own"), channels=1))
    assert [s.x.shape for s in (dataset.train, dataset.validation, dataset.test)] == [
        (20, 10, 10, 1),
        (6, 10, 10, 1),
        (4, 10, 10, 1),
    ]


def break_folder(root: Path, how: str):
    if how == "undecodable":
        (root / "cat" / "3.png").write_bytes(b"not an image")
    elif how == "truncated":
        (root / "cat" / "3.png").write_bytes((root / "cat" / "2.png").read_bytes()[:200])
    elif how == "empty":
        for path in (root / "dog").iterdir():
            path.unlink()
    elif how == "one class":
        (root / "dog").rename(root / "cat" / "dog")
    elif how == "dangling":
        (root / "cat" / "3.png").unlink()
        (root / "cat" / "3.png").symlink_to("/nowhere.png")
    elif how == "capitals":
        for label in ("cat", "dog"):
            shutil.rmtree(root / label)
        write_images(root / "Train")
        write_images(root / "test")
    elif how == "other classes":
        for label in ("cat", "dog"):
            shutil.rmtree(root / label)
        write_images(root / "train")
        write_images(root / "val", classes=("cat", "cow"))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("undecodable", r"cat.3.png: expected a BMP, GIF, JPEG, PNG or WebP image"),
        ("truncated", r"cat.3.png: expected a BMP, GIF, JPEG, PNG or WebP image"),
        ("empty", r"dog: expected images .* in each class folder. Received: none"),
        ("one class", r"2 or more classes. Received: 1"),
        ("dangling", r"cat.3.png: expected a BMP, GIF, JPEG, PNG or WebP image"),
        ("capitals", r"expected only train, val and test beside each other. Received: Train, test"),
        ("other classes", r"expected the class folders of .*train, cat, dog. Received: cat, cow"),
    ],
)
def test_bad_folders_are_refused(how, message, tmp_path):
    write_images(tmp_path / "own")
    break_folder(tmp_path / "own", how)
    with pytest.raises(InputError, match=message) as caught:
        prepared(tmp_path, data_params(tmp_path, source="folder", path=str(tmp_path / "own")))
    assert not (tmp_path / "prepared").exists()
    assert "\n" not in str(caught.value)


def test_folder_needs_a_size(tmp_path):
    write_images(tmp_path / "own")
    with pytest.raises(InputError, match=r"data\.image_size"):
        load(data_params(tmp_path, source="folder", path=str(tmp_path / "own"), image_size=None))


def test_prepared_data_come_back_scaled(tmp_path):
    dataset = load(data_params(tmp_path))
    write_prepared(dataset, tmp_path / "prepared")
    split = read_split("validation", tmp_path / "prepared")
    assert split.x.dtype == np.float32
    np.testing.assert_array_equal(split.x, dataset.validation.x.astype(np.float32) / 255)
    assert read_class_names(tmp_path / "prepared") == dataset.class_names


def test_unprepared_and_damaged_data_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"prunefront prepare"):
        read_split("train", tmp_path)
    (tmp_path / "train_x.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match=r"prunefront prepare"):
        read_split("train", tmp_path)
    with pytest.raises(InputError, match=r"prunefront prepare"):
        read_class_names(tmp_path)


def test_the_report_s_images(tmp_path):
    path = workload("cifar10-animals.npz")
    dataset: Dataset = load(data_params(tmp_path, source="npz", path=str(path), image_size=None))
    assert [len(s.y) for s in (dataset.train, dataset.validation, dataset.test)] == [22_475, 2_525, 2_500]
    assert dataset.train.x.shape[1:] == (25, 25, 3)


def test_one_hot_boolean_and_column_labels_are_class_numbers(tmp_path):
    x, y = examples(classes=3)
    for labels in (y, y[:, None], np.eye(3)[y], np.eye(3, dtype=bool)[y], np.eye(3, dtype=np.uint8)[y]):
        dataset = load(npz(tmp_path, x_train=x, y_train=labels))
        assert dataset.class_names == ("0", "1", "2")
        assert sorted(dataset.train.y.tolist()) == [0] * 8 + [1] * 8 + [2] * 8
    assert load(npz(tmp_path, x_train=x, y_train=y > 0)).class_names == ("0", "1")
    with pytest.raises(InputError, match="none of class 3"):  # a column that is never used
        load(npz(tmp_path, x_train=x, y_train=np.eye(4)[y]))
    with pytest.raises(InputError, match="one-hot rows with a single 1"):
        load(npz(tmp_path, x_train=x, y_train=np.eye(3)[y] / 2))


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (np.arange(120).reshape(40, 3), np.int32),
        (np.arange(120, dtype=np.uint8).reshape(40, 3), np.int32),
        (np.arange(120).reshape(40, 3) / 2, np.float32),
        (np.arange(120).reshape(40, 3) % 2 == 0, np.int32),
    ],
)
def test_tokens_and_features_are_fed_as_they_are(x, dtype, tmp_path):
    write_prepared(load(npz(tmp_path, x_train=x, y_train=np.arange(40) % 2)), tmp_path / "prepared")
    split = read_split("train", tmp_path / "prepared")
    assert split.x.dtype == dtype
    assert {tuple(row) for row in split.x} <= {tuple(row) for row in x.astype(dtype)}


def test_labels_may_be_text_or_whole_floats(tmp_path):
    x, y = examples(classes=3)
    names = np.array(["cat", "bird", "ant"])
    for text in (names[y], names[y][:, None], names[y].astype("S")):
        dataset = load(npz(tmp_path, x_train=x, y_train=text, x_val=x[:6], y_val=text[:6]))
        assert dataset.class_names == ("ant", "bird", "cat")
        np.testing.assert_array_equal(dataset.validation.y, 2 - y[:6])
    dataset = load(npz(tmp_path, x_train=x, y_train=names[y], class_names=names, x_val=x[:6], y_val=names[y[:6]]))
    assert dataset.class_names == ("cat", "bird", "ant")
    np.testing.assert_array_equal(dataset.validation.y, y[:6])
    for floats in (y.astype(np.float32), y[:, None].astype(float)):
        dataset = load(npz(tmp_path, x_train=x, y_train=floats, x_val=x[:6], y_val=floats[:6]))
        assert dataset.class_names == ("0", "1", "2")
        np.testing.assert_array_equal(dataset.validation.y, y[:6])
        assert dataset.validation.y.dtype == np.int64


@pytest.mark.parametrize(
    ("x", "shape", "dtype"),
    [
        (np.arange(40 * 12 * 6).reshape(40, 12, 6) % 256, (12, 6), np.int32),  # a series, whatever its values
        (np.ones((40, 8, 8, 12), int), (8, 8, 12), np.float32),  # planes of a game, no colours
        (np.arange(40 * 64).reshape(40, 8, 8, 1) % 2 == 0, (8, 8, 1), np.float32),  # yes and no, no brightness
        (np.arange(40 * 64).reshape(40, 8, 8, 1) % 2, (8, 8, 1), np.float32),
        (np.arange(40 * 30).reshape(40, 3, 10, 1) / 2, (3, 10, 1), np.float32),
    ],
)
def test_what_is_no_image_is_not_scaled(x, shape, dtype, tmp_path):
    write_prepared(load(npz(tmp_path, x_train=x, y_train=np.arange(40) % 2)), tmp_path / "prepared")
    split = read_split("train", tmp_path / "prepared")
    assert (split.x.shape[1:], split.x.dtype) == (shape, dtype)
    assert {row.tobytes() for row in split.x} <= {row.tobytes() for row in x.astype(dtype)}


def test_integers_beyond_32_bits_are_refused(tmp_path):
    with pytest.raises(InputError, match="integers of 32 bits"):
        load(npz(tmp_path, x_train=np.full((40, 3), 2**40), y_train=np.arange(40) % 2))
