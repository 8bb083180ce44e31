"""The submitted model as files for other runtimes: what is in them, how they are tried, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ai_edge_litert import schema_py_generated
from ai_edge_litert.interpreter import Interpreter

from prunefront import InputError, load_weights
from prunefront.common.params import load_params
from prunefront.export import export as exporting
from prunefront.export import onnx
from prunefront.export.convert import convert
from prunefront.export.formats import content_of, file_of
from prunefront.export.litert import write_litert
from prunefront.export.processes import how_it_ended
from prunefront.export.results import COLUMNS, FOLDER, TABLE
from prunefront.export.stage import export_by_hand, export_submitted
from prunefront.models.weights import save_weights
from prunefront.pruning.masks import count_zeros
from stages.export import export as command
from tests.helpers import edited, keras, layers

RNG = np.random.default_rng(0)
needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler")


def sparse_layers():
    """A network whose large kernel has three blocks of 16 inputs for each unit; every other unit leads nowhere."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1), name="pixels"),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="first-layer.1"),
            layers.Flatten(),
            layers.Dense(16, activation="relu", name="int"),
            layers.Dense(3),
        ]
    )
    rng = np.random.default_rng(0)
    weights = [(rng.random(w.shape) - 0.5 + np.sign(rng.normal(size=w.shape))) for w in model.get_weights()]
    weights[2] *= np.repeat(np.indices((9, 16)).sum(axis=0) % 3 == 0, 16, axis=0)
    weights[4][::2] = 0
    model.set_weights(weights)
    return model


def prepared(folder, model, x=None, names=("a b", "int", 'quote"\\')):
    """A project around a model whose labels are its own answers, so that it is right everywhere."""
    model.save(folder / "own.keras")
    data = folder / "data" / "prepared"
    data.mkdir(parents=True)
    x = RNG.integers(0, 256, (96, *model.input_shape[1:]), np.uint8) if x is None else x
    scores = model.predict(x.astype(np.float32) / 255 if x.dtype == np.uint8 else x, verbose=0)
    clear = np.sort(np.argsort(-np.diff(np.sort(scores)[:, -2:])[:, 0])[:48])  # no two classes that rounding could swap
    x, y = x[clear], scores[clear].argmax(axis=1)
    for split in ("train", "validation", "test"):
        np.save(data / f"{split}_x.npy", x)
        np.save(data / f"{split}_y.npy", y.astype(np.int64))
    about = {"class_names": list(names), "pixel_range": [0.0, 1.0], "streamed": False}
    (data / "about.json").write_text(json.dumps(about))
    (folder / "models").mkdir()
    save_weights(folder / "models" / "submitted.weights.h5", model)
    return folder


