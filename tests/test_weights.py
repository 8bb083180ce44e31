import pickle
import zipfile

import h5py
import numpy as np
import pytest

from prunefront import InputError, load_weights
from prunefront.common.runtime import keras
from prunefront.models.built_in import build_network
from prunefront.models.weights import check_shapes, load_masks, load_named_weights, save_masks, save_weights
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


def keras_2(path, **vars_of):
    """A file in the layout of the `.keras` files of Keras 2: for each object the shapes of its arrays."""
    with h5py.File(path, "w") as file:
        for name, shapes in vars_of.items():
            for number, shape in enumerate(shapes):
                dtype = np.int64 if shape is int else np.float32
                values = np.arange(np.prod(() if shape is int else shape)).reshape(() if shape is int else shape)
                file[f"{name.replace('.', '/')}/vars/{number}"] = values.astype(dtype)


MEAN = [(), ()]
ADAM = [int, (4, 3), (4, 3), (3,), (3,)]
DENSE = [(4, 3), (3,)]
PRUNED = [(4, 3), (4, 3), (), int]  # the kernel once more, mask, threshold, step


@pytest.mark.parametrize(
    "others",
    [
        {"metrics.mean": MEAN, "metrics.mean_metric_wrapper": MEAN, "metrics.auc": [(200,)] * 4},
        {"optimizer": ADAM, "layers.sequential.optimizer": ADAM, "layers.sequential.metrics.mean": MEAN},
        {"tracker": MEAN, "generator_optimizer": ADAM, "opt": [int]},
        {"layers.dropout.seed_generator": [(2,)]},
        {"layers.prune_low_magnitude": PRUNED, "layers.prune_low_magnitude_1": [int]},
        {"layers.sequential.layers.prune_low_magnitude_2": PRUNED},
    ],
    ids=lambda others: next(iter(others)),
)
def test_what_is_no_weight_is_not_counted(others, tmp_path):
    keras_2(tmp_path / "a.weights.h5", **{"layers.dense": DENSE, "layers.my_counter": [int]}, **others)
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.write(tmp_path / "a.weights.h5", "model.weights.h5")
    for name in ("a.weights.h5", "a.keras"):
        assert sorted(w.shape for w in load_weights(tmp_path / name)) == [(), (3,), (4, 3)]


def test_optimizers_of_any_name_are_not_counted(tmp_path):
    class Adversarial(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.other = layers.Dense(3), layers.Dense(3)
            self.d_optimizer, self.others = keras.optimizers.Adam(), [keras.optimizers.SGD(momentum=0.9)]
            self.seen = keras.metrics.Mean()

        def call(self, x):
            return self.other(self.one(x))

    model = Adversarial()
    model(np.ones((1, 3), np.float32))
    for optimizer in (model.d_optimizer, *model.others):
        optimizer.build(model.trainable_variables)
    model.save_weights(tmp_path / "a.weights.h5")
    assert_same(load_weights(tmp_path / "a.weights.h5"), model.get_weights())


@pytest.mark.filterwarnings("ignore:.*HDF5")
def test_a_compiled_model_in_a_model_brings_no_optimizer(tmp_path):
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    inner.compile("adam", "mse")
    inner.optimizer.build(inner.trainable_variables)
    model = randomized(keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)]))
    model.save_weights(tmp_path / "a.weights.h5")
    assert_same(load_weights(tmp_path / "a.weights.h5"), model.get_weights())


