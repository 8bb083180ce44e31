"""New projects around a user's model and data."""

import importlib
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from prunefront import InputError
from prunefront.common.params import load_params
from prunefront.tools import new
from prunefront.tools.new import Ingredients, write_project
from tests.helpers import ROOT, assert_one_line, keras, layers, python, run


def written(folder):
    params = load_params(folder / "params.yaml")
    pipeline = YAML(typ="safe").load((folder / "dvc.yaml").read_text())["stages"]
    for name, stage in pipeline.items():
        assert stage["cmd"].split(" ${")[0] == f"prunefront {name}"
        assert "requirements.txt" in stage["deps"]
        assert not any(dep.startswith(("prunefront/", "stages/")) for dep in stage["deps"])
    assert all((folder / name).exists() for name in (".dvc", ".dvcignore", ".gitignore", "README.md", "inputs/none"))
    assert not (folder / "stages").exists()
    return params


def commit(folder, message="all"):
    run("git", "add", "-A", folder=folder)
    run("git", "commit", "-qm", message, folder=folder)
    assert run("git", "status", "--short", folder=folder).stdout == ""


def table(path):
    """A small table of two classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x_train=x, y_train=(x[:, 0] > 0).astype(np.int64))
    return path


def test_without_a_subject_it_is_the_digits(tmp_path):
    write_project(tmp_path / "mine", Ingredients())
    assert written(tmp_path / "mine").data.source == "digits"
    commit(tmp_path / "mine")
    mine, default = (p.read_text() for p in (tmp_path / "mine" / "params.yaml", ROOT / "presets" / "default.yaml"))
    assert mine.count("#") == default.count("#")


def test_a_model_of_images_says_their_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label in ("a", "b"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        Image.new("L", (9, 9)).save(tmp_path / "pictures" / label / "0.png")
    keras.Sequential([keras.Input((12, 14, 1)), layers.Flatten(), layers.Dense(2)]).save("own.keras")
    write_project(tmp_path / "mine", Ingredients(model=Path("own.keras"), data=Path("pictures"), outputs="logits"))
    params = written(tmp_path / "mine")
    assert (params.data.source, params.data.image_size, params.data.channels) == ("folder", (12, 14), 1)
    assert (params.model.path, params.model.outputs) == (tmp_path / "own.keras", "logits")
    keras.Sequential([keras.Input((12,)), layers.Dense(2)]).save("table.keras")
    with pytest.raises(InputError, match=r"a model of images with a fixed size, or data as an .npz file"):
        write_project(tmp_path / "other", Ingredients(model=tmp_path / "table.keras"))
    assert not list(tmp_path.glob("*other"))


OWN_LAYER = "import keras\nclass Twice(keras.layers.Layer):\n    def call(self, x):\n        return 2 * x\n"


@pytest.mark.parametrize(("module", "code"), [("own_layers", "own_layers.py"), ("lay.own", "lay")])
def test_a_model_with_code_of_its_own_needs_trust_and_brings_the_code(module, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{module.replace('.', '/')}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(OWN_LAYER)
    monkeypatch.syspath_prepend(tmp_path)
    layer = importlib.import_module(module).Twice()
    keras.Sequential([keras.Input((12, 12, 1)), layer, layers.Flatten(), layers.Dense(2)]).save("m.keras")
    with pytest.raises(InputError, match=r"model.trust: true"):
        write_project(tmp_path / "mine", Ingredients(model=Path("m.keras")))
    with pytest.raises(InputError, match=r"Expected --trust beside --code"):
        write_project(tmp_path / "mine", Ingredients(model=Path("m.keras"), code=Path(code)))
    write_project(tmp_path / "mine", Ingredients(model=Path("m.keras"), code=Path(code), trust=True))
    params = written(tmp_path / "mine")
    assert (params.model.trust, str(params.model.code)) == (True, code)
    assert (tmp_path / "mine" / path.relative_to(tmp_path)).exists()
    shutil.move(tmp_path / "mine", tmp_path / "alone")
    inspected = run("prunefront", "inspect", folder=tmp_path / "alone")
    assert "twice" in inspected.stdout or "dense" in inspected.stdout


def test_a_builder_s_code_comes_along(tmp_path, monkeypatch):
    (tmp_path / "elsewhere" / "nets").mkdir(parents=True)
    (tmp_path / "elsewhere" / "nets" / "small.py").write_text("def build(shape, classes): ...\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    write_project(tmp_path / "mine", Ingredients(builder="nets.small:build"))
    params = written(tmp_path / "mine")
    assert (params.model.builder, str(params.model.code)) == ("nets.small:build", "nets")
    assert (tmp_path / "mine" / "nets" / "small.py").exists()
    with pytest.raises(InputError, match=r"--builder: expected package.module:function in this folder, or --code"):
        write_project(tmp_path / "other", Ingredients(builder="gone:build"))
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path / "next", Ingredients(builder="nets.small:build", code=Path("elsewhere/nets")))
    assert str(written(tmp_path / "next").model.code) == "nets"
    with pytest.raises(InputError, match=r"--code: expected the file or folder that defines gone"):
        write_project(tmp_path / "other", Ingredients(builder="gone:build", code=Path("elsewhere/nets")))
    shutil.copytree(tmp_path / "elsewhere" / "nets", tmp_path / "models")
    (tmp_path / "alias.py").symlink_to(tmp_path / "elsewhere" / "nets" / "small.py")
    write_project(tmp_path / "third", Ingredients(builder="alias:build", code=Path("alias.py")))
    assert (tmp_path / "third" / "alias.py").is_file()
    with pytest.raises(InputError, match=r"--code: expected a name that the project does not use itself"):
        write_project(tmp_path / "other", Ingredients(builder="models.small:build"))


def test_nothing_that_is_there_is_touched(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"new or empty folder. Received: .*mine, which holds something"):
        write_project(tmp_path / "mine", Ingredients())
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "precious"
    with pytest.raises(InputError, match=r"Received: .*gone.npz, which does not exist"):
        write_project(tmp_path / "other", Ingredients(data=tmp_path / "gone.npz"))
    for wrong, message in (
        ({"builder": "no_function"}, "package.module:function"),
        ({"application": "MobileNetV2", "image_size": (0, 0)}, "greater than or equal to 1"),
        ({"application": "MobilNetV2"}, r"did you mean MobileNetV2\? Received: MobilNetV2"),
        ({"application": "MobileNetV2", "builder": "a:b"}, "one of --model, --builder and --application"),
        ({"data": tmp_path / "mine" / "thesis.tex"}, "an .npz file or a folder"),
    ):
        with pytest.raises(InputError, match=message):
            write_project(tmp_path / "other", Ingredients(**wrong))

    for wrong, message in (
        ({"model": tmp_path / "mine" / "thesis.tex"}, r"a model as a .keras, .h5, .hdf5 file"),
        ({"code": tmp_path / "mine"}, "a model file or a builder with --code"),
        ({"trust": True}, "a model file with --trust"),
        ({"outputs": "logits"}, "a model of yours with --outputs"),
    ):
        with pytest.raises(InputError, match=message):
            write_project(tmp_path / "other", Ingredients(**wrong))
    with pytest.raises(InputError, match=r"^params.yaml: data.image_size.0"):
        write_project(tmp_path / "other", Ingredients(image_size=(0, 0)))
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}


@pytest.mark.parametrize("failing", ["git", "dvc"])
def test_when_git_or_dvc_fails_nothing_is_left_and_what_they_said_is(failing, tmp_path, monkeypatch):
    plain = new._run

    def run_or_fail(folder, *command):
        if ("dvc" if "dvc" in command else "init" in command and "git") == failing:
            return plain(folder, "sh", "-c", "echo; echo ERROR: no disk >&2; exit 3")
        return plain(folder, *command)

    monkeypatch.setattr(new, "_run", run_or_fail)
    (tmp_path / "empty").mkdir()
    (tmp_path / "partial-other").mkdir()
    (tmp_path / "partial-other" / "thesis.tex").write_text("precious")
    for name in ("empty", "deep/er/other", "other"):
        with pytest.raises(InputError, match=r"to work. Received: ERROR: no disk"):
            write_project(tmp_path / name, Ingredients())
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "partial-other"}
    assert not list((tmp_path / "empty").iterdir())
    assert (tmp_path / "partial-other" / "thesis.tex").exists()


def test_a_repository_that_the_environment_names_is_not_meant(tmp_path, monkeypatch):
    run("git", "init", "-q", str(tmp_path / "other"), folder=tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    write_project(tmp_path / "mine", Ingredients())
    assert (tmp_path / "mine" / ".git").is_dir()
    assert not (tmp_path / "other" / ".dvc").exists()


def test_files_that_git_would_hide_are_refused(tmp_path, monkeypatch):
    outer = tmp_path / "outer"
    outer.mkdir()
    run("git", "init", "-q", folder=outer)
    (outer / ".gitignore").write_text("inputs/\nmetrics/\nmodels/\n")  # often so; the project's own file undoes it
    write_project(outer / "mine", Ingredients())
    commit(outer)
    assert "mine/inputs/none" in run("git", "ls-files", folder=outer).stdout.split()
    (outer / ".gitignore").write_text("*.txt\n")
    with pytest.raises(InputError, match=r"files that Git does not ignore.* Received: requirements.txt"):
        write_project(outer / "other", Ingredients())
    assert not (outer / "other").exists()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "costs").mkdir()
    (tmp_path / "costs" / "__init__.py").write_text("def build(shape, classes): ...\n")
    with pytest.raises(InputError, match=r"Received: costs"):
        write_project(tmp_path / "other", Ingredients(builder="costs:build"))


def test_here_is_a_folder_too_and_so_is_a_new_repository(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    run("git", "init", "-q", folder=here)
    (here / ".git" / "mark").write_text("the same repository")
    write_project(Path(), Ingredients())
    written(here)
    assert (here / ".git" / "mark").exists()
    commit(here)


@pytest.mark.parametrize("has_dvc", [False, True])
def test_inside_a_repository_it_is_a_part_of_that_one(tmp_path, has_dvc):
    outer = tmp_path / "outer"
    outer.mkdir()
    run("git", "init", "-q", folder=outer)
    (outer / ".gitignore").write_text("/scratch/\n")
    if has_dvc:
        run("dvc", "init", "-q", folder=outer)
    commit(outer)
    write_project(outer / "deep" / "mine", Ingredients())
    written(outer / "deep" / "mine")
    assert "partial" not in run("git", "diff", "--cached", "--name-only", folder=outer).stdout
    assert not (outer / "deep" / "mine" / ".git").exists()
    commit(outer, "a project inside")
    tracked = run("git", "ls-files", folder=outer).stdout.split()
    assert {"deep/mine/dvc.yaml", "deep/mine/.dvc/config", "deep/mine/inputs/none"} <= set(tracked)
    assert "baseline" in run("dvc", "status", "--json", folder=outer / "deep" / "mine").stdout
    write_project(outer / "scratch" / "mine", Ingredients())  # which the outer one ignores
    assert (outer / "scratch" / "mine" / ".git").exists()
    commit(outer / "scratch" / "mine")
    assert run("git", "status", "--short", folder=outer).stdout == ""


def test_dvc_add_works_in_inputs(tmp_path):
    write_project(tmp_path / "mine", Ingredients())
    assert (tmp_path / "mine" / ".gitignore").read_text() == (ROOT / ".gitignore").read_text()
    for name in ("x.npz", "deep/er/\u00fc y.npz"):
        path = table(tmp_path / "mine" / "inputs" / name)
        run("dvc", "add", f"inputs/{name}", folder=tmp_path / "mine")
        assert path.with_name(f"{path.name}.dvc").exists()
    table(tmp_path / "mine" / "inputs" / "not tracked.npz")
    commit(tmp_path / "mine")
    tracked = run("git", "-c", "core.quotePath=false", "ls-files", "inputs", folder=tmp_path / "mine").stdout
    assert tracked.splitlines() == [
        "inputs/deep/er/\u00fc y.npz.dvc",
        "inputs/none",
        "inputs/x.npz.dvc",
    ]


NETWORK = "import keras\ndef build(s, c):\n    return keras.Sequential([keras.Input(s), keras.layers.Dense(c)])\n"


@pytest.mark.long
def test_experiments_in_temporary_folders_and_clones_find_the_data(tmp_path):
    """Under a C locale, with umlauts and spaces in the data's name, from a relative path."""
    (tmp_path / "my_net.py").write_text(NETWORK)
    table(tmp_path / "d\u00e4 t\u00e4" / "own.npz")
    arguments = ("new", "my project", "--builder", "my_net:build", "--data", "d\u00e4 t\u00e4/own.npz")
    made = python("-m", "prunefront.stages", *arguments, folder=tmp_path, LC_ALL="C")
    assert made.stdout.endswith("next: cd 'my project' && prunefront inspect && dvc repro\n"), made.stderr
    project = tmp_path / "my project"
    commit(project)
    run("dvc", "repro", "prepare", folder=project, LC_ALL="C")
    commit(project)
    run("dvc", "exp", "run", "--temp", "-S", "data.seed=1", "prepare", folder=project, LC_ALL="C")
    run("dvc", "exp", "run", "--queue", "-S", "data.seed=2", "prepare", folder=project, LC_ALL="C")
    run("dvc", "queue", "start", folder=project, LC_ALL="C")
    for _ in range(600):
        queue = run("dvc", "queue", "status", folder=project).stdout
        if "Success" in queue or "Failed" in queue:
            break
        time.sleep(0.5)
    assert "Success" in queue, queue
    clone = tmp_path / "some" / "where" / "deeper"
    run("git", "clone", "-q", str(project), str(clone), folder=tmp_path)
    run("dvc", "repro", "prepare", folder=clone, LC_ALL="C")
    assert run("git", "status", "--short", folder=clone).stdout == ""


def test_a_path_in_which_dvc_has_no_temporary_folders_is_a_warning(tmp_path):
    made = python("-m", "prunefront.stages", "new", "pr\u00f6jekt", folder=tmp_path)
    assert "wrote pr\u00f6jekt" in made.stdout
    assert made.stderr.startswith("warning: below a path with other characters than ASCII")
    assert len(made.stderr.splitlines()) == 1
    assert (tmp_path / "pr\u00f6jekt" / "README.md").read_text(encoding="utf-8").startswith("# pr\u00f6jekt\n")


def test_refusals_of_the_command_are_one_line(tmp_path):
    assert_one_line(python("-m", "stages.new", str(tmp_path / "mine"), "--application", "MobilNetV2"), "MobileNetV2?")
    assert python("-m", "stages.new", str(tmp_path / "mine"), "--outputs", "logit").returncode == 2
    assert not list(tmp_path.iterdir())
