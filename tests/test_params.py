import pytest
from ruamel.yaml import YAML

from prunefront import InputError
from prunefront.common.params import METHODS, NULL_BASELINES, STAGES, TRAINED, load_params
from tests.helpers import ROOT, edited


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("masked.epohcs", 5, r"unknown parameter 'masked.epohcs': did you mean 'epochs'\?"),
        ("magnitude_rewind.epohcs", 5, r"unknown parameter 'magnitude_rewind.epohcs': did you mean 'epochs'\?"),
        ("extra", 1, r"unknown parameter 'extra': expected one of seeds, "),
        ("data.cifar10.crops", None, r"unknown parameter 'data.cifar10.crops': did you mean 'crop'\?"),
        ("prune.levels", [0, 1.0], r"prune.levels.1: input should be less than 1. Received: 1.0"),
        ("freeze.levels", [-0.1], r"freeze.levels.0: input should be greater than or equal to 0"),
        ("masked.levels", [0.9, 0.5], r"masked: expected levels in increasing order"),
        ("masked.level_epochs", [4, 6], r"masked: expected level_epochs for each of 3 levels, or \[\] \(received 2\)"),
        ("gradual.level_epochs", [6, 2, 6], r"gradual: expected ramp_epochs below epochs.*received 2 of 2"),
        ("masked.levels", [0.1, 0.5], r"masked.levels: expected no level below the first of freeze.levels, 0.5"),
        ("prune.levels", [], r"prune.levels: expected at least one"),
        ("freeze.levels", [], r"freeze.levels: expected at least one, since method 4 starts from"),
        ("masked.recipe", "plian", r"masked.recipe: expected one of recipes, plain, cosine \(received plian\)"),
        ("recipes.plain.distillation", 0.5, r"baseline.recipe: expected one with distillation: 0"),
        (
            "recipes.plain.label_smoothing",
            1,
            r"recipes.plain.label_smoothing: input should be less than 1. Received: 1$",
        ),
        ("recipes.plain.warmup", 1, r"unknown parameter 'recipes.plain.warmup': did you mean 'warmup_epochs'\?"),
        ("recipes.plain.warmup_epochs", 5, r"freeze.epochs: expected more than the warmup_epochs of its recipe, 5"),
        ("recipes.plain.temperature", 1e200, r"recipes.plain.temperature: .*1000"),
        ("recipes", {"a.b": {}}, r"recipes.a.b"),
        ("recipes.plain.schedule", "linear", r"recipes.plain.schedule: input should be 'constant' or 'cosine'"),
        ("gradual.ramp_epochs", 10, r"gradual: expected ramp_epochs below epochs"),
        ("iterative.allocation", "erdos", r"iterative.allocation: input should be 'global', 'uniform', 'erk'"),
        ("masked.levels", [0.123456789], r"at most 8 decimals"),
        ("seeds", [], r"seeds: .*at least 1"),
        ("seeds", [1, 1], r"each seed once"),
        ("masked.levels", [0.2], r"masked.levels: expected no level below"),
        ("freeze.levels", [0.8], r"masked.levels: expected no level below the first of freeze.levels, 0.8"),
        ("prune.levels", [0.6, 0.9], r"freeze.levels: expected no level below the first of prune.levels, 0.6"),
        ("pareto.methods", ["masked"], r"unknown parameter 'pareto.methods': expected one of gate"),
        ("model.weights", "", r"model.weights: expected a path; inputs/none stands for none"),
        ("model.weights", None, r"model.weights: .*path.*Received: None"),
        ("seeds", [0.0], r"seeds.0: .*valid integer"),
        ("baseline.epochs", True, r"baseline.epochs: .*valid integer"),
        ("data.image_size", [100000, 10], r"data.image_size.0: .*4096"),
        ("seeds", [-1], r"seeds.0: .*Received: -1"),
        ("data.source", "mnist", r"data.source: input should be 'digits', 'cifar10', 'npz' or 'folder'"),
        ("data.pixel_range", [1, 0], r"data: expected pixel_range upwards"),
        ("data.pixel_range", "wide", r"data.pixel_range: expected auto, \[low, high\].*, or null. Received: 'wide'$"),
        ("data.pixel_range", [0, 2000], r"data.pixel_range: expected auto, .* Received: \[0, 2000\]$"),
        ("data.pixel_range", True, r"data.pixel_range: expected auto, .* Received: True$"),
        ("data.validation_fraction", 0.9, r"data: expected validation_fraction \+ test_fraction below 1"),
        ("data.cifar10.classes", [2, 2], r"at least two different classes"),
        ("baseline.epochs", "many", r"baseline.epochs: .*integer.*Received: 'many'"),
        ("baseline.learning_rate", float("nan"), r"baseline.learning_rate: .*finite"),
        ("pareto.axis", "speed", r"pareto.axis: input should be 'sparsity', 'bytes' or 'multiply_adds'.*'speed'"),
        ("pareto.gate", 60, r"pareto.gate: .*less than or equal to 1"),
        ("model", None, r"model: "),
        ("export.formats", ["tflite"], r"export.formats.0: input should be 'keras', 'sparse', .*Received: 'tflite'"),
        ("export.formats", ["c", "c"], r"export: expected formats, each once"),
        ("export.formats", None, r"export.formats: .*tuple"),
        (
            "export.formats",
            ["c", "litert_float16_sparse"],
            r"export.formats.1: expected a format whose files run, .*LiteRT crashes .*float16 and sparse tensors",
        ),
        ("export.formats", ["litert_dynamic_sparse"], r"export.formats.0: expected .*loads no file.* dynamic range"),
        ("runtime.portable", 1, r"runtime.portable: input should be a valid boolean. Received: 1"),
        ("runtime.threads", 0, r"runtime.threads: input should be greater than or equal to 1. Received: 0"),
        ("runtime.threads", -1, r"runtime.threads: .*Received: -1"),
        ("runtime.threads", True, r"runtime.threads: input should be a valid integer. Received: True"),
        ("runtime.threads", 10**9, r"runtime.threads: input should be less than or equal to 1024"),
        ("runtime.threads", None, r"runtime: expected a number of threads, .*or portable: false"),
        ("runtime.treads", 2, r"unknown parameter 'runtime.treads': did you mean 'threads'\?"),
        ("precision", "mixed_bfloat16", r"runtime.portable: expected precision: float32, or false"),
        ("export.tolerance", 1.5, r"export.tolerance: .*less than or equal to 1"),
    ],
)
def test_wrong_parameters_are_named_in_one_line(key, value, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        load_params(edited(tmp_path, (key, value)))
    assert "\n" not in str(caught.value)


def test_a_method_without_levels_is_left_out(tmp_path):
    params = load_params(edited(tmp_path, ("gradual.levels", []), ("gradual.epochs", 0)))
    assert params.levels("gradual") == ()


def test_the_table_of_stages_is_the_pipeline():
    pipeline = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    assert list(pipeline) == ["prepare", *TRAINED, "pareto", "export", "report"]
    assert (*METHODS, *NULL_BASELINES) == tuple(STAGES)


def test_rewinding_needs_the_weights_of_an_early_epoch(tmp_path):
    levels = ("magnitude_rewind.levels", [0.9])
    assert load_params(edited(tmp_path, levels)).levels("magnitude_rewind") == (0.9,)
    for epoch in (0, 16):
        with pytest.raises(
            InputError, match=rf"baseline.keep_epoch: expected an epoch from 1 to baseline.epochs.*received {epoch}"
        ):
            load_params(edited(tmp_path, levels, ("baseline.keep_epoch", epoch)))


def test_parameters_from_before_something_was_added_go_on_to_load(tmp_path):
    path = edited(tmp_path)
    content = YAML(typ="safe").load(path.read_text())
    del content["magnitude_rewind"], content["baseline"]["keep_epoch"], content["pareto"]["axis"], content["runtime"]
    YAML().dump(content, path)
    params = load_params(path)
    assert (params.levels("magnitude_rewind"), params.baseline.keeps) == ((), False)
    assert params.pareto.axis == "sparsity"
    assert (params.runtime.portable, params.runtime.threads) == (False, None)


def test_a_missing_parameter_is_named(tmp_path):
    path = edited(tmp_path)
    path.write_text(path.read_text().replace("  batch_size: 64", "  # batch_size: 64", 1))
    with pytest.raises(InputError, match=r"missing parameter 'teacher.batch_size'"):
        load_params(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist"),
        ("seeds: 2020-99-99", "readable YAML"),
        ("seeds: [0", "readable YAML"),
        ("just text", "expected sections"),
        ("", "NoneType"),
    ],
)
def test_files_that_are_no_parameters_are_refused(text, message, tmp_path):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_params(path)
