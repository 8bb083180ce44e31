"""Network and data, looked at together: what images are scaled to, and what is refused at once."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from prunefront import InputError
from prunefront.common.params import load_params
from prunefront.common.runtime import keras
from prunefront.graph.forward import difference_of
from prunefront.models.first_look import first_look
from prunefront.models.scaling import scaling_layer
from prunefront.tools.inspection import print_inspection
from prunefront.tools.new import Ingredients, write_project
from stages.pareto import pareto
from stages.prepare import prepare
from tests.faults.corpus import Fault, refused
from tests.helpers import edited

layers = keras.layers
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 12, 12, 3), dtype=np.uint8)
LABELS = np.arange(60) % 3


def network(*first, shape=(12, 12, 3)):
    """A classifier that does something to its input first."""
    body = [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    return keras.Sequential([keras.Input(shape), *first, *body])


def functional(first):
    inputs = keras.Input((12, 12, 3))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Conv2D(4, 3)(first(inputs)))))


class Own(keras.Model):
    """Scales in its code, or in a layer of it."""

    def __init__(self, by_layer):
        super().__init__()
        self.last, self.by_layer = layers.Dense(3), by_layer
        if by_layer:
            self.scaling = layers.Rescaling(1 / 255, name="mine")
        self(np.zeros((1, 12, 12, 3), np.float32))

    def call(self, x):
        return self.last(keras.ops.mean(self.scaling(x) if self.by_layer else x / 255.0, (1, 2)))


def adapted(images):
    layer = layers.Normalization(name="adapted")
    layer.adapt(images.astype(np.float32))
    return layer


def trained_on(mean, variance):
    model = network(layers.BatchNormalization(name="statistics"))
    model.get_layer("statistics").set_weights([np.ones(3), np.zeros(3), np.full(3, mean), np.full(3, variance)])
    return model


preprocess = keras.applications


@pytest.mark.filterwarnings("ignore:In the future `np.object`")
@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (lambda: network(), None),
        (lambda: network(layers.Rescaling(1 / 255, name="rescaling")), "rescaling"),
        (lambda: network(layers.RandomFlip(), layers.Rescaling(1 / 127.5, -1, name="r")), "r"),
        (lambda: network(layers.Rescaling(2, -1)), None),  # takes [0, 1]
        (lambda: network(adapted(IMAGES)), "adapted"),
        (lambda: network(adapted(IMAGES / 255)), None),
        (lambda: trained_on(120, 70**2), "statistics"),
        (lambda: trained_on(0.5, 0.3**2), None),
        (lambda: network(layers.LayerNormalization()), None),  # takes any
        (lambda: functional(keras.Sequential([layers.Rescaling(1 / 255, name="in")], name="head")), "head/in"),
        (lambda: functional(lambda x: x / 255), "true_divide"),
        (lambda: functional(preprocess.mobilenet_v2.preprocess_input), "true_divide"),
        (lambda: functional(preprocess.densenet.preprocess_input), "true_divide"),
        (lambda: functional(preprocess.resnet50.preprocess_input), "add"),  # only subtracts
        (lambda: Own(by_layer=True), "mine"),
        (lambda: Own(by_layer=False), "the code of the model"),
    ],
)
def test_what_scales_images_inside_a_network_is_found(make, layer):
    found = scaling_layer(make(), (1, 12, 12, 3))
    assert found is layer if layer is None else found.rstrip("_0123456789") == layer


@pytest.mark.parametrize(
    ("application", "layer"),
    [("MobileNetV3Small", "rescaling"), ("ConvNeXtTiny", "convnext_tiny_prestem_normalization"), ("MobileNetV2", None)],
)
def test_networks_of_keras_are_known_for_what_they_scale(application, layer):
    model = getattr(keras.applications, application)(weights=None, input_shape=(32, 32, 3), classes=3)
    found = scaling_layer(model, (1, 32, 32, 3))
    assert found is layer if layer is None else found.rstrip("_0123456789") == layer


# --- the same from parameters


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a model file and images; its parameters by what differs."""
    monkeypatch.chdir(tmp_path)
    network(layers.Rescaling(1 / 255, name="inside")).save("scaling.keras")
    network().save("plain.keras")
    keras.Sequential([keras.Input((12, 12, 3), dtype="uint8"), *network(layers.Rescaling(1 / 255)).layers]).save(
        "whole.keras"
    )
    np.savez("own.npz", x_train=IMAGES, y_train=LABELS)

    def params(model, *edits, **arrays):
        if arrays:
            np.savez("own.npz", **{"x_train": IMAGES, "y_train": LABELS, **arrays})
        data = ("data.source", "npz"), ("data.path", "own.npz"), ("data.image_size", None)
        return edited(tmp_path, *data, ("model.path", f"{model}.keras"), *edits)

    return params


