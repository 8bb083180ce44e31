"""Runs side by side: what is damaged is refused in one line."""

import json

import pandas as pd
import pytest

from prunefront import InputError
from prunefront.frontier.intervals import COLUMNS
from prunefront.tools.compare import load_means, load_runs, overlaps, tabulate

HEADER = "method,seed,target_sparsity,sparsity,val_accuracy"


def run(folder, *lines):
    folder.mkdir()
    (folder / "frontier.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_means_over_seeds(tmp_path):
    folder = run(tmp_path / "mine", HEADER, "masked,0,0.9,0.9,0.5", "masked,1,0.9,0.9,0.7")
    table = tabulate(load_runs([folder]), [0.9])
    assert table.to_dict() == {"mine: masked retraining": {"90 %": "60.0"}}


def test_methods_with_one_name_keep_a_column_each(tmp_path):
    folder = run(tmp_path / "mine", HEADER, "my_own,0,0.9,0.9,0.5", "my own,0,0.9,0.9,0.7")
    table = tabulate(load_runs([folder]), [0.9])
    assert list(table.columns) == ["mine: my own"] * 2
    assert table.to_numpy().tolist() == [["50.0", "70.0"]]


@pytest.mark.parametrize(
    "lines",
    [
        [HEADER],
        [HEADER, "masked,0,0.9,0.9,abc"],
        [HEADER, "masked,0,0.9,,0.5"],
        ["method,seed", "masked,0"],
        [HEADER + ",eligible", "masked,0,0.9,0.9,0.5,True", "masked,0,0.95,0.95,0.5,"],
    ],
)
def test_damaged_results_are_refused(lines, tmp_path):
    with pytest.raises(InputError, match=r"frontier.csv: expected rows with the columns method, seed,"):
        load_runs([run(tmp_path / "mine", *lines)])


# --- intervals


def submitting(folder, low, high, above_gate=True, seeds=("0", "all")):
    """A run that submits a point whose test accuracy is between two values, in its table of intervals."""
    run(folder, HEADER + ",test_accuracy", "masked,0,0.9,0.9,0.5,0.4")
    shares = dict.fromkeys(COLUMNS, 0.5) | {"method": "masked", "target_sparsity": 0.9, "n": 1, "told_apart": False}
    shares |= {"val_low": 0.45, "val_high": 0.55, "test_low": low, "test_high": high, "sparsity": 0.9}
    pd.DataFrame([shares | {"seeds": name} for name in seeds], columns=COLUMNS).to_csv(folder / "intervals.csv")
    numbers = {"method": "masked", "seed": 0, "target_sparsity": 0.9, "sparsity": 0.9, "nonzero": 1, "score": 0.7}
    numbers |= {"val_accuracy": 0.5, "test_accuracy": 0.4, "above_gate": above_gate, "ledger": {}}
    dense = {"seed": 0, "val_accuracy": 0.5, "test_accuracy": 0.5}
    (folder / "pareto.json").write_text(json.dumps({"submitted": numbers, "baseline": dense, "hypervolume": {}}))
    return folder


def test_intervals_stand_beside_the_means_of_the_runs_that_have_them(tmp_path):
    new, old = submitting(tmp_path / "new", 0.3, 0.45), run(tmp_path / "old", HEADER, "masked,0,0.9,0.9,0.5")
    table = tabulate(load_runs([new, old]), [0.9], load_means([new, old]))
    assert table.loc["90 %"].tolist() == ["50.0 (45.0 to 55.0) / 40.0 (30.0 to 45.0) ≈", "50.0"]
    told = load_means([new]).assign(told_apart=True)
    assert tabulate(load_runs([new]), [0.9], told).loc["90 %"].tolist() == ["50.0 (45.0 to 55.0) / 40.0 (30.0 to 45.0)"]
    assert tabulate(load_runs([old]), [0.9], load_means([old])).loc["90 %"].tolist() == ["50.0"]


def test_submitted_points_whose_intervals_overlap_are_named(tmp_path):
    one, near, far = (
        submitting(tmp_path / name, low, high)
        for name, low, high in (("one", 0.3, 0.45), ("near", 0.45, 0.6), ("far", 0.7, 0.8))
    )
    lines = overlaps([one, near, far, run(tmp_path / "old", HEADER, "masked,0,0.9,0.9,0.5")])
    assert lines == [
        "one's submitted point (masked retraining, 90.00%, test accuracy 50.0 %, 30.0 to 45.0 %) and near's submitted "
        "point (masked retraining, 90.00%, test accuracy 50.0 %, 45.0 to 60.0 %): the intervals overlap, so that "
        "neither is known to be more accurate"
    ]
    assert overlaps([one, submitting(tmp_path / "dense", 0.3, 0.45, above_gate=False)]) == []


def test_intervals_without_the_submitted_point_are_refused(tmp_path):
    folder = submitting(tmp_path / "one", 0.3, 0.45, seeds=("1", "all"))
    with pytest.raises(InputError, match=r"intervals.csv: expected a row of the point that pareto.json"):
        overlaps([folder])
    (folder / "intervals.csv").write_text("hello")
    for meet in (overlaps, load_means):
        with pytest.raises(InputError, match=r"intervals.csv: expected rows"):
            meet([folder])
