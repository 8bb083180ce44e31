"""The wheel: all that a project needs, for somebody who has never seen this repository."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers import ENVIRONMENT, copy_checkout, run, set_params

LEFT_OUT = ("freeze", "masked", "gradual", "iterative", "magnitude_rewind", "regrow", "random", "small_dense")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The PATH of a new environment with the built wheel; the dependencies are lent by this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    copy_checkout(source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source), folder=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "new", with_pip=False)
    python = folder / "new" / "bin" / "python"
    run(*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel), folder=folder)
    # a path in a .pth file is no site folder: the editable installation in it has no effect
    new = sysconfig.get_path("purelib", vars={"base": str(folder / "new")})
    Path(new, "lent.pth").write_text(sysconfig.get_path("purelib"))
    shutil.rmtree(source)
    return f"{python.parent}:{ENVIRONMENT['PATH']}"


def test_the_new_environment_has_the_wheel_and_nothing_of_the_checkout(installed, tmp_path):
    code = "import prunefront, prunefront.stages as s; print(prunefront.__path__[0], s.__path__[0])"
    places = run("python", "-c", code, folder=tmp_path, PATH=installed).stdout.split()
    assert all("/new/lib/" in place for place in places)
    assert "prunefront" in run("prunefront", "--help", folder=tmp_path, PATH=installed).stdout


@pytest.fixture
def project(installed, tmp_path):
    """A new project of small networks."""
    (tmp_path / "here").mkdir()
    made = run("prunefront", "new", "../mine", folder=tmp_path / "here", PATH=installed).stdout
    assert made == "wrote ../mine; next: cd ../mine && prunefront inspect && dvc repro\n"
    run("prunefront", "preset", "smoke", folder=tmp_path / "mine", PATH=installed)
    set_params(tmp_path / "mine", seeds=[0], **{section: {"levels": []} for section in LEFT_OUT})
    return tmp_path / "mine"


def test_a_new_project_prunes(installed, project):
    run("dvc", "repro", "prune_global", folder=project, PATH=installed)
    assert json.loads((project / "metrics" / "prune_global.json").read_text())["points"] == 3
    assert subprocess.run(["git", "ls-files", "*.py"], cwd=project, capture_output=True, check=True).stdout == b""


@pytest.mark.long
def test_a_new_project_ends_with_a_frontier(installed, project):
    run("dvc", "repro", folder=project, PATH=installed)
    assert "Running stage" not in run("dvc", "repro", folder=project, PATH=installed).stdout
    rows = pd.read_csv(project / "metrics" / "frontier.csv")
    assert set(rows["method"]) == {"prune_global", "prune_layerwise"}
    assert json.loads((project / "metrics" / "pareto.json").read_text())["submitted"]["score"] > 0.6
    assert (project / "models" / "submitted.weights.h5").exists()
    assert (project / "exports" / "submitted.keras").exists()
    shown = run("prunefront", "show", folder=project, PATH=installed).stdout
    assert "Pareto frontier" in shown
