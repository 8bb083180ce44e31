"""`prunefront bench`: what is timed, beside what, and where it goes; never how fast anything is."""

import shutil

import pytest

from prunefront.common.files import write_json
from prunefront.export import export as exporting
from prunefront.export.convert import convert
from prunefront.export.latency import COLUMNS, read_latency
from prunefront.tools import bench as benching
from prunefront.tools.bench import bench
from prunefront.tools.show import print_latency
from tests.test_export import parameters, prepared, sparse_layers


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """A run with a dense and a submitted network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporting, "answers", lambda _, task, __: (list(convert(task)), ""))
    model = sparse_layers()
    prepared(tmp_path, model)
    (tmp_path / "models" / "baseline" / "0").mkdir(parents=True)
    model.set_weights([w + 0.1 for w in model.get_weights()])
    model.save_weights(tmp_path / "models" / "baseline" / "0" / "s0.weights.h5")
    submitted = {"method": "gradual", "seed": 0, "above_gate": True, "target_sparsity": 0.5, "sparsity": 0.5}
    submitted |= {"nonzero": 1, "val_accuracy": 1.0, "score": 0.75, "test_accuracy": 1.0, "ledger": {}}
    dense = {"seed": 0, "val_accuracy": 1.0, "test_accuracy": 1.0}
    write_json(tmp_path / "metrics" / "pareto.json", {"submitted": submitted, "baseline": dense, "hypervolume": {}})
    return tmp_path


def test_every_model_is_timed_in_every_format_as_a_multiple_of_dense_litert(complete, monkeypatch, capsys):
    monkeypatch.setenv("CC", "no-such-compiler")
    table = bench(parameters(complete, ["sparse", "litert_int8", "c"]), rounds=2, seconds=1e-4)
    said = capsys.readouterr().out
    assert "left out is dense, c, 1, 1 threads: Expected a C compiler" in said
    cases = table.set_index(["model", "format", "batch", "threads"]).sort_index()
    models, formats = ("dense", "submitted", "compacted"), ("litert", "litert_int8")
    assert set(cases.index) == {(m, f, b, t) for m in models for f in formats for b in (1, 64) for t in (1, 2)}
    assert (cases.loc[("dense", "litert"), ["ratio", "ratio_low", "ratio_high"]] == 1).all(axis=None)
    assert (table["ratio_low"] <= table["ratio"]).all()
    assert (table["ratio"] <= table["ratio_high"]).all()
    assert (table["milliseconds"] > 0).all()
    read = read_latency()
    assert list(read.columns) == COLUMNS
    assert read["rounds"].tolist() == [2] * len(table)
    print_latency(read)
    assert "compacted" in capsys.readouterr().out
    shutil.copyfile("models/baseline/0/s0.weights.h5", "models/submitted.weights.h5")
    assert read_latency() is None  # it was about other weights


@pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler")
def test_c_is_timed_on_one_thread(complete):
    table = bench(parameters(complete, ["c"]), rounds=1, seconds=1e-4)
    assert set(table.loc[table["format"] == "c", "threads"]) == {1}
    assert set(table.loc[table["format"] == "c", "model"]) == {"dense", "submitted", "compacted"}


@pytest.mark.usefixtures("complete")
def test_ratios_are_taken_round_by_round():
    """The machine is half as fast in the second round: the ratio stays what it was."""
    reference, other = benching.Case("dense", "litert", 1, 1), benching.Case("submitted", "c", 1, 1)
    table = benching._table({reference: [4.0, 8.0, 4.0], other: [1.0, 2.0, 2.0]}, 3)
    row = table.iloc[1]
    assert (row["ratio"], row["ratio_low"], row["ratio_high"], row["milliseconds"]) == (4, 2, 4, 2000)
