"""Runs side by side: what is damaged is refused in one line."""

import pytest

from prunefront import InputError
from prunefront.tools.compare import load_runs, tabulate

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
