"""The real pipeline when it is interrupted, and when seeds and methods come and go: a story, told in order."""

import json
import os
import signal
import subprocess
import time

import pandas as pd
import pytest

from prunefront.common.params import STAGES
from tests.helpers import ENVIRONMENT, run, set_params
from tests.pipelines import LATER, METHODS, NULL_BASELINES, REPORT, contents, new_project, stages_run

pytestmark = [pytest.mark.story, pytest.mark.long]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The report's methods for two seeds, side by side, with their results."""
    folder = new_project(tmp_path_factory.mktemp("pipeline") / "project", LATER)
    run("dvc", "repro", folder=folder)
    run("git", "add", "-A", folder=folder)
    run("git", "commit", "-qm", "two seeds", folder=folder)
    return folder


def test_a_fresh_clone_killed_in_the_middle_ends_with_the_same_bytes(project, tmp_path):
    clone = tmp_path / "clone"
    run("git", "clone", "-q", str(project), str(clone), folder=tmp_path)
    log = tmp_path / "log"
    with log.open("w") as file:
        first = subprocess.Popen(
            ["dvc", "repro"], cwd=clone, env=ENVIRONMENT, stdout=file, stderr=file, start_new_session=True
        )
        while "freeze, seed 0 1/" not in log.read_text():  # in the midst of the fourth stage
            assert first.poll() is None, log.read_text()
            time.sleep(0.1)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    assert not (clone / "models" / "freeze" / "0").exists()
    again = stages_run(run("dvc", "repro", folder=clone))
    assert "freeze" in again
    assert "baseline" not in again
    assert run("git", "status", "--short", folder=clone).stdout == ""
    for name, written in contents(clone).items():
        assert written == (project / name).read_bytes(), name


def test_a_dropped_seed_vanishes_and_methods_with_levels_appear(project):
    run("python", "-m", "stages.preset", "smoke", "--overwrite", folder=project)
    set_params(project, seeds=[0])
    ran = run("dvc", "repro", folder=project)
    assert sorted(stages_run(ran, without="export")) == sorted(["prepare", "baseline", *STAGES, "pareto"])
    for stage in ("baseline", *REPORT):
        assert f"{stage}, seed 0: done before" in ran.stdout
    assert not [path for top in ("metrics", "models") for path in (project / top).glob("*/1*")]
    rows = pd.read_csv(project / "metrics" / "frontier.csv")
    assert set(rows["seed"]) == {0}
    assert rows.groupby("method").size().to_dict() == METHODS | NULL_BASELINES
    assert not rows[rows["method"].isin(NULL_BASELINES)][["eligible", "on_frontier"]].to_numpy().any()
    assert rows[rows["method"].isin(METHODS)]["eligible"].all()
    run("python", "-m", "stages.publish", "results/mine", folder=project)
    cost = json.loads((project / "results" / "mine" / "cost.json").read_text())["training"]["iterative"]["0"]
    assert cost["epochs"] == 4  # two levels of two
    assert cost["forward_passes"] == 4 * 4 * 1079  # the teacher's too
    run("git", "add", "-A", folder=project)
    run("git", "commit", "-qm", "one seed", folder=project)


def test_methods_without_levels_vanish_from_the_result(project):
    set_params(project, **{section: {"levels": []} for section in LATER})
    ran = run("dvc", "repro", folder=project)
    left_out = [stage for stage in (*METHODS, *NULL_BASELINES) if stage not in REPORT]
    assert sorted(stages_run(ran, without="export")) == sorted(["prepare", *left_out, "pareto"])
    assert "iterative: left out, no levels" in ran.stdout
    assert set(pd.read_csv(project / "metrics" / "frontier.csv")["method"]) == set(REPORT)
    run("git", "add", "-A", folder=project)
    run("git", "commit", "-qm", "the report's methods", folder=project)
