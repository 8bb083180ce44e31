"""Commands under bad input and faults: what a shell is given, how they fail, and two of them at once."""

import re
import resource
import signal
import subprocess
import sys

import h5py
import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from prunefront import InputError
from prunefront.common.files import alone, replacing, replacing_folder, write_json
from prunefront.models.weights import load_weights, save_weights
from tests.helpers import ROOT, assert_one_line, copy_checkout, python, run, set_params, small

STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]

SHELL = [
    "0 --help; touch hurt #",
    "0; touch hurt",
    "0 && touch hurt",
    "0 || touch hurt",
    "0 | touch hurt",
    "0 & touch hurt",
    "0 > hurt",
    "$(touch hurt)",
    "`touch hurt`",
    "${IFS}$(touch hurt)",
    "'; touch hurt; '",
    '"; touch hurt; "',
    "'\"'; touch hurt; '\"'",
    "\\'; touch hurt #",
    "0\ntouch hurt",
    "'\ntouch hurt\n'",
    "\ntouch hurt",
    "0\u2028touch hurt",
    "--help",
    "0 --params other.yaml",
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The pipeline with all that the stage `baseline` depends on, before any stage has run."""
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkout(folder, without=(".dvc/", "docs", "tests", "results", "models", "metrics", "dvc.lock"))
    (folder / "data" / "prepared").mkdir(parents=True)
    (folder / "data" / "prepared" / "about.json").write_text("{}")
    Repo.init(str(folder), no_scm=True).close()
    return folder


def test_no_seed_reaches_the_shell_whichever_stage_is_run(checkout):
    set_params(checkout, seeds=SHELL)
    result = run("dvc", "repro", "--single-item", "teacher", folder=checkout, check=False)
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert re.search("error: .*seeds", said), said[-3000:]
    assert not list(checkout.rglob("hurt"))
    assert not (checkout / "models" / "teacher").exists()


@pytest.mark.parametrize("seeds", [[["; touch hurt"]], [{"; touch hurt #": 1}], "; touch hurt", [True], [None]])
def test_seeds_of_another_kind_do_not_either(seeds, checkout):
    set_params(checkout, seeds=seeds)
    assert run("dvc", "repro", "--single-item", "teacher", folder=checkout, check=False).returncode != 0
    assert not list(checkout.rglob("hurt"))
    assert not (checkout / "models" / "teacher").exists()


@pytest.mark.parametrize("stage", STAGES)
def test_commands_take_nothing_from_the_parameters(stage):
    """DVC puts a value into a command as it is: whoever writes params.yaml could run any."""
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"


# --- two at once


@pytest.mark.parametrize("replace", [replacing, replacing_folder])
def test_of_two_writers_one_wins_and_the_other_is_told(replace, tmp_path):
    path = tmp_path / "models" / "0"
    with replace(path) as partial:
        with (
            pytest.raises(InputError, match=r"only one that writes .*0; wait .*Received: one that is running"),
            replace(path),
        ):
            pytest.fail("both are in")
        partial.write_text("first") if replace is replacing else (partial / "row").write_text("first")
    assert [p.name for p in path.parent.iterdir()] == ["0"]
    with pytest.raises(RuntimeError, match="free again"), replace(path):
        raise RuntimeError("free again")


def test_a_lock_ends_with_its_process_and_what_that_left_is_cleaned_up(tmp_path):
    path = tmp_path / "models" / "0"
    code = "import sys, time; from pathlib import Path; from prunefront.common.files import replacing_folder\n"
    code += "with replacing_folder(Path(sys.argv[1])) as partial:\n"
    code += "    (partial / 'half').write_text('half'); print('in', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(InputError, match="one that is running"), replacing_folder(path):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert {p.name for p in path.parent.iterdir()} == {"partial-0", "partial-0.lock"}
    with replacing_folder(path) as partial:
        assert not list(partial.iterdir())
        (partial / "whole").write_text("whole")
    assert [p.relative_to(tmp_path).as_posix() for p in path.parent.rglob("*")] == ["models/0", "models/0/whole"]


def test_what_was_locked_can_be_locked_again_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(RuntimeError, match="inside"), alone(tmp_path / "x"):
            raise RuntimeError("inside")
    assert not list(tmp_path.iterdir())


# --- full disks


@pytest.fixture
def small_disk():
    """No file can be larger than 16 KiB: what is written beyond that fails as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_earlier_weights_and_no_open_file(tmp_path, request):
    """HDF5 crashes at the end of the process if it cannot finish a file."""
    path, model = tmp_path / "x.weights.h5", small()
    save_weights(path, model)
    before = path.read_bytes()
    request.getfixturevalue("small_disk")
    with pytest.raises(OSError, match="File too large"):
        save_weights(path, model)
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) == 0
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before
    assert len(load_weights(path)) == 4


