"""One stage makes the series of all seeds, and only those that are missing when one is added."""

import json
from pathlib import Path

import numpy as np
import pytest

from prunefront.common.params import load_params
from prunefront.common.provenance import relevant
from prunefront.pipeline.done import made_from
from prunefront.pipeline.side_by_side import shares
from prunefront.pipeline.stage import run_method
from prunefront.pipeline.store import rows_file, weights_file
from stages.prepare import prepare
from tests.helpers import edited, run, set_params

SMALL = ("data.image_size", [10, 10]), ("data.channels", 1), ("prune.levels", [0, 0.5]), ("runtime.processes", 1)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs a stage of two points of random weights; gives the seeds that it made."""
    monkeypatch.chdir(tmp_path)
    prepare(edited(tmp_path, *SMALL, ("seeds", [0, 1])))

    def stage(seed=None, **changes):
        set_params(tmp_path, **changes)
        made = []

        def points(run):
            made.append(run.seed)
            for level in run.settings.levels:
                yield level, [np.random.uniform(size=w.shape) * (level == 0) for w in run.model.get_weights()]

        run_method("prune_global", points, Path("params.yaml"), seed)
        return made

    return stage


def results() -> dict[str, bytes]:
    return {str(p): p.read_bytes() for top in ("models", "metrics") for p in Path(top).rglob("*") if p.is_file()}


def test_a_seed_that_is_added_is_made_alone(stage):
    assert stage() == [0, 1]
    before = results()
    assert stage(seeds=[0, 1, 2]) == [2]
    assert {name: results()[name] for name in before if name != "metrics/prune_global.json"} == {
        name: content for name, content in before.items() if name != "metrics/prune_global.json"
    }
    weights_file("prune_global", 1, 0.5).unlink()
    assert stage() == [1]
    rows_file("prune_global", 0).write_text("other")
    assert stage() == [0]
    assert stage() == [0, 1, 2]  # nothing is missing: whoever asks for it wants it all anew


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"prune": {"floor": 1}}, marks=pytest.mark.long),
        pytest.param({"prune": {"levels": [0, 0.6]}}, marks=pytest.mark.long),
        {"prune": {"exclude": ["conv1"]}},
        "data",
        pytest.param("baseline", marks=pytest.mark.long),
    ],
)
def test_a_change_makes_all_anew(stage, change):
    stage()
    if change == "data":
        path = next(Path("data/prepared").glob("*validation*"))
        path.touch()
        assert stage(seeds=[0, 1, 2]) == [2]  # a time is no change
        path = Path("data/prepared/about.json")
        path.write_text(path.read_text() + "\n")
    elif change == "baseline":
        for seed in (0, 1):
            rows_file("baseline", seed).parent.mkdir(parents=True, exist_ok=True)
            rows_file("baseline", seed).write_text("other weights")
    assert stage(seeds=[0, 1, 2, 3], **(change if isinstance(change, dict) else {}))[:2] == [0, 1]


def test_what_follows_from_the_parameters_stays_alone(stage):
    stage(seeds=[0, 1, 2])
    assert stage(5) == [5]
    assert json.loads(Path("metrics/prune_global.json").read_text())["seeds"] == 3
    assert stage(seeds=[1]) == []
    assert sorted(p.name for p in Path("models/prune_global").iterdir()) == ["1"]
    assert {p.name for p in Path("metrics/prune_global").iterdir()} == {"1.csv", "1.provenance.json"}
    assert stage() == [1]
    stage(prune={"levels": [0]})
    summary = json.loads(Path("metrics/prune_global.json").read_text())
    assert (summary["seeds"], summary["points"], summary["sparsity_max"]) == (1, 1, 0)


def test_taught_by_an_ensemble_a_seed_follows_from_the_baselines_of_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    taught = ("recipes.cosine.distillation", 0.5), ("seeds", [0, 1])
    alone = load_params(edited(tmp_path, *taught))
    assert alone.teachers("iterative", 1) == (("baseline", 1),)
    params = load_params(edited(tmp_path, *taught, ("recipes.cosine.teacher", "ensemble")))
    assert [params.teachers(stage, 1) for stage in ("iterative", "masked", "baseline")] == [
        (("baseline", 0), ("baseline", 1)),
        (),
        (),
    ]
    assert "seeds" in relevant(params, "iterative")
    assert "seeds" not in relevant(alone, "iterative") | relevant(params, "masked")
    stages = "iterative", "masked"
    before = [made_from(stage, params, 0) for stage in stages]
    rows_file("baseline", 1).parent.mkdir(parents=True)
    rows_file("baseline", 1).write_text("another baseline")
    after = [made_from(stage, params, 0) for stage in stages]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True]


def test_a_seed_s_bytes_do_not_depend_on_those_before_it(stage):
    stage()
    together = results()
    assert stage(1) == [1]
    assert results() == together


@pytest.fixture
def project(tmp_path):
    """Two seeds' random networks, to be pruned by commands."""
    edited(tmp_path, *SMALL, ("seeds", [0, 1]), ("baseline.epochs", 0), ("baseline.keep_epoch", 0))
    for command in ("prepare", "baseline"):
        run("prunefront", command, folder=tmp_path)
    return tmp_path


def test_seeds_made_side_by_side_are_those_made_in_turn(project, monkeypatch):
    monkeypatch.chdir(project)
    set_params(project, runtime={"processes": 2})
    ran = run("prunefront", "prune_global", folder=project)
    assert "seed 0 2/2" in ran.stderr
    assert "seed 1 2/2" in ran.stderr
    side_by_side = results()
    set_params(project, runtime={"processes": 1})
    run("prunefront", "prune_global", folder=project)
    assert results() == side_by_side
    set_params(project, runtime={"processes": 2})
    weights_file("baseline", 1, 0).unlink()
    rows_file("prune_global", 0).unlink()
    rows_file("prune_global", 1).unlink()
    failed = run("prunefront", "prune_global", folder=project, check=False)
    assert failed.returncode == 1
    errors = [line for line in failed.stderr.splitlines() if "rror" in line]
    assert len(errors) == 1
    assert errors[0].startswith("error: Expected weights in models/baseline/1")
    assert rows_file("prune_global", 0).exists()
    assert not rows_file("prune_global", 1).exists()


def test_no_more_processes_than_seeds_or_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert shares([5, 6, 7], 1) == [[5, 6, 7]]
    assert shares([5, 6, 7], 2) == [[5, 7], [6]]
    assert shares([5, 6], 9) == [[5], [6]]
    assert shares(range(5), 9) == [range(0, 5, 3), range(1, 5, 3), range(2, 5, 3)]
