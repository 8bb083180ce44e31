"""A network of another kind that others imitate: where it comes from, what it sees, and what it teaches."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prunefront import InputError
from prunefront.common.params import load_params
from prunefront.common.provenance import relevant
from prunefront.common.runtime import keras
from prunefront.data.splits import Split
from prunefront.models.built_in import build_network
from prunefront.models.outputs import LOGITS, Outputs
from prunefront.models.residual import build_residual
from prunefront.models.weights import load_weights
from prunefront.pipeline.done import made_from
from prunefront.pipeline.run import open_run
from prunefront.pipeline.store import rows_file
from prunefront.training.progress import Progress
from prunefront.training.teachers import Teachers, distil
from prunefront.training.trainer import Trainer, compile_classifier
from stages.baseline import baseline
from stages.masked import masked
from stages.prepare import prepare
from stages.teacher import teacher
from tests.faults.corpus import Fault, refused
from tests.helpers import IMAGES, PLAIN, TRAINING, edited, recipe

layers = keras.layers
RESIDUAL = ("teacher.builder", "prunefront.models.residual:build_residual")
TAUGHT = ("recipes.plain.distillation", 1.0), ("recipes.plain.teacher", "own")


def make_small():
    return build_network((10, 10, 1), 4, 0.1)


def small_trainer(**changes):
    return replace(Trainer(make_small, IMAGES, IMAGES, 0, PLAIN, Progress("test", 9)), **changes)


def always(number, classes=3, shape=(12, 12, 3)):
    """A network that takes everything for one class, by logits of 4 and 0."""
    model = keras.Sequential([keras.Input(shape), layers.GlobalAveragePooling2D(), layers.Dense(classes)])
    model.set_weights([np.zeros((shape[-1], classes), np.float32), 4 * np.eye(classes, dtype=np.float32)[number]])
    return model


def test_without_a_choice_the_last_epoch_counts_and_no_validation_label_does():
    other = Split(IMAGES.x, np.roll(IMAGES.y, 7))
    training = TRAINING.model_copy(update={"learning_rate": 0.01})
    one, two = (small_trainer(validation=split) for split in (IMAGES, other))
    last = one.fit_keeping(None, training, training.epochs)[1]
    for trainer in (one, two):
        for got, expected in zip(trainer.fit(None, training, choose=False), last, strict=True):
            np.testing.assert_array_equal(got, expected)
    chosen = [trainer.fit(None, training) for trainer in (one, two)]
    assert any(not np.array_equal(a, b) for a, b in zip(*chosen, strict=True))  # these labels do choose


def test_without_a_choice_averaged_weights_are_those_at_the_end():
    training = TRAINING.model_copy(update={"learning_rate": 0.01, "epochs": 1})
    averaged = small_trainer(recipe=recipe(averaged=0.5))
    chosen, last = (averaged.fit(None, training, choose=choose) for choose in (True, False))
    plain = small_trainer().fit(None, training)
    for got, expected in zip(last, chosen, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert not np.array_equal(last[0], plain[0])


def test_a_teacher_of_probabilities_is_imitated_by_a_student_of_logits_by_hand():
    student = keras.Sequential([keras.Input((1,)), layers.Dense(2, use_bias=False)])
    teacher_ = keras.Sequential([keras.Input((1,)), layers.Dense(2, "softmax", use_bias=False)])
    student.set_weights([np.zeros((1, 2), np.float32)])
    teacher_.set_weights([np.array([[np.log(3), 0]], np.float32)])  # 3/4 and 1/4
    compile_classifier(student, keras.optimizers.SGD(1.0))
    distil(student, LOGITS, [teacher_], Outputs(logits=False), 1.0, 1.0)
    student.fit(np.ones((1, 1), np.float32), np.array([1]), verbose=0)
    np.testing.assert_allclose(student.get_weights()[0], [[0.25, -0.25]], atol=1e-6)  # what is said less 1/2


def test_the_work_of_a_teacher_is_counted_in_passes_of_the_student():
    training = TRAINING.model_copy(update={"epochs": 2})
    taught = small_trainer(
        recipe=recipe(distillation=0.5), teachers=Teachers(make_small, [make_small().get_weights()], passes=2.5)
    )
    taught.fit(None, training)
    assert taught.cost.forward_passes == 2 * 32 * 3 + 2 * 32 * 2.5


def test_the_residual_network():
    for shape, classes in (((25, 25, 3), 5), ((10, 10, 1), 10), ((3, 5, 3), 2)):
        model = build_residual(shape, classes)
        outputs = model(np.zeros((2, *shape), np.float32))
        assert (outputs.shape, str(outputs.dtype)) == ((2, classes), "<dtype: 'float32'>")
    assert 300_000 < model.count_params() < 5_000_000
    with pytest.raises(InputError, match=r"Expected images of shape .*Received: examples of shape \(7,\)"):
        build_residual((7,), 2)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes parameters and data of 12x12 images in three classes into the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (90, 12, 12, 3), dtype=np.uint8), np.arange(90) % 3
    np.savez("data.npz", x_train=x, y_train=y)

    def write(*edits):
        own = ("data.source", "npz"), ("data.path", "data.npz"), ("data.channels", 3), ("data.image_size", None)
        return edited(tmp_path, *own, ("runtime.portable", False), ("runtime.processes", 1), *edits)

    return write


def test_a_file_teaches_baseline_and_sparse_networks(project):
    always(1).save("own.keras")
    steps = ("baseline.epochs", 3), ("freeze.levels", [0.5]), ("masked.levels", [0.5]), ("masked.epochs", 1)
    path = project(*TAUGHT, *steps, ("teacher.path", "own.keras"), ("teacher.epochs", 0), ("seeds", [0, 1]))
    prepare(path)
    teacher(None, path)
    for written, given in zip(
        load_weights(Path("models/teacher/0/s0.weights.h5")), always(1).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(written, given)
    assert not Path("models/teacher/1").exists()  # one for all seeds
    assert json.loads(Path("metrics/teacher.json").read_text())["seeds"] == 1
    baseline(None, path)
    provenance = json.loads(Path("metrics/baseline/1.provenance.json").read_text())
    assert list(provenance["starts"]) == ["models/teacher/0/s0.weights.h5"]
    params = load_params(path)
    run = open_run("baseline", params, 1)
    run.model.set_weights(run.dense)
    answers = np.asarray(run.model(run.validation.x)).argmax(axis=1)
    assert set(answers) == {1}  # what it was told, not the labels
    assert run.teachers.passes < 1  # of far fewer multiply-adds


def test_a_teacher_is_trained_once_and_its_results_count_for_those_it_teaches(project):
    path = project(RESIDUAL, *TAUGHT, ("teacher.epochs", 1), ("seeds", [3]))
    prepare(path)
    teacher(None, path)
    params = load_params(path)
    assert params.teachers("masked", 3) == (("teacher", 0),)
    noted = json.loads(Path("metrics/teacher/0.provenance.json").read_text())["params"]
    assert noted["teacher"]["builder"] == RESIDUAL[1]
    assert not {"model", "prune.include"} & set(noted)
    before = made_from("baseline", params, 3)
    rows_file("teacher", 0).write_text("another")
    assert made_from("baseline", params, 3) != before
    assert "teacher" not in relevant(params, "baseline")  # its weights are what the others read


def test_parameters_that_name_no_teacher_leave_it_out(project, capsys):
    teacher(None, project())
    assert "teacher: left out, teacher names no network" in capsys.readouterr().out
    assert list(Path("models/teacher/0").iterdir()) == []


NOT_OF_A_TEACHER = {
    "none": (TAUGHT, r"teacher: expected path, builder or application, such as .*, since baseline imitates"),
    "a taught teacher": (
        [RESIDUAL, ("teacher.recipe", "plain"), ("recipes.plain.distillation", 0.5)],
        "teacher.recipe: expected one with distillation: 0, it is not of a sparse network",
    ),
    "a baseline that teaches itself": (
        [("recipes.plain.distillation", 0.5)],
        "baseline.recipe: expected one with distillation: 0 or teacher: own, it is not of a sparse network",
    ),
    "two": (
        [RESIDUAL, ("teacher.application", "MobileNetV2")],
        "expected at most one of path, builder and application",
    ),
}


@pytest.mark.parametrize("name", NOT_OF_A_TEACHER)
def test_parameters_of_a_teacher_are_checked(name, project, tmp_path):
    edits, message = NOT_OF_A_TEACHER[name]
    refused(Fault(lambda _: project(*edits), load_params, message), tmp_path)


def scaling():
    model = always(0)
    return keras.Sequential(
        [keras.Input((12, 12, 3)), layers.Rescaling(1 / 255), layers.Conv2D(3, 3), model.layers[0], layers.Dense(3)]
    )


REFUSED = {
    "of other classes": (lambda: always(0, 4), "Expected a model with an output for each of 3 classes. Received: 4"),
    "of other images": (
        lambda: always(0, 3, (8, 8, 3)),
        r"Expected examples of shape \(8, 8, 3\), which the model takes",
    ),
    "of images from 0 to 255": (
        scaling,
        r"teacher: expected a network that takes images in \[0, 1\], like the network to prune; .*takes \[0, 255\]",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_prepare_refuses_teachers_that_do_not_take_the_data(name, project, tmp_path):
    make, message = REFUSED[name]
    make().save("own.keras")
    refused(Fault(lambda _: project(*TAUGHT, ("teacher.path", "own.keras")), prepare, message), tmp_path)


def test_what_is_wrong_with_a_teacher_is_said_of_its_section(project, tmp_path):
    path = project(*TAUGHT, ("teacher.path", "absent.keras"))
    refused(Fault(lambda _: path, prepare, r"^teacher.path: expected a .keras or .h5 file. Received: absent"), tmp_path)
    path = project(*TAUGHT, ("teacher.builder", "nowhere:build"))
    refused(Fault(lambda _: path, prepare, r"^teacher.builder: expected a module nowhere"), tmp_path)


def test_without_its_teacher_a_stage_says_what_to_run(project, tmp_path):
    path = project(RESIDUAL, ("recipes.plain.distillation", 0.5), ("recipes.plain.teacher", "own"))
    prepare(path)
    refused(Fault(lambda _: path, lambda p: masked(None, p), r"run `dvc repro`, or first `prunefront "), tmp_path)
    refused(Fault(lambda _: path, lambda p: baseline(None, p), r"`prunefront teacher --seed 0`"), tmp_path)