def test_a_full_disk_leaves_the_earlier_json(tmp_path, small_disk):  # noqa: ARG001
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(OSError, match="File too large"):
        write_json(tmp_path / "x.json", {"a": "long" * 10_000})
    assert [(p.name, len(p.read_text())) for p in tmp_path.iterdir()] == [("x.json", 13)]


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        ("OSError(28, 'file write failed:\\n\\n  errno = 28')", "read and write files here. Received: OSError: "),
        ("MemoryError()", "expected data that fit into memory"),
        ("RecursionError('deep')", "nested less deeply"),
    ],
)
def test_what_the_machine_lacks_is_one_line(raised, message):
    code = f"from prunefront.common.commands import run\ndef command(): raise {raised}\nrun(command)"
    assert_one_line(python("-c", code), message)


def test_a_bug_is_no_bad_input():
    code = "from prunefront.common.commands import run\ndef command(): raise KeyError('bug')\nrun(command)"
    assert "Traceback" in python("-c", code).stderr


# --- the environment


def test_warnings_do_not_end_a_command():
    code = "import warnings; from prunefront.common.commands import run\n"
    code += "def command(): warnings.warn('two\\nlines'); warnings.warn('old', DeprecationWarning)\nrun(command)"
    result = python("-c", code, PYTHONWARNINGS="error")
    assert (result.returncode, result.stderr) == (0, "warning: two lines\n")


@pytest.mark.parametrize(
    ("variables", "settings", "message"),
    [
        ({"KERAS_BACKEND": "jax"}, "{}", "unset KERAS_BACKEND. Received: KERAS_BACKEND=jax"),
        ({"KERAS_BACKEND": "torch"}, "{}", "unset KERAS_BACKEND. Received: KERAS_BACKEND=torch"),
        ({"KERAS_MAX_EPOCHS": "many"}, "{}", "Expected Keras and TensorFlow to start; .*KERAS_.*invalid literal"),
        ({}, '{"floatx": "float8"}', "Expected Keras and TensorFlow to start; .*keras.json.*float8"),
        ({}, "null", "Expected Keras and TensorFlow to start; .*keras.json"),
    ],
)
def test_an_environment_that_keras_cannot_start_in_is_one_line(variables, settings, message, tmp_path):
    (tmp_path / "keras.json").write_text(settings)
    code = "from prunefront.common.commands import run\n"
    code += "def command(): import prunefront.common.runtime\nrun(command)"
    environment = {"KERAS_BACKEND": "", "KERAS_HOME": str(tmp_path), **variables}
    result = python("-c", code, **environment)
    assert_one_line(result, "error: ")
    assert re.search(message, result.stderr)


def test_what_the_user_set_for_keras_changes_no_result(tmp_path):
    (tmp_path / "keras.json").write_text(
        '{"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1, "backend": "jax"}'
    )
    code = "from prunefront.common.runtime import keras, set_up; set_up('float32', 0); c = keras.config\n"
    code += "print(c.backend(), c.floatx(), c.image_data_format(), c.epsilon(), c.max_epochs(), c.dtype_policy().name)"
    said = python("-c", code, KERAS_BACKEND="", KERAS_HOME=str(tmp_path), KERAS_MAX_EPOCHS="1").stdout
    assert said.split() == ["tensorflow", "float32", "channels_last", "1e-07", "None", "float32"]
