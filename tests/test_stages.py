"""The commands: what they import, what they say, and how they fail."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from prunefront.common.params import TRAINED
from tests.helpers import ROOT, assert_one_line, edited, import_closure, python, run

PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
COMMANDS = sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py"))


def code_deps(stage: str) -> list[str]:
    return [dep for dep in PIPELINE[stage]["deps"] if dep.startswith(("prunefront/", "stages/"))]


@pytest.mark.parametrize("stage", PIPELINE)
def test_code_dependencies_are_what_the_stage_imports(stage):
    closure = {Path(p) for p in import_closure(ROOT / "stages" / f"{stage}.py") if Path(p).name != "__init__.py"}
    deps = [Path(dep) for dep in code_deps(stage)]
    for path in closure:
        assert any(path.is_relative_to(dep) for dep in deps), f"{path} is not among the deps"
    for dep in deps:
        assert any(path.is_relative_to(dep) for path in closure), f"{dep} is not imported"


@pytest.mark.parametrize("stage", PIPELINE)
def test_stage_command_and_file_go_by_one_name(stage):
    assert PIPELINE[stage]["cmd"] == f"python -m stages.{stage}"
    assert stage in COMMANDS
    assert all(
        next(iter(out.values()))["persist"] for kind in ("outs", "metrics") for out in PIPELINE[stage].get(kind, [])
    )


def test_the_lock_knows_the_stages_of_the_pipeline_and_no_others():
    """DVC keeps what it locked of stages that are gone, and reads and writes it all again after every stage."""
    assert set(YAML(typ="safe").load((ROOT / "dvc.lock").read_text())["stages"]) == set(PIPELINE)


def test_the_last_stage_depends_on_every_method():
    deps = {dep.removeprefix("metrics/") for dep in PIPELINE["pareto"]["deps"] if dep.startswith("metrics/")}
    assert deps == {"prepare.provenance.json", *TRAINED}
    assert {f"models/{stage}" for stage in TRAINED} < set(PIPELINE["report"]["deps"])


def test_help_does_not_import_tensorflow():
    code = f"""
import contextlib, io, runpy, sys
for command in {COMMANDS}:
    sys.argv = [command, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        runpy.run_module(f"stages.{{command}}", run_name="__main__")
    print(command, len(said.getvalue().splitlines()), *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [command for command, *_ in lines] == COMMANDS
    for command, length, *imported in lines:
        assert int(length) > 5, command
        assert not set(imported) & {"tensorflow", "keras", "pandas", "matplotlib", "sklearn"}, command


def test_one_command_lists_the_stages_in_their_order_and_apart_from_them_the_tools():
    help_ = python("-m", "stages", "--help")
    assert help_.returncode == 0
    stages, tools = help_.stdout.split("Stages, in the order of the pipeline")[1].split(" Tools ")
    # a command stands at the beginning of its row; what it does goes on further right
    named = [re.findall(r"^│ (\w+)", part, re.MULTILINE) for part in (stages, tools)]
    assert named[0] == list(PIPELINE)
    assert set(named[1]) == set(COMMANDS) - set(PIPELINE)


def test_a_command_does_the_same_by_either_name(tmp_path):
    one, other = (python("-m", *words, folder=tmp_path) for words in (("stages.masked",), ("stages", "masked")))
    assert_one_line(one, "params.yaml, which does not exist")
    assert one.stderr == other.stderr


def test_code_of_the_user_is_found_beside_the_parameters(tmp_path):
    """Also what a builder imports only when it is called."""
    (tmp_path / "helper.py").write_text("import keras\nLAYERS = [keras.layers.Flatten(), keras.layers.Dense(10)]\n")
    builder = "import keras\ndef build(s, c):\n    from helper import LAYERS\n"
    builder += "    return keras.Sequential([keras.Input(s), *LAYERS])\n"
    (tmp_path / "net.py").write_text(builder)
    edited(tmp_path, ("model.builder", "net:build"))
    inspected = run("prunefront", "inspect", folder=tmp_path)
    assert "dense" in inspected.stdout


def test_shells_complete_commands_and_presets():
    for typed, word, expected in (("prunefront mas", 1, ["masked"]), ("prunefront preset smo", 2, ["smoke"])):
        result = python("-m", "stages", _PRUNEFRONT_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(word))
        assert result.stdout.split() == expected
    assert "complete " in python("-m", "stages", _PRUNEFRONT_COMPLETE="source_bash").stdout


def test_names_that_the_locale_cannot_write_are_one_line():
    code = "from pathlib import Path; from prunefront.common.commands import run\n"
    code += "def command(): open(Path('d\\u00e4ta'))\nrun(command)"
    result = python("-c", code, LC_ALL="C", PYTHONUTF8="0")
    assert_one_line(
        result, r"a locale that can write every name; set LC_ALL=C.UTF-8 or PYTHONUTF8=1. Received: '\xe4ta'"
    )


def test_bad_input_is_one_line_and_status_1(tmp_path):
    assert_one_line(python("-m", "stages.prepare", folder=tmp_path), "params.yaml, which does not exist")
    assert_one_line(python("-m", "stages.show", folder=tmp_path), "run `dvc repro`")
    defaults = (ROOT / "presets" / "default.yaml").read_text()
    (tmp_path / "params.yaml").write_text(defaults)
    assert_one_line(python("-m", "stages.masked", folder=tmp_path), "prunefront prepare")
    assert_one_line(python("-m", "stages.pareto", folder=tmp_path), "prunefront prune_global --seed 0")
    (tmp_path / "params.yaml").write_text(defaults.replace(" epochs:", " epocs:", 1))
    assert_one_line(python("-m", "stages.baseline", folder=tmp_path), "did you mean 'epochs'?")


def test_usage_errors_are_status_2():
    assert python("-m", "stages.baseline", "--sede", "1").returncode == 2
    assert python("-m", "stages.baseline", "--seed", "-1").returncode == 2
