"""Results that are not what a stage wrote: each is refused in one line, and nothing is left out."""

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunefront import InputError
from prunefront.common.files import read_json, write_json
from prunefront.common.params import load_params
from prunefront.frontier.submission import load_baselines, load_frontier
from prunefront.frontier.summary import read_summary
from prunefront.pipeline.points import COLUMNS, COSTS, FRONTIER_COLUMNS, read_points
from prunefront.pipeline.store import (
    FRONTIER,
    INTERVALS,
    RESULTS,
    SUMMARY,
    Spent,
    load_result,
    load_rows,
    write_no_points,
    write_rows,
)
from prunefront.tools.compare import load_runs
from prunefront.tools.publish import publish
from prunefront.tools.show import print_frontier
from tests.faults.corpus import Fault, refused
from tests.helpers import edited

OTHERS = ("freeze", "masked", "gradual", "iterative", "magnitude_rewind", "random", "small_dense", "recalibrate")
POINT = dict.fromkeys(COLUMNS, 0) | {"method": "prune_global", "target_sparsity": 0.5, "sparsity": 0.5}
POINT |= {"val_accuracy": 0.75, "val_loss": 1.5, "parameters": 4, "nonzero": 2, "weights_sha256": "0" * 64}
RESULT = POINT | {"score": 0.625, "on_frontier": True, "eligible": True, "test_accuracy": 0.5}
ACCURACIES = {"val_accuracy": 0.75, "test_accuracy": 0.5}
WHOLE = {
    "submitted": {key: RESULT[key] for key in ("method", "seed", "target_sparsity", "sparsity", "nonzero", "score")}
    | {"above_gate": True, "ledger": {"kernel": {"zeros": 1, "parameters": 2}}, **ACCURACIES},
    "baseline": {"seed": 0, **ACCURACIES},
    "axis": "bytes",
    "hypervolume": {"prune_global": 0.4},
    "majority": {"name": "cat", **ACCURACIES},
    "warnings": ["odd"],
}
SUMMARY_TEXT = json.dumps(WHOLE)
DEEP = "[" * 100_000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    """Methods 1 and 2 at a single level."""
    levels = [(f"{section}.levels", []) for section in OTHERS]
    return load_params(edited(tmp_path_factory.mktemp("params"), ("prune.levels", [0.5]), *levels))


# --- tables of operating points


def stages():
    """The results of the stages, whole."""
    for stage, level in (("prune_global", 0.5), ("prune_layerwise", 0.5), ("baseline", 0.0)):
        row = POINT | {"method": stage, "target_sparsity": level}
        write_rows(stage, 0, pd.DataFrame([row], columns=COLUMNS), {"epochs": 0})


def text(row):
    return ",".join(map(str, row))


HEAD, ROW = text(COLUMNS), text(POINT.values())


def cell(name, value):
    return f"{HEAD}\n{text((POINT | {name: value}).values())}\n"


TABLES = {
    "nothing": "",
    "a heading alone": HEAD + "\n",
    "no heading": ROW + "\n",
    "other columns": "a,b\n1,2\n",
    "a column twice": f"{HEAD},seed\n{ROW},0\n",
    "a row less": f"{HEAD}\n",
    "a row more": f"{HEAD}\n{ROW}\n{ROW}\n",
    "a short row": f"{HEAD}\nprune_global,0\n",
    "NUL bytes": "\0" * 100,
    "an open quote": f'{HEAD}\n"{ROW}\n',
    "another method": cell("method", "masked"),
    "another seed": cell("seed", 1),
    "another level": cell("target_sparsity", 0.6),
    **{
        f"{name} {value}": cell(name, value)
        for name in ("sparsity", "val_accuracy", "target_sparsity", "val_accuracy_int8")
        for value in ("", "abc", "nan", "-inf", "inf", "null", "[]", "True", "-0.1", "1.5", "1e999")
    },
    **{f"nonzero {value}": cell("nonzero", value) for value in ("", "abc", "-1", "1.5", "inf", "True", "9" * 400)},
    **{f"val_loss {value}": cell("val_loss", value) for value in ("", "abc", "nan", "-inf", "True")},
    "no digest": cell("weights_sha256", ""),
}