def said(capsys, path):
    """What `inspect` warns of, after a check that `prepare` says the same and writes the range that it names."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prepare(path)
    capsys.readouterr()
    print_inspection(path)
    printed = capsys.readouterr().out
    for one in caught:
        assert f"warning: {one.message}" in printed
    about = json.loads((path.parent / "data" / "prepared" / "about.json").read_text())
    return about["pixel_range"], " ".join(str(one.message) for one in caught)


@pytest.mark.parametrize(
    ("model", "pixel_range", "written", "warning"),
    [
        ("scaling", "auto", [0, 255], ""),
        ("scaling", [0, 255], [0, 255], ""),
        ("scaling", None, None, ""),
        ("whole", None, None, ""),
        ("scaling", [0, 1], [0, 1], "inside scales images from 0 to 255 inside the network, and data.pixel_range is "
         "[0, 1]; say auto or [0, 255] there"),
        ("plain", "auto", [0, 1], ""),
        ("plain", [-1, 1], [-1, 1], ""),
        ("plain", [0, 255], [0, 255], ""),
        ("whole", "auto", [0, 255], ""),
    ],
)  # fmt: skip
def test_images_are_scaled_to_what_the_network_takes(model, pixel_range, written, warning, project, capsys):
    assert said(capsys, project(model, ("data.pixel_range", pixel_range))) == (written, warning)


@pytest.mark.parametrize(
    ("x", "model", "warning"),
    [
        (IMAGES.astype(np.float32), "scaling", ""),
        (IMAGES / 255, "plain", ""),
        (
            IMAGES / 255,
            "scaling",
            "takes images from 0 to 255, the float64 images go from 0 to 1 and are fed as they are",
        ),
        (IMAGES * 16.0, "plain", "the float64 images go from 0 to 4080 and are fed as they are"),
        (IMAGES // 128, "plain", "no value above 1 of 255"),
        (IMAGES[..., 0].astype(int), "grey", "int64 examples of shape (12, 12) from 0 to 255 are fed as they are"),
    ],
)
def test_values_that_may_be_meant_otherwise_are_said(x, model, warning, project, capsys):
    network(layers.Reshape((12, 12, 1)), shape=(12, 12)).save("grey.keras")
    _, found = said(capsys, project(model, x_train=x))
    assert warning in found
    assert bool(warning) == bool(found)


def test_channels_in_front_are_for_a_network_that_takes_them_so(project, capsys, tmp_path):
    """Whatever is made for the shape of the data would take three rows of many channels."""
    front = IMAGES.transpose(0, 3, 1, 2)
    network(layers.Permute((2, 3, 1)), shape=(3, 12, 12)).save("front.keras")
    assert said(capsys, project("front", x_train=front)) == ([0, 1], "")
    (tmp_path / "made.py").write_text(
        "import keras\nfrom keras import layers\n\n\ndef build(shape, classes):\n"
        "    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(classes)])\n"
    )
    made = ("model.path", "inputs/none"), ("model.builder", "made:build"), ("model.code", "made.py")
    with pytest.raises(InputError, match=r"x.transpose.*with the channels in front"):
        prepare(project("none", *made, x_train=front))
    assert said(capsys, project("none", *made, ("data.pixel_range", None), x_train=front)) == (None, "")
    _, found = said(capsys, project("none", *made, x_train=front / 255))
    assert "look like images with the channels in front" in found


def test_what_is_no_uint8_image_is_fed_as_it_is_whatever_the_range(project, capsys):
    """The range of the default of earlier versions stands in many projects, whose data it has nothing to do with."""
    old = ("data.pixel_range", [0, 1])
    table = RNG.normal(100, 50, (60, 4)).astype(np.float32)
    model = keras.Sequential([keras.Input((4,)), layers.Normalization(), layers.Dense(3)])
    model.layers[0].adapt(table)
    model.save("table.keras")
    assert said(capsys, project("table", old, x_train=table)) == ([0, 1], "")
    assert said(capsys, project("scaling", old, x_train=IMAGES.astype(np.float32))) == ([0, 1], "")
    sequence((4,), layers.Embedding(7, 2)).save("tokens.keras")
    tokens = np.stack(np.unravel_index(np.arange(60) * 40, (7,) * 4), axis=1)  # no two rows alike
    assert said(capsys, project("tokens", ("runtime.portable", False), x_train=tokens)) == ([0, 1], "")


@pytest.mark.parametrize(
    ("rare", "gate", "warning"),
    [
        (3, 0.6, "85.0% of the validation examples are of class dog, so that a network that always says so has that "
         "accuracy, which is above pareto.gate, 0.6: accuracies tell little here"),
        (3, 0.9, "85.0% of the validation examples are of class dog, so that a network that always says so has that "
         "accuracy: accuracies tell little here"),
        (7, 0.6, "which is above pareto.gate, 0.6"),
        (7, 0.7, ""),
    ],
)  # fmt: skip
def test_a_class_that_is_nearly_everything_is_said(rare, gate, warning, project, capsys):
    keras.Sequential([keras.Input((12, 12, 3)), layers.Flatten(), layers.Dense(2)]).save("plain.keras")
    y = np.where(np.arange(60) % 20 < rare, "cat", "dog")
    _, found = said(capsys, project("plain", ("pareto.gate", gate), y_train=y, x_val=255 - IMAGES[:20], y_val=y[:20]))
    assert warning in found
    assert bool(warning) == bool(found)


def test_the_last_stage_says_it_too(monkeypatch, tmp_path):
    validation = SimpleNamespace(y=np.arange(20) // 18)
    chosen = {"seed": 0}, True
    for name, value in {
        "prunefront.frontier.submission.load_frontier": None,
        "prunefront.frontier.submission.load_baselines": None,
        "prunefront.frontier.submission.choose": chosen,
        "prunefront.frontier.submission.noted_warnings": [],
        "prunefront.frontier.submission.submit": None,
        "prunefront.common.provenance.write_provenance": None,
        "prunefront.pipeline.run.open_run": SimpleNamespace(validation=validation),
        "prunefront.data.splits.read_class_names": ("cat", "dog"),
    }.items():
        monkeypatch.setattr(name, lambda *_, value=value, **__: value)
    with pytest.warns(UserWarning, match=r"90.0% of the validation examples are of class cat"):
        pareto(edited(tmp_path))


def lora():
    model = network()
    model.layers[-1].enable_lora(2)
    return model


def quantized():
    model = network()
    model.layers[-1].quantize("int8")
    return model


def sequence(shape, *body, units=3):
    return keras.Sequential([keras.Input(shape), *body, layers.Flatten(), layers.Dense(units)])


TOKENS = np.arange(60 * 4).reshape(60, 4) % 7
FLIPPED = ("recipes.plain.flip", True)
REFUSED = {
    "floats to 255": (network, {"x_train": IMAGES * 0.999}, (), r"floats in \[0, 1\].*astype.*null.*from 0 to 254.745"),
    "channels first": (network, {"x_train": IMAGES.transpose(0, 3, 1, 2) / 255}, (), r"x.transpose\(0, 2, 3, 1\)"),
    "outputs": (lambda: sequence((12, 12, 3), units=4), {}, (), r"no classification.*each of 3 classes. Received: 4"),
    "nothing prunable": (
        network,
        {},
        (("prune.include", ["conv2d*"]), ("prune.exclude", ["*"])),
        r"nothing is prunable",
    ),
    "unknown layer": (network, {}, (("prune.exclude", ["haed"]),), r"Received: 'haed', which no layer has"),
    "flipped series": (lambda: sequence((4,)), {"x_train": TOKENS}, (FLIPPED,), r"baseline: expected images to flip"),
    "last token": (
        lambda: sequence((4,), layers.Embedding(7, 2)),
        {"x_train": TOKENS, "x_test": TOKENS[:6] + 1, "y_test": LABELS[:6]},
        (),
        r"a model that takes the data. Received: .*is not in \[0, 7\)",
    ),
    "lora": (lora, {}, (), r"without LoRA, .*merges the adapters into a file.*Received: adapters in dense"),
    "quantized": (quantized, {}, (), r"prune first, quantize then. Received: a quantized layer, dense"),
    "weights": (network, {}, (("model.weights", "own.npz"),), r"expected 4 weight arrays for the network. Received: 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_next_stage_would_refuse_prepare_does(name, project, tmp_path):
    make, arrays, edits, message = REFUSED[name]
    make().save("bad.keras")
    path = project("bad", *edits, x_train=IMAGES) if not arrays else project("bad", *edits, **arrays)
    refused(Fault(lambda _: path, prepare, message), tmp_path)


def test_merged_adapters_are_starting_weights_of_the_network_without_them(project):
    model = lora()
    factors = [v for v in model.weights if "lora" in v.path]
    assert len(factors) == 2
    for variable in factors:
        variable.assign(RNG.normal(size=variable.shape))
    model.save_weights("merged.weights.h5")
    look = first_look(load_params(project("plain", ("model.weights", "merged.weights.h5"))), IMAGES[:2], 3)
    x = IMAGES[:4].astype(np.float32)
    assert difference_of(np.asarray(model(x)), np.asarray(look.model(x))) <= 1e-5


def test_a_saved_model_is_called_one(project, tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    path = project("plain", ("model.path", "saved"))
    refused(Fault(lambda _: path, prepare, r"with the Keras that wrote it, and model.save.*a SavedModel"), tmp_path)
    new = Fault(
        lambda folder: Ingredients(model=folder / "saved"),
        lambda bad: write_project(tmp_path / "new", bad),
        r"load a SavedModel with the Keras that wrote it, and model.save",
    )
    refused(new, tmp_path)


@pytest.mark.long
def test_published_weights_of_networks_that_do_not_scale_say_what_they_take(tmp_path):
    images = RNG.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=3).save_weights(
        tmp_path / "own.weights.h5"
    )
    own = ("model.application", "MobileNetV2"), ("model.weights", str(tmp_path / "own.weights.h5"))
    look = first_look(load_params(edited(tmp_path, *own)), images, 3)
    assert (look.pixel_range, look.doubts) == ((-1, 1), ())
    look = first_look(load_params(edited(tmp_path, *own, ("data.pixel_range", [0, 1]))), images, 3)
    assert look.pixel_range == (0, 1)
    assert (
        "the published weights of MobileNetV2 take images in [-1, 1], and data.pixel_range is [0, 1]" in look.doubts[0]
    )
    look = first_look(load_params(edited(tmp_path, own[0])), images, 3)
    assert (look.pixel_range, look.doubts) == ((0, 1), ())


def test_layers_that_no_setting_pins_are_told_where_portable_results_are_asked_for(tmp_path):
    network(layers.Conv2D(4, 3, dilation_rate=2)).save(tmp_path / "dilated.keras")
    asked, not_asked = (
        load_params(edited(tmp_path, ("model.path", str(tmp_path / "dilated.keras")), ("runtime.portable", portable)))
        for portable in (True, False)
    )
    told = "runtime.portable: another kind of machine may give other results, by its rounding in Conv2D with dilation"
    assert told in first_look(asked, IMAGES, 3).doubts
    assert told not in first_look(not_asked, IMAGES, 3).doubts
