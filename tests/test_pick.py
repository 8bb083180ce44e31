"""The best point under constraints, by hand on four points, and never one that breaks them."""

import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prunefront import InputError
from prunefront.frontier.pareto import non_dominated, pairs, saving
from prunefront.frontier.summary import Summary
from prunefront.pipeline.points import COSTS
from prunefront.pipeline.store import FRONTIER, SUMMARY
from prunefront.tools.pick import limits, pick, print_pick
from tests.helpers import assert_one_line, operating_points, python

# method, validation accuracy, sparsity, bytes, multiply-adds; 1,000 weights (4,000 bytes), 10,000 multiply-adds
FOUR = [
    ("dense", 0.90, 0.00, 4000, 10_000),
    ("even", 0.90, 0.50, 2200, 4_000),
    ("deep", 0.85, 0.90, 600, 6_000),
    ("last", 0.60, 0.99, 100, 1_000),
]


def picked(by="sparsity", points=FOUR, **bounds):
    found = pick(operating_points(*points), limits(0.9, **bounds), by)
    return [None if row is None else row["method"] for row in found]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"max_accuracy_drop": 0}, [None, "even", "deep"]),  # the dense one is dominated
        ({"max_accuracy_drop": 0.05}, ["even", "deep", "last"]),  # 0.9 - 0.05 is 0.8500000000000001
        ({"max_accuracy_drop": 1}, ["deep", "last", None]),
        ({"min_accuracy": 0.6}, ["deep", "last", None]),
        ({"max_bytes": 4000}, [None, "even", "deep"]),  # as accurate as the dense one, and smaller
        ({"max_bytes": 2199}, ["even", "deep", "last"]),
        ({"max_multiply_adds": 4000}, [None, "even", "deep"]),
        ({"max_multiply_adds": 2e3}, ["deep", "last", None]),
        ({"min_sparsity": 0.50004}, [None, "even", "deep"]),  # 50.00 %, as it is shown
        ({"min_sparsity": 0.51}, ["even", "deep", "last"]),
        ({"max_accuracy_drop": 0.1, "max_bytes": 3000}, ["even", "deep", "last"]),  # enough accuracy: the sparsest
        ({"max_accuracy_drop": 0.1, "max_multiply_adds": 5000}, [None, "even", "deep"]),
    ],
)
def test_the_best_of_four_and_its_neighbours(bounds, expected):
    assert picked(**bounds) == expected


def test_the_axis_says_what_is_cheap_and_who_the_neighbours_are():
    assert picked(by="multiply_adds", max_accuracy_drop=0.05) == [None, "even", "last"]  # the deep one is dominated
    assert picked(by="bytes", max_accuracy_drop=0.05) == ["even", "deep", "last"]


def test_between_equals_the_more_accurate_then_the_first():
    points = [("a", 0.7, 0.5, 9, 9), ("b", 0.8, 0.5, 9, 9), ("c", 0.8, 0.5, 9, 9)]
    assert picked(points=points, min_accuracy=0.6) == [None, "b", None]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"min_accuracy": 0.95}, r"accuracy at least 0.95. Received: none; the nearest is dense at 0.00% .* 0.9$"),
        ({"max_bytes": 50}, r"bytes at most 50. Received: none; the nearest is last .*bytes 100$"),
        ({"max_multiply_adds": 2e2}, r"multiply-adds at most 200. Received: none; the nearest is last .* 1,000$"),
        (
            {"max_accuracy_drop": 0.01, "max_bytes": 500},  # deep misses them by 4 and 20 %
            r"at least 0.89, bytes at most 500. Received: none; the nearest is deep .*0.85, bytes 600$",
        ),
    ],
)
def test_where_nothing_fits_the_nearest_is_named(bounds, message):
    with pytest.raises(InputError, match=message) as caught:
        picked(**bounds)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"max_accuracy_drop": 1.5}, "--max-accuracy-drop: expected a share between 0 and 1. Received: 1.5"),
        ({"min_accuracy": -0.1}, "--min-accuracy: expected a share"),
        ({"min_sparsity": float("nan")}, "--min-sparsity: expected a share between 0 and 1. Received: nan"),
        ({"max_bytes": -1}, "--max-bytes: expected a number from 0. Received: -1"),
        ({"max_bytes": float("inf")}, "--max-bytes: expected a number from 0. Received: inf"),
        ({"max_multiply_adds": float("nan")}, "--max-multiply-adds: expected a number from 0"),
    ],
)
def test_bounds_out_of_range_are_refused(bounds, message):
    with pytest.raises(InputError, match=message):
        limits(0.9, **bounds)


def test_a_null_baseline_is_never_picked():
    points = operating_points(*FOUR).assign(eligible=[True, False, True, False])
    found = pick(points, limits(0.9, max_bytes=3000), "sparsity")
    assert (found.larger["method"], found.best["method"], found.smaller) == ("dense", "deep", None)
    with pytest.raises(InputError, match="no points of any method"):
        pick(points.assign(eligible=False), limits(0.9, max_bytes=3000), "sparsity")


