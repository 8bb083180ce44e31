"""The real pipeline, end to end, in a copy of the project: slow, so the tests are one story, told in order."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from prunefront import load_weights, score, sparsity
from prunefront.data.splits import read_split
from prunefront.models.built_in import build_network
from prunefront.models.certificate import verify
from prunefront.sparse_file.codec import decode, encode
from prunefront.tools.publish import PUBLISHED
from prunefront.training.trainer import compile_classifier, evaluate
from tests.helpers import assert_one_line, run, set_params
from tests.pipelines import LATER, REPORT, contents, new_project, stages_run

pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The report's methods for two seeds."""
    return new_project(tmp_path_factory.mktemp("pipeline") / "project", LATER, runtime={"processes": 1})


def test_one_command_runs_everything(project):
    result = run("dvc", "repro", folder=project)
    assert {"baseline", *REPORT} < set(stages_run(result))
    assert '<h2 id="training-title">' in (project / "metrics" / "report.html").read_text(encoding="utf-8")
    assert run("git", "status", "--short", folder=project).stdout.split() == ["??", "dvc.lock", "??", "metrics/"]
    run("git", "add", "-A", folder=project)
    run("git", "commit", "-qm", "two seeds", folder=project)


def test_the_frontier_has_a_row_per_method_seed_and_level(project):
    rows = pd.read_csv(project / "metrics" / "frontier.csv")
    counts = rows.groupby(["method", "seed"]).size().to_dict()
    assert counts == {(method, seed): levels for method, levels in REPORT.items() for seed in (0, 1)}
    for row in rows.itertuples():
        name = f"s{row.target_sparsity * 100:.0f}.weights.h5"
        path = project / "models" / row.method / str(row.seed) / name
        weights = load_weights(path)
        assert sparsity(weights) == row.sparsity == 1 - row.nonzero / row.parameters
        assert verify(path)["zeros"] == row.parameters - row.nonzero
        assert row.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row.score == score(row.val_accuracy, row.sparsity, 0.6)
        files = [encode(weights, values) for values in ("float32", "bfloat16", "int8")]
        assert [row.bytes_lossless, row.bytes_bfloat16, row.bytes_int8] == [len(file) for file in files]
        assert row.trainable_zeros <= row.effective_zeros <= row.parameters
        assert row.multiply_adds >= max(row.multiply_adds_compacted, row.multiply_adds_nonzero) > 0
    assert rows["val_accuracy"].max() > 0.8


