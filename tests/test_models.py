"""Networks of a user's own: files, functions, keras.applications, and everything that can be wrong with them."""

import sys
import textwrap
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from prunefront import InputError
from prunefront.common.params import Model
from prunefront.common.runtime import keras
from prunefront.data.splits import Split
from prunefront.models.build import as_model_input, build_model, fingerprint, starting_weights
from prunefront.models.model_files import load_model

layers = keras.layers


def settings(**changes):
    nothing = {"path": "inputs/none", "builder": None, "code": "inputs/none", "application": None}
    return Model(**{**nothing, "weights": "inputs/none", "outputs": "auto", "trust": False, **changes})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def saved(path, *middle):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), *middle, layers.Dense(2, activation="softmax")])
    model.save(path)
    return model


OWN_LAYER = """
    import keras


    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x
"""


def own_layer(folder, name):
    """A layer of a module that the model file names; in this process it is known only while the file is written."""
    (folder / f"{name}.py").write_text(textwrap.dedent(OWN_LAYER))
    sys.path.insert(0, str(folder))
    try:
        return __import__(name).Twice()
    finally:
        sys.path.remove(str(folder))
        del sys.modules[name]


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file", "ignore:.*HDF5")
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_model_file_brings_its_weights(folder, suffix):
    model = saved(folder / f"own.{suffix}", layers.BatchNormalization())
    params = settings(path=f"own.{suffix}")
    loaded = build_model(params, (4,), 2)
    for mine, theirs in zip(starting_weights(params, loaded), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file", "ignore:.*HDF5")
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_code_in_a_file_runs_only_if_trusted(folder, suffix):
    path = folder / f"code.{suffix}"
    saved(path, layers.Lambda(lambda x: 2 * x, output_shape=(3,)))
    with pytest.raises(InputError, match=r"code of its own. Received: a Lambda layer; model.trust: true"):
        load_model(path, trust=False)
    x = np.ones((1, 4), np.float32)
    assert np.isfinite(load_model(path, trust=True).predict(x, verbose=0)).all()


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file", "ignore:.*HDF5")
def test_custom_objects_are_imported_only_if_trusted(folder):
    saved(folder / "own.keras", own_layer(folder, "twice_layers"))
    (folder / "twice_layers.py").write_text(textwrap.dedent(OWN_LAYER) + "\n\nopen('ran', 'w').close()\n")
    with pytest.raises(InputError, match=r"Received: a custom object, Twice of twice_layers; model.trust: true"):
        load_model(folder / "own.keras", trust=False)
    assert not (folder / "ran").exists()
    assert load_model(folder / "own.keras", trust=True).layers[1].name.startswith("twice")
    assert (folder / "ran").exists()
    saved(folder / "own.h5", own_layer(folder, "twice_layers"))
    with pytest.raises(InputError, match=r"set model.trust: true, and model.code to the file that defines them"):
        load_model(folder / "own.h5", trust=False)
    assert load_model(folder / "own.h5", trust=True, code=Path("twice_layers.py")).layers[1].name.startswith("twice")
    (folder / "twice_layers.py").write_text("import gone_for_good")
    sys.modules.pop("twice_layers")
    with pytest.raises(InputError, match=r"expected a module twice_layers that can be imported.*gone_for_good"):
        load_model(folder / "own.keras", trust=True)


def rezipped(path, name, change):
    """The same archive with one member changed."""
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for n, content in members.items():
            archive.writestr(n, change(content) if n == name else content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:2000]), r"expected a whole .keras file"),
        (lambda path: path.write_bytes(b""), r"expected a file with content. Received: an empty one"),
        (lambda path: path.unlink(), r"own.keras, which is no file"),
        (lambda path: rezipped(path, "config.json", lambda _: b'{"a'), r"expected a whole Keras model file"),
        (lambda path: rezipped(path, "config.json", lambda _: b"[1]"), r"that this version of Keras"),
        (lambda path: rezipped(path, "model.weights.h5", lambda b: b[:500]), r"expected a whole HDF5 weight file"),
    ],
    ids=["truncated", "empty", "absent", "config cut", "other config", "weights cut"],
)
def test_damaged_model_files_are_refused(folder, damage, message):
    path = folder / "own.keras"
    saved(path)
    damage(path)
    with pytest.raises(InputError, match=message) as caught:
        load_model(path, trust=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "config", ["not JSON", np.void(b"\xff\x00"), '{"class_name": "function", "module": 5, "config": 3}']
)
def test_h5_files_with_odd_descriptions_are_refused(folder, config):
    with h5py.File(folder / "odd.h5", "w") as file:
        file.attrs["model_config"] = config
    with pytest.raises(InputError, match=r"odd.h5: expected a") as caught:
        load_model(folder / "odd.h5", trust=False)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_unbuilt_models_and_weights_alone_are_refused(folder):
    keras.Sequential([layers.Dense(2)]).save(folder / "unbuilt.keras")
    with pytest.raises(InputError, match=r"unbuilt.keras\): expected a built model; give it a keras.Input"):
        build_model(settings(path="unbuilt.keras"), (4,), 2)
    saved(folder / "own.keras").save_weights(folder / "own.weights.h5")
    with pytest.raises(InputError, match=r"whole model, as model.save writes it. Received: weights only"):
        load_model(folder / "own.weights.h5", trust=False)