shares = st.sampled_from([0, 0.25, 0.5, 0.75, 1]) | st.floats(0, 1)
numbers = st.integers(0, 20)
axes = st.sampled_from(["sparsity", "bytes", "multiply_adds"])
some_bounds = st.fixed_dictionaries(
    {},
    optional={
        "max_accuracy_drop": shares,
        "min_accuracy": shares,
        "min_sparsity": shares,
        "max_bytes": numbers,
        "max_multiply_adds": numbers,
    },
)


@given(st.lists(st.tuples(st.just("m"), shares, shares, numbers, numbers), min_size=1, max_size=8), some_bounds, axes)
def test_what_is_picked_keeps_to_all_bounds_and_nothing_better_does(points, bounds, by):
    assume(bounds)
    table = operating_points(*points, weights=5, multiply_adds=20)
    table["saving"] = saving(table, by)
    fits = (
        (table["val_accuracy"] >= max(0.9 - bounds.get("max_accuracy_drop", 1), bounds.get("min_accuracy", 0)) - 1e-8)
        & (table["sparsity"] >= bounds.get("min_sparsity", 0) - 6e-5)
        & (table["bytes_lossless"] <= bounds.get("max_bytes", 100))
        & (table["multiply_adds_nonzero"] <= bounds.get("max_multiply_adds", 100))
    )
    try:
        larger, best, smaller = pick(table, limits(0.9, **bounds), by)
    except InputError:  # of the slack only half is sure
        assert not fits.any() or table[fits]["sparsity"].max() < bounds.get("min_sparsity", 0)
        return
    assert fits[best.name]
    first, second = "val_accuracy", "saving"
    if set(bounds) & {"max_accuracy_drop", "min_accuracy"}:
        first, second = second, first
    rivals = table[fits & (table["sparsity"] >= bounds.get("min_sparsity", 0))]
    assert not (rivals[first] > best[first]).any()
    assert not ((rivals[first] == best[first]) & (rivals[second] > best[second])).any()
    front = table[non_dominated(pairs(table, by))]
    for neighbour, beyond in ((larger, front["saving"] < best["saving"]), (smaller, front["saving"] > best["saving"])):
        gap = (front["saving"] - best["saving"]).abs()[beyond]
        assert (neighbour is None) == gap.empty
        assert gap.empty or abs(neighbour["saving"] - best["saving"]) == gap.min()


# --- the command


@pytest.fixture
def result(tmp_path, monkeypatch):
    """The four points as a result in a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("metrics").mkdir()
    points = operating_points(*FOUR)
    points.to_csv(FRONTIER, index=False)
    share = {"val_accuracy": 0.9, "test_accuracy": 0.8}
    submitted = {"method": "deep", "seed": 0, "above_gate": True, "target_sparsity": 0.9, "sparsity": 0.9}
    submitted |= {"nonzero": 100, "score": 0.875, "ledger": {}, **share}
    summary = {"submitted": submitted, "baseline": {"seed": 0, **share}, "hypervolume": {}, "axis": "bytes"}
    Summary.model_validate(summary)
    SUMMARY.write_text(json.dumps(summary))
    return points


def test_the_pick_is_shown_with_neighbours_test_accuracy_and_export(result, capsys):  # noqa: ARG001
    print_pick(None, max_accuracy_drop=0.05)
    said = capsys.readouterr().out
    rows = [line for line in said.splitlines() if line.startswith("│")]
    assert [line.split("│")[1].strip() for line in rows] == ["next larger", "best", "next smaller"]
    assert all(text in rows[1] for text in ("deep", "90.00%", "600", "6,000", "0.8500", "0.7500"))
    assert "best: deep at 90.00% sparsity, seed 0; neighbours along the frontier over bytes" in said
    assert "weights: models/deep/0/s90.weights.h5 (not here" in said
    assert "as a program: prunefront export models/deep/0/s90.weights.h5 --to c\n" in said
    print_pick(None, max_multiply_adds=5000)  # the axis that is limited
    assert "best: even at 50.00% sparsity, seed 0; neighbours along the frontier over multiply_adds" in (
        capsys.readouterr().out
    )


def test_results_without_costs_are_picked_from_by_what_they_have(result, capsys):
    result.drop(columns=COSTS).to_csv(FRONTIER, index=False)
    print_pick("sparsity", max_accuracy_drop=0.05)
    assert "best: deep" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"frontier.csv: expected costs; run `dvc repro`. Received: no column bytes_"):
        print_pick("sparsity", max_bytes=3000)


def test_the_command_takes_numbers_with_exponents_and_at_least_one(result, tmp_path):  # noqa: ARG001
    found = python("-X", "importtime", "-m", "stages.pick", "--max-bytes", "1e3", folder=tmp_path)
    assert "best: deep" in found.stdout
    imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert not imported & {"tensorflow", "keras"}
    none = python("-m", "stages.pick", folder=tmp_path)
    assert none.returncode == 2
    assert "expected at least one of --max-accuracy-drop, --min-accuracy" in none.stderr
    assert python("-m", "stages.pick", "--max-bytes", "30k", folder=tmp_path).returncode == 2
    assert_one_line(python("-m", "stages.pick", "--min-accuracy", "2", folder=tmp_path), "between 0 and 1. Received: 2")