def test_the_submitted_weights_are_what_is_reported(project):
    summary = json.loads((project / "metrics" / "pareto.json").read_text())
    rows = pd.read_csv(project / "metrics" / "frontier.csv")
    submitted = summary["submitted"]
    assert submitted["score"] == rows.loc[rows["eligible"], "score"].max()
    assert set(summary["hypervolume"]) == {*REPORT}
    assert submitted["ledger"]["effective"]["zeros"] >= submitted["ledger"]["trainable"]["zeros"]
    chosen = rows[(rows["score"] == submitted["score"]) & (rows["method"] == submitted["method"])].iloc[0]
    model = build_network((10, 10, 1), 10)
    model.load_weights(project / "models" / "submitted.weights.h5")
    compile_classifier(model)
    for name, accuracy in (("validation", "val_accuracy"), ("test", "test_accuracy")):
        split = read_split(name, project / "data" / "prepared")
        assert evaluate(model, split)[0] == pytest.approx(submitted[accuracy], abs=1e-9)
    rounded = build_network((10, 10, 1), 10)
    rounded.set_weights(decode(encode(model.get_weights(), "int8")))
    compile_classifier(rounded)
    validation = read_split("validation", project / "data" / "prepared")
    assert evaluate(rounded, validation)[0] == pytest.approx(chosen["val_accuracy_int8"], abs=1e-9)
    assert sparsity(model.get_weights()) == submitted["sparsity"]
    verified = run("python", "-m", "stages.verify", "models/submitted.weights.h5", folder=project)
    assert f"zeros of {model.count_params():,} values hold" in verified.stdout
    loaded = load_weights(project / "models" / "submitted.weights.h5")
    for mine, theirs in zip(model.get_weights(), loaded, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_intervals_come_from_the_examples_that_each_point_gets_right(project):
    rows = pd.read_csv(project / "metrics" / "frontier.csv")
    intervals = pd.read_csv(project / "metrics" / "intervals.csv", dtype={"seeds": str})
    single = intervals[intervals["seeds"] != "all"]
    assert len(intervals) == len(rows) + len(rows) // 2  # a mean for each pair of seeds
    for name in ("method", "target_sparsity", "sparsity", "val_accuracy", "test_accuracy"):
        assert single[name].tolist() == rows[name].tolist()
    assert (
        (intervals["val_low"] <= intervals["val_accuracy"]) & (intervals["val_accuracy"] <= intervals["val_high"])
    ).all()
    summary = json.loads((project / "metrics" / "pareto.json").read_text())
    chosen = single[single["behind_low"] == single["behind_high"]].iloc[0]
    assert (chosen["method"], chosen["seeds"]) == (summary["submitted"]["method"], str(summary["submitted"]["seed"]))
    assert single["wins"].sum() == pytest.approx(1)
    assert summary["wins"][0]["share"] == single["wins"].max()
    assert summary["optimism"]["score"] == summary["submitted"]["score"]
    y = read_split("test", project / "data" / "prepared").y
    with np.load(project / "models" / "correct.npz") as file:
        found = np.unpackbits(file["right"], axis=1, count=len(y))
    assert found[: len(rows)].mean(axis=1).tolist() == rows["test_accuracy"].tolist()
    shown = run("python", "-m", "stages.show", folder=project).stdout
    assert "cannot be told from it by their validation accuracy at 95 %" in shown
    assert "on fresh examples (optimism" in shown


def test_the_exports_are_the_submitted_model(project):
    rows = pd.read_csv(project / "metrics" / "exports.csv").set_index("format")
    submitted = json.loads((project / "metrics" / "pareto.json").read_text())["submitted"]
    assert {"keras", "sparse", "c", "litert_int8"} == set(rows.index)
    for name in ("keras", "sparse"):
        assert rows.loc[name, "zeros"] == submitted["ledger"]["all"]["zeros"]
        assert rows.loc[name, ["val_accuracy", "test_accuracy"]].tolist() == [
            submitted["val_accuracy"],
            submitted["test_accuracy"],
        ]
    loaded = load_weights(project / "exports" / "submitted.sparse")
    for mine, theirs in zip(loaded, load_weights(project / "models" / "submitted.weights.h5"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert "export litert_int8: submitted_int8.tflite, " in run("python", "-m", "stages.show", folder=project).stdout


def test_running_again_runs_nothing(project):
    assert stages_run(run("dvc", "repro", folder=project)) == []
    assert run("git", "status", "--short", folder=project).stdout == ""


def test_a_bad_parameter_stops_everything_and_leaves_all_results(project):
    before = contents(project)
    set_params(project, masked={"epohcs": 3})
    result = run("dvc", "repro", folder=project, check=False)
    assert result.returncode != 0
    assert "did you mean 'epochs'?" in result.stderr
    assert "Traceback" not in result.stderr
    assert contents(project) == before
    run("git", "checkout", "-q", "params.yaml", folder=project)
    set_params(project, data={"path": "absent.npz", "source": "npz"})
    result = run("dvc", "repro", folder=project, check=False)
    assert result.returncode != 0
    assert "absent.npz" in result.stderr
    assert contents(project) == before
    run("git", "checkout", "-q", "params.yaml", folder=project)


def test_weights_of_another_shape_leave_all_results(project):
    before = contents(project)
    np.savez(project / "inputs" / "mine.npz", *[np.ones(3)] * 12)
    set_params(project, model={"weights": "inputs/mine.npz"})
    result = run("dvc", "repro", folder=project, check=False)
    assert result.returncode != 0
    assert "error: model.weights (inputs/mine.npz): expected network/conv1/kernel of shape" in result.stderr
    assert {k: v for k, v in contents(project).items() if "partial" not in k} == before
    run("git", "checkout", "-q", "params.yaml", folder=project)


def test_results_are_published_and_compared(project):
    run("python", "-m", "stages.publish", "results/mine", folder=project)
    folder = project / "results" / "mine"
    assert {p.name for p in folder.iterdir()} == PUBLISHED | {"exports.csv", "report.html"}
    assert "values hold" in run("prunefront", "verify", "results/mine/submitted.npz", folder=project).stdout
    submitted = load_weights(project / "models" / "submitted.weights.h5")
    for mine, theirs in zip(load_weights(folder / "submitted.npz"), submitted, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    cost = json.loads((folder / "cost.json").read_text())
    per_example = cost["multiply_adds_per_example"]
    assert 0 < per_example["submitted"] < per_example["dense"]
    assert cost["training"]["masked"]["0"]["epochs"] == 2  # two levels of one
    assert cost["training"]["baseline"]["0"]["multiply_adds"] == 3 * per_example["dense"] * 6 * 1079
    (folder / "mine.txt").write_text("precious")
    refused = run("python", "-m", "stages.publish", "results/mine", folder=project, check=False)
    assert "error: Expected a new folder, or one of earlier published results" in refused.stderr
    assert (folder / "mine.txt").exists()
    set_params(project, masked={"levels": [0.5]})
    refused = run("python", "-m", "stages.publish", "results/other", folder=project, check=False)
    assert "metrics/masked/0.csv: expected results of the present parameters" in refused.stderr
    assert "results made with masked.levels [0.5, 0.9], which is [0.5] now" in refused.stderr
    assert not (project / "results" / "other").exists()
    run("git", "checkout", "-q", "params.yaml", folder=project)

    compared = run("python", "-m", "stages.compare", "results/mine", "results/founding-report", folder=project)
    line = next(line for line in compared.stdout.splitlines() if line.startswith("| founding-report: masked"))
    assert "| 77.1 |" in line
    assert (project / "comparison.png").stat().st_size > 10_000
    refused = run("python", "-m", "stages.compare", "results/absent", folder=project, check=False)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    (project / "comparison.png").unlink()

    picked = run("prunefront", "pick", "--max-bytes", "100e3", "--max-accuracy-drop", "0.5", folder=project).stdout
    path = picked.split("weights: ")[1].split()[0]
    assert len(encode(load_weights(project / path))) <= 100_000
    shutil.rmtree(folder)


def test_dvc_s_own_commands_work(project):
    assert "submitted.score" in run("dvc", "metrics", "show", "--md", folder=project).stdout
    ran = run("dvc", "exp", "run", "-S", "pareto.gate=1.0", "-S", "pareto.axis=bytes", folder=project)
    assert stages_run(ran) == ["prepare", "pareto", "export"]
    assert "no operating point is above the accuracy gate" in ran.stdout
    changed = run("dvc", "params", "diff", "--md", folder=project).stdout
    assert "pareto.gate" in changed
    assert run("dvc", "metrics", "diff", "--md", folder=project).stdout.count("\n") > 2
    assert "pareto.gate" in run("dvc", "exp", "show", "--csv", folder=project).stdout
    run("dvc", "plots", "show", folder=project)
    page = (project / "dvc_plots" / "index.html").read_text()
    assert "pareto.png" in page
    assert "val_accuracy" in page


def test_no_point_above_the_gate_submits_the_dense_network(project):
    submitted = json.loads((project / "metrics" / "pareto.json").read_text())["submitted"]
    assert (submitted["method"], submitted["score"], submitted["above_gate"]) == ("baseline", 0, False)
    front = pd.read_csv(project / "metrics" / "frontier.csv").query("on_frontier").sort_values("bytes_lossless")
    assert front["val_accuracy"].is_monotonic_increasing
    shown = run("python", "-m", "stages.show", folder=project).stdout
    assert "no operating point is above the accuracy gate" in shown
    run("git", "checkout", "-q", ".", folder=project)
    run("dvc", "checkout", folder=project)


def test_weights_that_were_not_measured_are_not_submitted(project):
    summary = (project / "metrics" / "pareto.json").read_bytes()
    submitted = json.loads(summary)["submitted"]
    level = f"s{submitted['target_sparsity'] * 100:.0f}.weights.h5"
    (project / "models" / submitted["method"] / str(submitted["seed"]) / level).write_bytes(b"other")
    result = run("python", "-m", "stages.pareto", folder=project, check=False)
    assert_one_line(result, "Expected models/")
    assert (project / "metrics" / "pareto.json").read_bytes() == summary