BUILDERS = """
    import keras
    from keras import layers


    def good(shape, classes):
        return keras.Sequential([keras.Input(shape), layers.Dense(classes)])

    def compiled(shape, classes):
        model = good(shape, classes)
        model.compile("sgd", "mse")
        return model

    def raises(shape, classes):
        raise RuntimeError("two\\nlines")

    def nothing(shape, classes):
        pass

    def no_arguments():
        pass

    def unbuilt(shape, classes):
        return keras.Sequential([layers.Dense(classes)])

    def without_weights(shape, classes):
        return keras.Sequential([keras.Input(shape), layers.Flatten()])

    def one_name_twice(shape, classes):
        inputs = keras.Input(shape)
        return keras.Model(inputs, layers.Dense(classes, name="a")(layers.Dense(3, name="a")(inputs)))

    def exits(shape, classes):
        raise SystemExit(3)

    def stateful(shape, classes):
        inputs = keras.Input(batch_shape=(4, 5, 2))
        return keras.Model(inputs, layers.Dense(classes)(layers.GRU(3, stateful=True)(inputs)))

    value = 3
    kept = []

    def same(shape, classes):
        kept or kept.append(good(shape, classes))
        return kept[0]
"""


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        ("raises", r"net:raises\(\(4,\), 2\) to return a Keras model. Received: RuntimeError: two lines"),
        ("nothing", r"to return a keras.Model. Received: builtins.NoneType"),
        ("no_arguments", r"Received: TypeError: no_arguments\(\) takes 0 positional arguments"),
        ("unbuilt", r"expected a built model; give it a keras.Input"),
        ("without_weights", r"expected a model with weights"),
        ("one_name_twice", r'The name "a" is used 2 times'),
        ("value", r"expected a function value in net. Received: 3"),
        ("absent", r"expected a function absent in net. Received: none of that name"),
        ("exits", r"to return a Keras model. Received: SystemExit: 3"),
        ("stateful", r"batches of any size and order. Received: a stateful layer, gru"),
    ],
)
def test_builders_that_do_not_build_are_refused(folder, builder, message):
    (folder / "net.py").write_text(textwrap.dedent(BUILDERS))
    with pytest.raises(InputError, match=message) as caught:
        build_model(settings(builder=f"net:{builder}"), (4,), 2)
    assert "\n" not in str(caught.value)


def test_a_builder_that_gives_one_model_twice_is_refused(folder):
    (folder / "net.py").write_text(textwrap.dedent(BUILDERS))
    build_model(settings(builder="net:same"), (4,), 2)
    with pytest.raises(InputError, match=r"to build a new model on each call. Received: the same one"):
        build_model(settings(builder="net:same"), (4,), 2)


def test_builders_build_anew_and_a_change_of_their_code_is_another_network(folder):
    (folder / "net.py").write_text(textwrap.dedent(BUILDERS))
    for name in ("good", "compiled"):
        params = settings(builder=f"net:{name}")
        one, other = (build_model(params, (4,), 2) for _ in range(2))
        assert one is not other
        np.testing.assert_array_equal(starting_weights(params, one)[0], one.get_weights()[0])
    before = fingerprint(params)
    assert fingerprint(params) == before
    (folder / "net.py").write_text(textwrap.dedent(BUILDERS) + "# other\n")
    assert fingerprint(params) != before
    with pytest.raises(InputError, match=r"module gone that can be imported from this folder"):
        build_model(settings(builder="gone:good"), (4,), 2)


