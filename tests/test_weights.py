import pickle
import zipfile

import h5py
import numpy as np
import pytest

from prunefront import InputError, load_weights
from prunefront.common.runtime import keras
from prunefront.models.built_in import build_network
from prunefront.models.weights import check_shapes, load_masks, save_masks, save_weights
from tests.helpers import deep, randomized

layers = keras.layers


def attention():
    token = keras.Input((5,))
    recurrent = layers.LSTM(3)(layers.Embedding(7, 4)(token))
    attended = layers.MultiHeadAttention(2, 3)(layers.Embedding(7, 4)(token), layers.Embedding(7, 4)(token))
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.BatchNormalization()])
    joined = layers.Concatenate()([inner(recurrent), layers.Flatten()(attended)])
    return randomized(keras.Model(token, layers.Dense(2)(joined)))


def separable():
    stack = [layers.Dense(2), layers.SeparableConv2D(3, 3), layers.Dropout(0.5), layers.Conv2D(20, 3), layers.Dense(9)]
    return randomized(keras.Sequential([keras.Input((8, 8, 1)), *stack]))


def assert_same(loaded, weights):
    assert len(loaded) == len(weights)
    for one, other in zip(loaded, weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", [deep, separable])
def test_keras_files_load_in_model_order(make, tmp_path):
    model = make()
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save_weights(tmp_path / "a.weights.h5")
    assert_same(load_weights(tmp_path / "a.weights.h5"), model.get_weights())


@pytest.mark.parametrize("make", [attention, deep, separable])
def test_own_files_load_in_model_order_and_into_keras(make, tmp_path):
    model = make()
    save_weights(tmp_path / "a.weights.h5", model)
    assert_same(load_weights(tmp_path / "a.weights.h5"), model.get_weights())
    other = make()
    other.set_weights([w * 0 for w in other.get_weights()])
    other.load_weights(tmp_path / "a.weights.h5")
    assert_same(other.get_weights(), model.get_weights())


def test_a_whole_keras_3_model_gives_its_weights(tmp_path):
    model = deep()
    model.save(tmp_path / "model.keras")
    assert_same(load_weights(tmp_path / "model.keras"), model.get_weights())
    whole = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[:3000])
    with pytest.raises(InputError, match=r"whole \.keras file"):
        load_weights(tmp_path / "cut.keras")


def test_a_whole_keras_2_model_gives_its_weights(tmp_path, dense_file):
    with h5py.File(dense_file) as source, h5py.File(tmp_path / "model.h5", "w") as file:
        group = file.create_group("model_weights")
        for name in source:
            source.copy(name, group)
        group.attrs["layer_names"] = source.attrs["layer_names"]
    assert_same(load_weights(tmp_path / "model.h5"), load_weights(dense_file))


def test_npz_loads_in_the_order_saved(tmp_path):
    weights = [np.full(2, i, np.float32) for i in range(12)]
    np.savez_compressed(tmp_path / "a.npz", *weights)
    np.testing.assert_array_equal(load_weights(tmp_path / "a.npz"), weights)


def test_saving_twice_gives_the_same_bytes_and_no_optimizer(tmp_path):
    model = build_network((10, 10, 1), 2)
    for name in ("a", "b"):
        save_weights(tmp_path / f"{name}.weights.h5", model)
    assert (tmp_path / "a.weights.h5").read_bytes() == (tmp_path / "b.weights.h5").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.weights.h5", "b.weights.h5"]


def test_a_failing_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    model = build_network((10, 10, 1), 2)
    path = tmp_path / "a.weights.h5"
    save_weights(path, model)
    before = path.read_bytes()
    monkeypatch.setattr("prunefront.models.weights._differ", lambda *_: True)
    with pytest.raises(InputError, match="something else when read back"):
        save_weights(path, model)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.weights.h5"]


def test_masks_are_kept_bit_by_bit(tmp_path):
    masks = [np.array([[True, False, True]] * 3), np.array([], bool), np.array(False), np.ones(17, bool)]
    save_masks(tmp_path / "masks.npz", masks)
    for mask, loaded in zip(masks, load_masks(tmp_path / "masks.npz"), strict=True):
        assert loaded.dtype == bool
        np.testing.assert_array_equal(mask, loaded)
    np.savez(tmp_path / "other.npz", np.ones(3))
    with pytest.raises(InputError, match="expected masks written by save_masks"):
        load_masks(tmp_path / "other.npz")


def bad_files(folder):
    rng = np.random.default_rng(0)
    np.savez(folder / "whole.npz", rng.normal(size=1000))
    (folder / "cut.npz").write_bytes((folder / "whole.npz").read_bytes()[:500])
    with h5py.File(folder / "whole.h5", "w") as file:
        file["layers/dense/vars/0"] = rng.normal(size=1000)
    (folder / "cut.h5").write_bytes((folder / "whole.h5").read_bytes()[:3000])
    (folder / "text.weights.h5").write_text("not a weight file")
    (folder / "weights.pkl").write_bytes(pickle.dumps([1]))
    (folder / "pickle.npz").write_bytes(pickle.dumps([1]))
    np.savez(folder / "objects.npz", np.array([{}], object))
    np.savez(folder / "words.npz", np.array(["a"]))
    np.savez(folder / "empty.npz")
    with h5py.File(folder / "empty.h5", "w"):
        pass
    with zipfile.ZipFile(folder / "other.npz", "w") as archive:
        archive.writestr("a.txt", "no array")
    (folder / "folder.h5").mkdir()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.h5", "is no file"),
        ("folder.h5", "is no file"),
        ("cut.npz", "whole .npz"),
        ("cut.h5", "whole HDF5"),
        ("text.weights.h5", "whole HDF5"),
        ("weights.pkl", "ending in"),
        ("pickle.npz", "never loaded"),
        ("objects.npz", "never loaded"),
        ("words.npz", "expected numbers"),
        ("other.npz", "expected"),
        ("empty.npz", "holds none"),
        ("empty.h5", "holds none"),
    ],
)
def test_bad_files_are_refused_in_one_line(name, message, tmp_path):
    bad_files(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        load_weights(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert "Received:" in str(caught.value)


def test_weights_that_do_not_fit_are_named():
    model = build_network((10, 10, 1), 2)
    weights = model.get_weights()
    with pytest.raises(InputError, match=r"mine: expected 12 weight arrays.*Received: 11"):
        check_shapes(weights[:-1], model, "mine")
    with pytest.raises(InputError, match=r"mine: expected network/conv1/kernel of shape \(3, 3, 1, 32\)"):
        check_shapes([weights[2], *weights[1:]], model, "mine")
    weights[3][0] = np.nan
    with pytest.raises(InputError, match=r"infinity in network/conv2/bias"):
        check_shapes(weights, model, "mine")
