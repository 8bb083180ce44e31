"""Networks of a user's own: files, functions, keras.applications, and everything that can be wrong with them."""

import sys
import textwrap
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from prunefront import InputError
from prunefront.common.runtime import keras
from prunefront.common.sections import Model
from prunefront.data.splits import Split
from prunefront.models.build import as_model_input, build_model, fingerprint, starting_weights
from prunefront.models.model_files import load_model
from tests.helpers import randomized

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
        (lambda path: rezipped(path, "config.json", lambda _: b'{"a'), r"expected a whole .keras file"),
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


@pytest.mark.parametrize("suffix", [".weights.h5", pytest.param(".h5", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNet"])  # the head is Dense, or a convolution and a Reshape
def test_applications_take_local_weights_with_or_without_the_last_layer(folder, name, suffix):
    params = settings(application=name)
    model = build_model(params, (32, 32, 3), 3)
    assert model.output_shape == (None, 3)
    assert starting_weights(params, model) is None
    make = getattr(keras.applications, name)
    sources = {
        "body": make(weights=None, input_shape=(32, 32, 3), include_top=False),
        "other": make(weights=None, input_shape=(32, 32, 3), classes=7),
        "same": make(weights=None, input_shape=(32, 32, 3), classes=3),
    }
    for kind, source in sources.items():
        save_as(randomized(source), folder / f"{kind}{suffix}")
        before = model.get_weights()[-2:]
        weights = starting_weights(settings(application=name, weights=f"{kind}{suffix}"), model)
        given = source.get_weights() if kind != "other" else source.get_weights()[:-2]
        for mine, theirs in zip(weights, given, strict=False):
            np.testing.assert_array_equal(mine, theirs)
        for mine, fresh in zip(weights[len(given) :], before, strict=False):
            np.testing.assert_array_equal(mine, fresh)
    assert [w.shape for w in weights] == [w.shape for w in model.get_weights()]


def test_applications_refuse_other_weights_and_other_names(folder):
    model = build_model(settings(application="MobileNetV2"), (32, 32, 3), 3)
    saved(folder / "mine.keras")
    for suffix in (".weights.h5", ".h5"):
        save_as(saved(folder / "mine.keras"), folder / f"mine{suffix}")
        with pytest.raises(InputError, match=rf"model.weights \(mine{suffix}\): expected weights"):
            starting_weights(settings(application="MobileNetV2", weights=f"mine{suffix}"), model)
    wide = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=7, alpha=1.3)
    save_as(wide, folder / "wide.h5")
    with pytest.raises(InputError, match=r"weights for all layers of MobileNetV2 but the last. Received: none for"):
        starting_weights(settings(application="MobileNetV2", weights="wide.h5"), model)
    with pytest.raises(InputError, match=r"did you mean MobileNetV2\? Received: MobilNetV2"):
        build_model(settings(application="MobilNetV2"), (32, 32, 3), 3)
    with pytest.raises(InputError, match=r"expected ResNet50 to take examples of shape \(16, 16, 3\).*at least 32x32"):
        build_model(settings(application="ResNet50"), (16, 16, 3), 3)


def nested_frozen():
    base = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.Dense(4)])
    base.layers[0].trainable = False
    return keras.Sequential([keras.Input((4,)), base, layers.Dense(2)])


def nested_normalized():
    base = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(4)])
    return keras.Sequential([keras.Input((4,)), base, layers.BatchNormalization(), layers.Dense(2)])


def bidirectional():
    recurrent = [layers.Reshape((2, 2)), layers.Bidirectional(layers.LSTM(2)), layers.BatchNormalization()]
    return keras.Sequential([keras.Input((4,)), *recurrent, layers.Dense(2)])


def attention_between_dense():
    inputs = keras.Input((4,))
    x = layers.Dense(4, name="first")(inputs)
    x = x + layers.MultiHeadAttention(2, 2)(x[:, None], x[:, None])[:, 0]
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(4, name="second")(x)))


def shared():
    inputs, twice = keras.Input((4,)), layers.Dense(4)
    base = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(), twice])
    return keras.Model(inputs, layers.Dense(2)(twice(base(inputs))))


class OwnWeight(keras.Model):
    def __init__(self):
        super().__init__()
        self.last, self.first = layers.Dense(2), layers.Dense(4)
        self.scale = self.add_weight(shape=(4,), name="scale")
        self(np.ones((1, 4), np.float32))

    def call(self, x):
        return self.last(self.scale * self.first(x))


def save_as(model, path):
    """Writes the weights alone, in the layout that the suffix names: the legacy one is that of Keras 2."""
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, model)
    else:
        model.save(path)


NETWORKS = [nested_frozen, nested_normalized, bidirectional, attention_between_dense, shared, OwnWeight]


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.parametrize("make", NETWORKS)
def test_the_pipeline_starts_with_what_keras_loads(folder, make, suffix):
    source, by_keras, ours = (randomized(make(), seed) for seed in range(3))
    save_as(source, folder / f"given{suffix}")
    by_keras.load_weights(folder / f"given{suffix}")
    start = starting_weights(settings(builder="any:one", weights=f"given{suffix}"), ours)
    for mine, theirs, written in zip(start, by_keras.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(mine, written)


def test_the_built_in_network_starts_with_what_keras_loads_too(folder):
    source, ours = (randomized(build_model(settings(), (10, 10, 1), 2), seed) for seed in range(2))
    for suffix in (".weights.h5", ".h5"):
        save_as(source, folder / f"given{suffix}")
        start = starting_weights(settings(weights=f"given{suffix}"), ours)
        for mine, written in zip(start, source.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, written)


@pytest.mark.parametrize(
    ("layout", "name"), [(".h5", "given.weights.h5"), (".h5", "given.hdf5"), (".weights.h5", "given.h5")]
)
def test_a_layout_is_told_by_the_content_not_by_the_name(folder, layout, name):
    source, ours = (randomized(nested_normalized(), seed) for seed in range(2))
    save_as(source, folder / f"other{layout}")
    (folder / f"other{layout}").rename(folder / name)
    start = starting_weights(settings(builder="any:one", weights=name), ours)
    for mine, written in zip(start, source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, written)


class Blocks(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [[layers.Dense(4)], [layers.Dense(2)]]
        self(np.ones((1, 4), np.float32))

    def call(self, x):
        return self.blocks[1][0](self.blocks[0][0](x))


def test_weights_that_keras_would_leave_random_are_refused(folder):
    """Older versions of Keras 3 leave out the layers of lists in lists; this one only warns of it."""
    model = Blocks()
    model.save_weights(folder / "given.weights.h5")
    params = settings(builder="any:one", weights="given.weights.h5")
    for mine, written in zip(starting_weights(params, Blocks()), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, written)
    with h5py.File(folder / "given.weights.h5", "r+") as file:
        del file["blocks"]
        file["vars/0"] = np.ones(3)
    with pytest.raises(InputError, match=r"expected weights of this network. Received: UserWarning: Skipping nested"):
        starting_weights(params, Blocks())


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_what_keras_refuses_is_refused(folder, suffix):
    save_as(nested_frozen(), folder / f"given{suffix}")
    with pytest.raises(InputError, match=r"expected weights of this network. Received: ValueError") as caught:
        starting_weights(settings(builder="any:one", weights=f"given{suffix}"), nested_normalized())
    assert "\n" not in str(caught.value)


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