def parameters(folder, formats=("litert",), tolerance=0.01):
    return load_params(
        edited(
            folder,
            ("model.path", str(folder / "own.keras")),
            ("model.outputs", "logits"),
            ("export.formats", list(formats)),
            ("export.tolerance", tolerance),
        )
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    keras.utils.clear_session()
    monkeypatch.chdir(tmp_path)
    return prepared(tmp_path, sparse_layers())


@pytest.fixture
def here(monkeypatch):
    """Conversions in this process, which has imported TensorFlow."""
    monkeypatch.setattr(exporting, "answers", lambda _, task, __: (list(convert(task)), ""))


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- all formats


ALL = {
    "keras": "submitted.keras",
    "sparse": "submitted.sparse",
    "sparse_bfloat16": "submitted_bfloat16.sparse",
    "sparse_int8": "submitted_int8.sparse",
    "sparse_int6": "submitted_int6.sparse",
    "sparse_int5": "submitted_int5.sparse",
    "c": "submitted.c",
    "litert": "submitted.tflite",
    "litert_sparse": "submitted_sparse.tflite",
    "litert_dynamic": "submitted_dynamic.tflite",
    "litert_int8": "submitted_int8.tflite",
    "litert_int8_sparse": "submitted_int8_sparse.tflite",
    "onnx": "submitted.onnx",
}
LOSSLESS = ("keras", "sparse", "c", "litert", "litert_sparse", "onnx")


@needs_compiler
def test_every_format_is_written_tried_and_described(project, request):
    pytest.importorskip("onnxruntime")
    keras.utils.clear_session()
    export_submitted(parameters(project, ALL, tolerance=0.5))
    table = pd.read_csv(TABLE)
    assert list(table.columns) == COLUMNS
    assert dict(zip(table["format"], table["file"], strict=True)) == ALL
    assert {path.name for path in FOLDER.iterdir()} == {*ALL.values(), "submitted.h"}
    rows = table.set_index("format")
    for name in ALL:
        content = content_of(file_of(name, FOLDER, "submitted"))
        assert rows.loc[name, "bytes"] == len(content) > rows.loc[name, "bytes_zstd"] * 0.9
    model = keras.saving.load_model(FOLDER / "submitted.keras")
    weights = load_weights("models/submitted.weights.h5")
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("keras", "sparse", "sparse_int8"):
        assert rows.loc[name, ["zeros", "parameters"]].tolist() == [count_zeros(weights), sum(w.size for w in weights)]
    # 8 of 16 units lead nowhere and go: 40 of the convolution, 144 * 8 + 8, 8 * 3 + 3
    assert {rows.loc[name, "parameters"] for name in ("c", "litert", "litert_int8")} == {40 + 1160 + 27}
    assert rows.loc["litert", "zeros"] == rows.loc["litert_sparse", "zeros"] == rows.loc["c", "zeros"]
    for name in LOSSLESS:
        assert rows.loc[name, ["val_accuracy", "test_accuracy", "largest_difference"]].tolist() == [1, 1, 1e-5], name
    assert (rows.loc[["litert_int8", "sparse_int5"], "largest_difference"] > 1e-4).all()
    first = contents(FOLDER)
    request.getfixturevalue("here")
    keras.utils.clear_session()  # the names of layers count on within a process, as those in ONNX do anyway
    export_submitted(parameters(project, [name for name in ALL if name.startswith(("litert", "c"))], 0.5))
    for path in FOLDER.iterdir():
        assert path.read_bytes() == first[path], path


@pytest.mark.usefixtures("here")
def test_the_file_gives_what_the_model_gives(project):
    """By a reading of the file that shares nothing with the stage's."""
    export_by_hand(parameters(project), project / "models" / "submitted.weights.h5", ["litert"], project / "out")
    interpreter = Interpreter(model_path=str(project / "out" / "submitted.tflite"))
    interpreter.allocate_tensors()
    x = RNG.random((1, 6, 6, 1), np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    received = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    model = keras.saving.load_model(project / "own.keras")
    np.testing.assert_allclose(received, model.predict(x, verbose=0), rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("here")
def test_by_hand_any_weights_go_beside_what_is_there(project):
    model = keras.saving.load_model(project / "own.keras")
    np.savez("half.npz", *[w / 2 for w in model.get_weights()])
    (project / "out").mkdir()
    (project / "out" / "thesis.tex").write_text("precious")
    command(Path("half.npz"), ["litert_dynamic"], ["litert"], project / "out", _written(project))
    names = ["exports.csv", "half.tflite", "half_dynamic.tflite", "thesis.tex"]
    assert sorted(path.name for path in (project / "out").iterdir()) == names
    assert pd.read_csv(project / "out" / "exports.csv")["format"].tolist() == ["litert", "litert_dynamic"]
    for arguments, message in (
        ((Path("half.npz"), None, None), "a weight file and --to FORMAT, or neither"),
        ((None, None, ["c"]), "a weight file and --to FORMAT, or neither"),
        ((Path("half.npz"), None, ["tflite"]), "formats.0: input should be 'keras'"),
        ((Path("half.npz"), None, ["c,c"]), "formats, each once"),
        ((Path("half.npz"), None, ["litert_float16_sparse"]), "LiteRT crashes"),
        ((Path("gone.npz"), None, ["litert"]), "gone.npz, which is no file"),
    ):
        with pytest.raises(InputError, match=message):
            command(*arguments, project / "new", project / "params.yaml")
    assert not (project / "new").exists()


def _written(project):
    parameters(project)
    return project / "params.yaml"


def test_without_formats_the_stage_leaves_empty_results(project):
    parameters(project, ())
    command(None, None, None, Path("exported"), project / "params.yaml")
    assert TABLE.read_text() == ",".join(COLUMNS) + "\n"
    assert list(FOLDER.iterdir()) == []


# --- what is not kept


@pytest.fixture
def earlier(project):  # noqa: ARG001
    FOLDER.mkdir()
    (FOLDER / "submitted.c").write_text("earlier")
    TABLE.parent.mkdir()
    TABLE.write_text("earlier")
    return contents(FOLDER) | {TABLE: b"earlier"}


def kept(earlier):
    assert contents(FOLDER) | contents(TABLE.parent) == earlier
    assert not list(Path().glob("partial-*"))


@pytest.mark.usefixtures("here")
def test_a_crash_of_the_runtime_is_one_line_and_nothing_is_kept(project, earlier, tmp_path_factory, monkeypatch):
    broken = tmp_path_factory.mktemp("broken")
    (broken / "ai_edge_litert").mkdir()
    shutil.copyfile(schema_py_generated.__file__, broken / "ai_edge_litert/schema_py_generated.py")
    (broken / "ai_edge_litert/__init__.py").write_text("")
    (broken / "ai_edge_litert/interpreter.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.syspath_prepend(broken)
    line = (
        r"^litert: expected a file that LiteRT runs; leave litert out .*the runtime ended with signal 11 \(SIGSEGV\)$"
    )
    with pytest.raises(InputError, match=line):
        export_submitted(parameters(project, ["litert"]))
    kept(earlier)


def test_a_crash_of_the_converter_leaves_its_format_out_and_the_others_go_on(project, monkeypatch, capsys):
    tasks = []

    def crashes_at_the_second(_, task, __):
        tasks.append(list(task.job.files))
        done = list(convert(task))
        return (done[:1], how_it_ended(-6)) if len(tasks) == 1 else (done, how_it_ended(0))

    monkeypatch.setattr(exporting, "answers", crashes_at_the_second)
    export_submitted(parameters(project, ["litert", "litert_sparse", "litert_dynamic"]))
    assert tasks == [["litert", "litert_sparse", "litert_dynamic"], ["litert_dynamic"]]
    assert "left out is litert_sparse: Expected a model that the converter can convert. " in (
        said := capsys.readouterr().out
    )
    assert "Received: it ended with signal 6 (SIGABRT)" in said
    assert pd.read_csv(TABLE)["format"].tolist() == ["litert", "litert_dynamic"]


@pytest.mark.usefixtures("here")
def test_a_file_that_loses_accuracy_fails_the_stage(project, earlier, monkeypatch):
    def other(task):
        for one in convert(task):
            write_litert(task.job.files[one.name], negated, one.name, np.load(task.examples))
            yield one

    negated = keras.saving.load_model("own.keras")
    negated.set_weights([-w for w in negated.get_weights()])
    monkeypatch.setattr(exporting, "answers", lambda _, task, __: (list(other(task)), ""))
    with pytest.raises(InputError, match=r"^litert: expected a file that loses at most 0.01 .*instead of 1.0000$"):
        export_submitted(parameters(project, ["litert"]))
    kept(earlier)


@pytest.mark.usefixtures("here")
def test_a_compaction_that_changes_the_function_fails_the_stage(project, earlier, monkeypatch):
    def write_model(graph):
        model = plain(graph)
        model.set_weights([1.01 * w for w in model.get_weights()])
        return model

    plain = exporting.write_model
    monkeypatch.setattr(exporting, "write_model", write_model)
    with pytest.raises(InputError, match=r"compacted model to compute what the model does. .*on random examples"):
        export_submitted(parameters(project, ["litert"]))
    kept(earlier)


def test_a_missing_extra_is_named(project, earlier, monkeypatch):
    monkeypatch.setattr(onnx, "EXTRA", ("onnx", "onnxruntime_that_is_not_there"))
    with pytest.raises(InputError, match=r"pip install 'prunefront\[onnx\]'.* no package onnxruntime_that"):
        export_submitted(parameters(project, ["onnx"]))
    kept(earlier)


def test_without_a_compiler_c_is_written_but_not_run(project, capsys, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    export_submitted(parameters(project, ["c"]))
    assert "c: written, but not run. Expected a C compiler" in capsys.readouterr().out
    row = pd.read_csv(TABLE).iloc[0]
    assert row["bytes"] == sum(path.stat().st_size for path in FOLDER.iterdir())
    assert row["zeros"] > 0
    assert row[["val_accuracy", "test_accuracy", "largest_difference"]].isna().all()


def test_no_submitted_weights_is_one_line(project):
    Path("models/submitted.weights.h5").unlink()
    with pytest.raises(InputError, match=r"run `dvc repro`. Received: no file models/submitted.weights.h5"):
        export_submitted(parameters(project))


# --- models that not every format can hold


@pytest.mark.usefixtures("here")
def test_a_layer_that_c_does_not_know_is_named_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = keras.Sequential([keras.Input((4, 4)), layers.GRU(3, unroll=True, name="memory"), layers.Dense(2)])
    prepared(tmp_path, model, RNG.normal(size=(20, 4, 4)).astype(np.float32), ("a", "b"))
    export_submitted(parameters(tmp_path, ["c", "litert"]))
    said = capsys.readouterr().out
    assert "exported without compaction: " in said
    assert said.count("memory") == 2
    assert pd.read_csv(TABLE)["format"].tolist() == ["litert"]
    with pytest.raises(InputError, match=r"a format that can hold the model. Received: c: .*memory"):
        export_submitted(parameters(tmp_path, ["c"]))


def test_a_dead_model_is_said_to_be_constant(project):
    weights = load_weights("models/submitted.weights.h5")
    weights[4][:] = 0
    np.savez("dead.npz", *weights)
    constant = ", ".join(f"{value:.4g}" for value in weights[5])
    with pytest.raises(
        InputError, match=f"a dead one, every path of which is cut: its function is constant, {constant}"
    ):
        export_by_hand(parameters(project), project / "dead.npz", ["litert"], project / "out")
    assert not (project / "out").exists()


def test_weights_that_are_not_finite_are_refused(project):
    weights = load_weights("models/submitted.weights.h5")
    weights[0][0, 0, 0, 0] = np.nan
    np.savez("nan.npz", *weights)
    with pytest.raises(InputError, match=r"finite weights. Received: NaN or infinity in .*kernel"):
        export_by_hand(parameters(project), project / "nan.npz", ["litert"], project / "out")


def test_a_model_of_several_inputs_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, other = keras.Input((4,)), keras.Input((4,))
    prepared(
        tmp_path, keras.Sequential([keras.Input((4,)), layers.Dense(2)]), RNG.normal(size=(9, 4)).astype("f"), "ab"
    )
    keras.Model([one, other], layers.Dense(2)(layers.Add()([one, other]))).save("own.keras")
    with pytest.raises(InputError, match=r"a model with one input. Received: 2 inputs"):
        export_submitted(parameters(tmp_path, ["c"]))


@pytest.mark.usefixtures("here")
def test_an_input_of_no_fixed_size_goes_without_c(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pooled = [layers.Conv1D(4, 2), layers.GlobalAveragePooling1D(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((None, 3)), *pooled])
    prepared(tmp_path, model, RNG.normal(size=(9, 5, 3)).astype(np.float32), "ab")
    export_submitted(parameters(tmp_path, ["c", "litert"]))
    assert "an input of a fixed size" in capsys.readouterr().out
    assert pd.read_csv(TABLE)["format"].tolist() == ["litert"]