@pytest.mark.parametrize("name", TABLES)
def test_damaged_rows_are_refused_and_never_left_out(name, params):
    stages()
    assert len(load_frontier(params)) == 2
    rows = Path("metrics/prune_global/0.csv")
    rows.write_text(TABLES[name])
    refused(Fault(lambda _: params, load_frontier, r"metrics/prune_global/0.csv: expected"), Path())


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"\xff\xfe\x00"), lambda path: path.mkdir()])
def test_rows_that_are_no_text_file_are_refused(make, params):
    stages()
    path = Path("metrics/prune_global/0.csv")
    path.unlink()
    make(path)
    refused(Fault(lambda _: params, load_frontier, r"0.csv: expected rows .*a damaged or different file"), Path())


def test_missing_rows_are_refused(params):
    stages()
    Path("metrics/prune_layerwise/0.csv").unlink()
    refused(Fault(lambda _: params, load_frontier, "run `dvc repro`, .*prunefront prune_layerwise --seed 0"), Path())
    write_no_points("baseline", 0)
    refused(Fault(lambda _: params, load_baselines, "a row of baseline, seed 0, for each of its levels"), Path())


def test_whole_rows_are_read_as_they_were_written(params):
    stages()
    rows = load_rows("prune_global", 0, params.levels("prune_global"))
    assert rows.to_dict("records") == [POINT]
    assert list(rows) == COLUMNS


@settings(max_examples=60)
@given(st.sampled_from(COLUMNS), st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.floats().map(str))
def test_any_cell_is_refused_in_one_line_or_what_its_column_says(name, value):
    path = Path("rows.csv")
    pd.DataFrame([POINT | {name: value}], columns=COLUMNS).to_csv(path, index=False)
    try:
        rows = read_points(path, COLUMNS)
    except InputError as error:
        rows = str(error)
    if isinstance(rows, str):
        assert "\n" not in rows
    else:
        assert rows.drop(columns=["method", "weights_sha256"]).map(np.isfinite).to_numpy().all()
        assert rows[["sparsity", "val_accuracy", "target_sparsity"]].map(lambda share: 0 <= share <= 1).to_numpy().all()


# --- the result of the last stage


FIRST = text(FRONTIER_COLUMNS)
LINES = f"{FIRST}\n{text(RESULT.values())}\n"


def result(summary=SUMMARY_TEXT, frontier=LINES):
    def make(_):
        Path("models").mkdir()
        Path("metrics").mkdir()
        Path("models/submitted.weights.h5").write_bytes(b"")
        for path in RESULTS:
            path.write_bytes(b"")
        SUMMARY.write_text(summary)
        FRONTIER.write_text(frontier)

    return make


def without(key, entry):
    return json.dumps({**WHOLE, key: {k: v for k, v in WHOLE[key].items() if k != entry}})