@pytest.mark.parametrize(("version", "place"), [(b"2.15.0", 2), ("3.15.1", 0)])
def test_the_model_s_own_weights_are_read(version, place, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"], file.attrs["keras_version"] = ["dense"], version
        for group, names in {"dense": ["kernel:0", "bias:0"], "top_level_model_weights": ["scale:0"]}.items():
            file.create_group(group).attrs["weight_names"] = names
            for name in names:
                file[f"{group}/{name}"] = np.ones(3 if name == "scale:0" else 2)
    assert [w.size for w in load_weights(tmp_path / "a.h5")].index(3) == place


def test_wrappers_of_pruning_count_as_what_they_wrap(tmp_path):
    wrapper = "prune_low_magnitude_dense"
    state = [f"{wrapper}/mask:0", f"{wrapper}/threshold:0", f"{wrapper}/pruning_step:0", f"{wrapper}/mask_1:0"]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"] = [wrapper, "my"]
        file.create_group(wrapper).attrs["weight_names"] = ["dense/kernel:0", f"{wrapper}/bias:0", *state]
        file.create_group("my").attrs["weight_names"] = ["my/mask:0"]  # a weight that happens to be called so
        for name in ("dense/kernel:0", f"{wrapper}/bias:0", *state):
            file[f"{wrapper}/{name}"] = np.ones(2)
        file["my/my/mask:0"] = np.ones(2)
    names = [f"{wrapper}/dense/kernel:0", f"{wrapper}/{wrapper}/bias:0", "my/my/mask:0"]
    assert list(load_named_weights(tmp_path / "a.h5")) == names


def test_long_lists_of_names_are_read(tmp_path):
    """Keras cuts lists that HDF5 cannot hold in one attribute."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(3):
            file.attrs[f"layer_names{number}"] = [f"dense_{number}".encode()]
            group = file.create_group(f"dense_{number}")
            group.attrs["weight_names0"], group.attrs["weight_names1"] = [b"kernel:0"], [b"bias:0"]
            group["kernel:0"], group["bias:0"] = np.full(3, number), np.full(2, number)
    assert [(w.size, w[0]) for w in load_weights(tmp_path / "a.h5")] == [(3, 0), (2, 0), (3, 1), (2, 1), (3, 2), (2, 2)]


def shared():
    inputs, twice = keras.Input((4,)), layers.Dense(4)
    base = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(), twice])
    return keras.Model(inputs, layers.Dense(2)(twice(base(inputs))))


def spectral():
    return keras.Sequential([keras.Input((4,)), layers.SpectralNormalization(layers.Dense(5))])


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file", "ignore:.*HDF5")
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("make", [shared, spectral])
def test_what_a_file_holds_twice_is_counted_once(make, suffix, tmp_path):
    model = randomized(make())
    model.save(tmp_path / f"a{suffix}")
    loaded = load_weights(tmp_path / f"a{suffix}")
    assert sorted(w.tobytes() for w in loaded) == sorted(w.tobytes() for w in model.get_weights())


def test_layers_that_name_their_variables_themselves_are_counted(tmp_path):
    class Own(layers.Dense):
        def save_own_variables(self, store):
            store["kernel"], store["bias"] = self.kernel, self.bias

    model = keras.Sequential([keras.Input((4,)), Own(3)])
    model.save_weights(tmp_path / "a.weights.h5")
    assert sorted(w.shape for w in load_weights(tmp_path / "a.weights.h5")) == [(3,), (4, 3)]


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
def test_int8_files_come_in_the_order_of_the_file(tmp_path):
    model = keras.Sequential([keras.Input((40,)), layers.Dense(8), layers.Dense(8), layers.Dense(1)])
    model.quantize("int8")
    model.save_weights(tmp_path / "a.weights.h5")
    loaded = load_weights(tmp_path / "a.weights.h5")
    assert [w.dtype.name for w in loaded] == ["int8", "float32", "float32"] * 3
    assert [w.shape for w in loaded[:3]] == [(40, 8), (8,), (8,)]  # kernel, bias, scale; Keras has the bias first


def test_compressed_arrays_are_read(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(50, 70)), np.zeros((500, 7)), rng.integers(0, 9, (10, 10)).astype(float)]
    options = [{}, {"shuffle": True, "fletcher32": True}, {"chunks": (3, 3)}]
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        for number, (array, option) in enumerate(zip(arrays, options, strict=True)):
            file.create_dataset(f"layers/dense/vars/{number}", data=array, compression="gzip", **option)
    assert_same(load_weights(tmp_path / "a.weights.h5"), arrays)


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
    others = [
        {"count": 1, "bits_0": np.zeros(1, np.uint8), "shape_0": shape} for shape in ([10**6] * 3, [9], [-3], 0.5)
    ]
    for other in ({"a": np.ones(3)}, {"count": [1, 2]}, {"count": 10**18}, {"count": np.inf}, *others):
        np.savez(tmp_path / "other.npz", **other)
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


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_file_like_another_has_the_bytes_that_keras_writes(tmp_path, dtype):
    shared = keras.layers.Dense(4, dtype=dtype)
    inputs = keras.Input((4,))
    outputs = keras.layers.BatchNormalization()(shared(keras.layers.Dropout(0.5)(shared(inputs))))
    model = keras.Model(inputs, outputs)
    save_weights(tmp_path / "first.weights.h5", model)
    model.set_weights([np.asarray(w) + 1 for w in model.get_weights()])
    written = save_weights(tmp_path / "like.weights.h5", model, like=tmp_path / "first.weights.h5")
    save_weights(tmp_path / "whole.weights.h5", model)
    assert (tmp_path / "like.weights.h5").read_bytes() == (tmp_path / "whole.weights.h5").read_bytes()
    for array, weight in zip(written.values(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, weight)