def test_applications_take_local_weights_with_or_without_the_last_layer(folder):
    params = settings(application="MobileNetV2")
    model = build_model(params, (32, 32, 3), 3)
    assert model.output_shape == (None, 3)
    assert starting_weights(params, model) is None
    body = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), include_top=False)
    body.save_weights(folder / "body.weights.h5")
    other = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=7)
    other.save_weights(folder / "other.weights.h5")
    for name, source in (("body", body), ("other", other)):
        weights = starting_weights(settings(application="MobileNetV2", weights=f"{name}.weights.h5"), model)
        for mine, theirs in zip(weights[:-2], source.get_weights(), strict=False):
            np.testing.assert_array_equal(mine, theirs)
        assert weights[-1].shape == (3,)
    saved(folder / "mine.keras").save_weights(folder / "mine.weights.h5")
    with pytest.raises(InputError, match=r"model.weights \(mine.weights.h5\): expected weights"):
        starting_weights(settings(application="MobileNetV2", weights="mine.weights.h5"), model)
    with pytest.raises(InputError, match=r"did you mean MobileNetV2\? Received: MobilNetV2"):
        build_model(settings(application="MobilNetV2"), (32, 32, 3), 3)
    with pytest.raises(InputError, match=r"expected ResNet50 to take examples of shape \(16, 16, 3\).*at least 32x32"):
        build_model(settings(application="ResNet50"), (16, 16, 3), 3)


def test_weights_of_keras_come_in_the_model_s_order_not_the_file_s(folder):
    def build():
        inputs = keras.Input((4,))
        x = layers.Dense(4, name="first")(inputs)
        x = x + layers.MultiHeadAttention(2, 2)(x[:, None], x[:, None])[:, 0]
        return keras.Model(inputs, layers.Dense(2)(layers.Dense(4, name="second")(x)))

    model, other = build(), build()
    model.save(folder / "own.keras")
    other.save_weights(folder / "other.weights.h5")
    params = settings(path="own.keras", weights="other.weights.h5")
    for mine, theirs in zip(starting_weights(params, build_model(params, (4,), 2)), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("shape", "takes", "becomes"),
    [((28, 28, 1), (28, 28), (28, 28)), ((28, 28), (28, 28, 1), (28, 28, 1)), ((5, 3), (None, 3), (5, 3))],
)
def test_a_channel_axis_is_added_or_dropped(shape, takes, becomes):
    model = keras.Sequential([keras.Input(takes), layers.Dense(2)])
    split = as_model_input(Split(np.ones((2, *shape), np.float32), np.arange(2)), model)
    assert split.x.shape == (2, *becomes)


def test_data_that_do_not_fit_are_refused():
    images = Split(np.ones((2, 8, 8, 3), np.float32), np.arange(2))
    with pytest.raises(
        InputError, match=r"set data.image_size to \[10, 10\] and data.channels to 3. Received: \(8, 8, 3"
    ):
        as_model_input(images, keras.Sequential([keras.Input((10, 10, 3)), layers.Flatten(), layers.Dense(2)]))
    tokens = keras.Sequential([keras.Input((5,), dtype="int32"), layers.Embedding(10, 3), layers.Flatten()])
    whole = Split(np.ones((2, 5), np.float32), np.arange(2))
    assert as_model_input(whole, tokens).x.dtype == np.int32
    with pytest.raises(InputError, match=r"whole numbers, the model takes int32"):
        as_model_input(Split(whole.x / 2, whole.y), tokens)
    one, other = keras.Input((5,)), keras.Input((5,))
    with pytest.raises(InputError, match=r"a model with one input. Received: 2"):
        as_model_input(whole, keras.Model([one, other], one + other))
    fixed = keras.Sequential([keras.Input((5,), batch_size=4), layers.Dense(2)])
    with pytest.raises(InputError, match=r"batches of any size.*Received: an input of shape \(4, 5\)"):
        as_model_input(whole, fixed)