SUMMARIES = {
    "nothing": "",
    "text": "hello",
    "a number": "5",
    "null": "null",
    "a list": "[]",
    "an empty mapping": "{}",
    "half": SUMMARY_TEXT[:100],
    "lists 100,000 deep": DEEP,
    "mappings 100,000 deep": '{"a":' * 100_000,
    "a number of 5,000 digits": SUMMARY_TEXT.replace('"nonzero": 2', f'"nonzero": {"9" * 5000}'),
    "NaN": SUMMARY_TEXT.replace("0.625", "NaN"),
    "-Infinity": SUMMARY_TEXT.replace("0.625", "-Infinity"),
    "a share above 1": SUMMARY_TEXT.replace("0.625", "1.5"),
    "a share as text": SUMMARY_TEXT.replace("0.625", '"0.625"'),
    "a list as a number": SUMMARY_TEXT.replace("0.625", "[]"),
    "a flag as a number": SUMMARY_TEXT.replace('"above_gate": true', '"above_gate": 1'),
    "no ledger": without("submitted", "ledger"),
    "no accuracy": without("baseline", "test_accuracy"),
    "a ledger of another kind": SUMMARY_TEXT.replace('{"zeros": 1, "parameters": 2}', "null"),
    "another axis": json.dumps({**WHOLE, "axis": "speed"}),
    "a submitted point that is none": json.dumps({**WHOLE, "submitted": None}),
}
FRONTIERS = {
    "nothing": "",
    "a heading alone": FIRST + "\n",
    "a stage's rows": f"{HEAD}\n{ROW}\n",
    "a flag of another kind": f"{FIRST}\n{text((RESULT | {'on_frontier': 'maybe'}).values())}\n",
    "a score as text": f"{FIRST}\n{text((RESULT | {'score': 'high'}).values())}\n",
    "no test accuracy": f"{FIRST}\n{text((RESULT | {'test_accuracy': ''}).values())}\n",
}


def published(params):
    return lambda _: publish(SimpleNamespace(params=params), Path("params.yaml"), Path("out"))


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_damaged_summary_is_neither_shown_nor_published(name, params, tmp_path):
    make = result(summary=SUMMARIES[name])
    refused(Fault(make, lambda _: print_frontier(), "metrics/pareto.json: expected Summary as JSON"), tmp_path)
    refused(Fault(lambda _: None, published(params), "metrics/pareto.json: expected Summary as JSON"), tmp_path)


@pytest.mark.parametrize("name", FRONTIERS)
def test_a_damaged_frontier_is_neither_shown_nor_published(name, params, tmp_path):
    make = result(frontier=FRONTIERS[name])
    message = "metrics/frontier.csv: expected rows|Expected metrics/prepare.provenance.json, which says what"
    refused(Fault(make, published(params), message), tmp_path)
    if name != "a heading alone":  # an empty frontier is shown as one
        refused(Fault(lambda _: None, lambda _: print_frontier(), "metrics/frontier.csv: expected rows"), tmp_path)


def test_a_whole_result_is_shown(tmp_path, capsys):
    result()(tmp_path)
    INTERVALS.unlink()
    print_frontier()
    printed = capsys.readouterr().out
    assert "submitted: global magnitude (prune_global) at 50.00% sparsity, score 0.6250" in printed
    assert "always cat, the commonest class: validation accuracy 0.7500, test accuracy 0.5000" in printed
    assert "warning: odd" in printed
    assert read_summary().model_dump(exclude_unset=True) == WHOLE


def test_intervals_say_what_cannot_be_told_from_the_submitted_point(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    near = RESULT | {"target_sparsity": 0.6, "sparsity": 0.6}
    far = RESULT | {"target_sparsity": 0.75, "sparsity": 0.75}
    wins = [{"point": {key: RESULT[key] for key in POINT_KEYS}, "share": 0.75}]
    optimism = {"score": 0.625, "expected": 0.5, "optimism": 0.125, "test_score": 0.0}
    rows = [RESULT, near, far]
    lines = "\n".join([FIRST, *map(table_row, rows)])
    result(json.dumps(WHOLE | {"wins": wins, "optimism": optimism}), lines)(tmp_path)
    pd.DataFrame([interval(RESULT), interval(near), interval(far, told_apart=True)]).to_csv(INTERVALS, index=False)
    print_frontier()
    shown = capsys.readouterr().out
    assert "1 of 2 other points cannot be told from it by their validation accuracy at 95 %" in shown
    assert "the sparsest is global magnitude, 60.00%" in shown
    assert "its score 0.6250 is expected to be 0.5000 on fresh examples (optimism 0.1250)" in shown
    assert "would submit: global magnitude, 50.00% (75%)" in shown
    assert [word in shown for word in ("0.5000 to 1.0000", "cannot be told", "less accurate")] == [True] * 3
    pd.DataFrame([interval(RESULT)]).to_csv(INTERVALS, index=False)
    message = "metrics/intervals.csv: expected the points of metrics/frontier.csv; run `dvc repro`"
    refused(Fault(lambda _: None, lambda _: print_frontier(), message), tmp_path)


POINT_KEYS = ("method", "seed", "target_sparsity", "sparsity", "val_accuracy")


def table_row(row):
    return text(row.values())


def interval(row, told_apart=False):
    numbers = {"val_low": 0.5, "val_high": 1.0, "test_low": 0.25, "test_high": 0.75, "n": 1, "wins": 0.5}
    numbers |= {"behind": 0.25, "behind_low": -0.5, "behind_high": 0.5, "p_value": 0.5}
    return row | numbers | {"seeds": str(row["seed"]), "told_apart": told_apart}


def test_a_result_from_before_there_were_costs_is_shown(tmp_path, capsys):
    columns = [name for name in FRONTIER_COLUMNS if name not in COSTS]
    frontier = f"{text(columns)}\n{text(RESULT[name] for name in columns)}\n"
    later = ("axis", "majority", "warnings")
    summary = json.dumps({key: value for key, value in WHOLE.items() if key not in later})
    result(summary, frontier)(tmp_path)
    INTERVALS.unlink()
    print_frontier()
    assert "submitted: global magnitude (prune_global) at 50.00% sparsity, score 0.6250" in capsys.readouterr().out
    assert list(load_result()) == columns
    assert read_summary().axis == "sparsity"


SPENT = {"rows_sha256": "0", "epochs": 1, "images": 2, "forward_passes": 3, "seconds": 1.5}


@pytest.mark.parametrize(
    "content",
    [
        *("", "null", "[]", DEEP, "{}"),
        *(json.dumps(SPENT | {"seconds": value}) for value in (None, "1", -1, float("nan"), float("-inf"), [])),
        *(json.dumps(SPENT | {"epochs": value}) for value in (None, "1", -1, 1.5, True)),
    ],
)
def test_a_damaged_cost_is_refused(content, tmp_path):
    path = tmp_path / "0.json"
    path.write_text(content)
    refused(Fault(lambda _: path, partial(read_json, kind=Spent), "0.json: expected Spent as JSON"), tmp_path)
    write_json(path, SPENT)
    assert read_json(path, Spent).model_dump() == SPENT


# --- runs side by side

WIDE = {
    "columns of one name": (",c" * 100_000, ",1" * 100_000),
    "columns of a needed name": (",sparsity" * 100_000, ",0.5" * 100_000),
}
NEEDED = ("method", "seed", "target_sparsity", "sparsity", "val_accuracy")


def run(names, cells):
    Path("mine").mkdir()
    row = text(POINT[name] for name in NEEDED)
    Path("mine/frontier.csv").write_text(f"{text(NEEDED)}{names}\n{row}{cells}\n")
    return [Path("mine")]


@pytest.mark.parametrize("name", WIDE)
def test_a_table_with_columns_of_one_name_is_refused_at_once(name, tmp_path):
    refused(Fault(lambda _: run(*WIDE[name]), load_runs, "columns of one name among 100005 columns"), tmp_path)


@pytest.mark.parametrize("names", ["," * 100_000, "".join(f",c{i}" for i in range(100_000))])
def test_further_columns_of_a_table_are_not_read(names):
    points = load_runs(run(names, ",1" * 100_000))
    assert list(points) == [*NEEDED, "run", "test_accuracy", "eligible"]


def test_more_methods_than_a_picture_can_hold_are_refused(tmp_path):
    def make(_):
        row = text([POINT[name] for name in NEEDED[1:]])
        return run("", "\n" + "\n".join(f"m{index},{row}" for index in range(501)))

    refused(Fault(make, load_runs, "at most 500 methods of all runs together. Received: 502"), tmp_path)
