"""The page of the results: what its charts, tables and checklist hold, from a run written by hand."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunefront.common.errors import InputError
from prunefront.common.params import load_params
from prunefront.frontier.figures import MARKERS, NULL_MARKERS, method_styles
from prunefront.pipeline.store import FRONTIER, INTERVALS, REPORT, SUMMARY, weights_file
from prunefront.report import tables
from prunefront.report.charts import SHAPES, STEP_NAMES, STEPS, axes_of, charts, datasets, level_text, styles
from prunefront.report.checklist import answers
from prunefront.report.layers import layer_names, layer_of
from prunefront.report.page import Here, look_around, render, write_report
from prunefront.report.results import read_results
from prunefront.report.vega import plots_template
from stages.report import report
from tests.helpers import ROOT, python, set_params
from tests.report_by_hand import CLASSES, LAYERS, write_run


@pytest.fixture
def run_by_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path)
    return tmp_path


def results():
    return read_results(load_params(Path("params.yaml")))


def columns_of(data, *names):
    return [[row[data["columns"].index(name)] for name in names] for row in data["rows"]]


@pytest.mark.usefixtures("run_by_hand")
def test_the_charts_hold_the_numbers_of_the_files():
    read = results()
    data = datasets(read)
    assert columns_of(data["points"], "name", "seed", "sparsity", "bytes", "val_accuracy", "interval")[:3] == [
        ["global magnitude", 0, 1.0, 4000, 0.9, "85.0% to 95.0%"],
        ["global magnitude", 0, 0.5, 2000, 0.89, "84.0% to 94.0%"],
        ["global magnitude", 0, 0.1, 400, 0.3, "25.0% to 35.0%"],
    ]
    # By bytes one dominates another that is as accurate and larger; none of a null baseline is there.
    on_front = [row[:2] for row in columns_of(data["points"], "name", "seed", "front_bytes") if row[2]]
    assert on_front == [
        ["global magnitude", 0],
        ["global magnitude", 0],
        ["global magnitude", 1],
        ["gradual magnitude", 0],
    ]
    # The mean of .88 and .86, its interval, and the one level of the method.
    assert columns_of(data["means"], "name", "val_accuracy", "val_low", "val_high", "lonely")[3] == [
        "gradual magnitude",
        *(0.87, 0.845, 0.895),
        True,
    ]
    assert columns_of(data["submitted"], "val_accuracy", "sparsity", "bytes", "multiply_adds") == [
        [0.88, 0.1, 410, 4100]
    ]
    # Of twelve weights ten are zero at 90 %, of eight seven: in both seeds together 20 of 24 and 14 of 16.
    shares = columns_of(data["layers"], "name", "level", "layer", "share", "step", "weights")
    assert shares[-2:] == [
        ["random masks, global", "90%", LAYERS[0], 0.833333, "from 75%", 24],
        ["random masks, global", "90%", LAYERS[1], 0.875, "from 75%", 16],
    ]
    curves = columns_of(data["curves"], "name", "seed", "fit", "epoch", "val_loss", "learning_rate")
    assert curves[0] == ["dense network", 0, "dense", 1, 1.25, 0.001]
    assert len(curves) == 2 * (2 + 3)
    assert {name: spec["description"].split()[0] for name, spec in charts(read).items()} == {
        "frontier-sparsity": "Validation",
        "frontier-bytes": "Validation",
        "frontier-multiply_adds": "Validation",
        "layers": "Share",
        "curves-accuracy": "Accuracy",
        "curves-loss": "Loss",
    }
    pictured = method_styles(read.points)
    assert styles(read)["random masks, global"] == ("#737373", SHAPES["x"])  # the picture's grey, 0.45
    assert styles(read)["gradual magnitude"][0] == pictured["gradual"]["color"].lower()
    assert len(set(styles(read).values())) == 3


def test_every_marker_of_the_picture_has_its_shape():
    assert set(SHAPES) == {*MARKERS, *NULL_MARKERS}


def test_steps_of_colour_have_names_that_say_where_they_begin():
    assert STEP_NAMES[:3] == ["under 25%", "from 25%", "from 50%"]
    assert [STEP_NAMES[i] for i in np.searchsorted(STEPS, [0.0, 0.25, 0.9, 0.9989, 1.0], side="right")] == [
        *("under 25%", "from 25%", "from 90%", "from 99%", "from 99.9%")
    ]
    assert [level_text(level) for level in (0, 0.975, 0.995)] == ["0%", "97.5%", "99.5%"]


@pytest.mark.usefixtures("run_by_hand")
def test_a_run_without_intervals_files_and_curves_has_its_page_too():
    INTERVALS.unlink()
    Path("metrics/confusion.csv").unlink()
    for path in [*Path("models").glob("*/*/*.h5*"), *Path("models").glob("*/*/curves.csv")]:
        path.unlink()
    read = results()
    assert not read.sure
    assert set(charts(read)) == {f"frontier-{axis}" for axis in axes_of(read)}
    page = render(read)
    assert "The weight files are not here" in page
    assert "metrics/confusion.csv is not here" in page
    verdicts = {answer.question: answer.verdict for answer in answers(read, None)}
    assert verdicts["Means with error bars, and what these are?"] == "no"
    assert verdicts["A random pruning baseline with the technique's own sparsity in each layer?"] == "no"


@pytest.mark.usefixtures("run_by_hand")
def test_results_of_a_version_without_costs_are_shown_by_sparsity_alone():
    points = pd.read_csv(FRONTIER)
    points.drop(columns=["multiply_adds", "multiply_adds_nonzero", "bytes_lossless"]).to_csv(FRONTIER, index=False)
    read = results()
    assert axes_of(read) == ["sparsity"]
    assert "multiply-adds" not in tables.points_table(read).headings
    assert "of a version that did not count them" in render(read)


@pytest.mark.usefixtures("run_by_hand")
def test_tables_have_the_numbers_to_sort_by_and_mark_the_submitted_point():
    read = results()
    table = tables.points_table(read)
    assert len(table.rows) == 10
    assert table.marked == [6]
    cells = dict(zip(table.headings, table.rows[6], strict=False))
    assert cells["method"].text == "gradual magnitude"
    assert cells["bytes"] == ("410", 410, 0)
    assert table.rows[6][7:11] == [
        ("88.00%", 0.88, 0),
        ("83.0% to 93.0%", pytest.approx(0.83), 0),
        ("87.00%", 0.87, 0),
        ("82.0% to 92.0%", pytest.approx(0.82), 0),
    ]
    assert [cell.text for cell in table.rows[6][-2:]] == ["yes", "75.0%"]
    layers = tables.layers_table(read)
    assert [[cell.text for cell in row] for row in layers.rows] == [
        [LAYERS[0], "12", "10", "83.33%"],
        [LAYERS[1], "8", "7", "87.50%"],
    ]
    matrix = tables.confusion_tables(read)[0]
    assert matrix.headings == ["", *CLASSES]
    # Of the first class's eight examples five are right, one and two are taken for the others.
    assert [(cell.text, round(cell.tint, 3)) for cell in matrix.rows[0][1:]] == [
        ("5", 0.625),
        ("1", -0.125),
        ("2", -0.25),
    ]
    training = tables.training_table(read)
    assert [[cell.text for cell in row] for row in training.rows] == [
        *[["dense network", seed, "1", "2", "200"] for seed in "01"],
        *[["gradual magnitude", seed, "2", "3", "300"] for seed in "01"],
    ]


@pytest.mark.usefixtures("run_by_hand")
def test_what_the_choice_is_worth_and_what_the_results_were_made_with():
    assert tables.selection_tables(results()) == []  # an earlier version's
    point = {"method": "gradual", "seed": 0, "target_sparsity": 0.9, "sparsity": 0.9, "val_accuracy": 0.88}
    other = point | {"seed": 1, "val_accuracy": 0.86}
    summary = json.loads(SUMMARY.read_text()) | {
        "optimism": {"score": 0.89, "expected": 0.88, "optimism": 0.01, "test_score": 0.885},
        "wins": [{"point": point, "share": 0.75}, {"point": other, "share": 0.25}],
        "sensitivity": {"gate": [{"low": 0.0, "high": 0.88, "point": point}], "weight": []},
        "runtime": {"portable": True, "threads": 2, "instructions": "AVX2", "versions": {"tensorflow": "2.21.0"}},
        "majority": {"name": CLASSES[0], "val_accuracy": 0.4, "test_accuracy": 0.3},
        "warnings": ["one <class> is rare"],
    }
    SUMMARY.write_text(json.dumps(summary))
    read = results()
    worth, wins, gate, weight = tables.selection_tables(read)
    assert [[cell.text for cell in row] for row in worth.rows] == [
        ["score on the validation split", "0.8900"],
        ["expected on fresh examples", "0.8800"],
        ["optimism", "0.0100"],
        ["score on the test split", "0.8850"],
    ]
    assert [[cell.text for cell in row] for row in wins.rows] == [
        ["gradual magnitude", "0", "90.00%", "88.00%", "75.0%"],
        ["gradual magnitude", "1", "90.00%", "86.00%", "25.0%"],
    ]
    assert [cell.text for cell in gate.rows[0]] == ["0.0%", "88.0%", "gradual magnitude", "0", "90.00%"]
    assert weight.rows == []
    page = render(read)
    assert "Always answering &lt;script&gt;" in page
    assert "<li>one &lt;class&gt; is rare</li>" in page
    verdicts = {answer.question: answer.evidence for answer in answers(read, "a machine")}
    assert verdicts["Library and hardware described?"] == (
        "tensorflow 2.21.0, portably with AVX2; this page was made on a machine."
    )


def test_many_classes_are_a_list_of_the_worst(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path, classes=tuple(f"class {i}" for i in range(1000)))
    worst, confusions, *_ = tables.confusion_tables(results())
    assert [cell.text for cell in worst.rows[0]] == ["class 0", "5", "3", "60.0%"]
    assert len(worst.rows) == tables.WORST
    assert [[cell.text for cell in row] for row in confusions.rows] == [["class 0", "class 999", "2"]]
    assert len(render(results())) < 1_100_000


@pytest.mark.usefixtures("run_by_hand")
def test_the_checklist_is_answered_from_the_run():
    verdicts = {answer.question: answer for answer in answers(results(), "a machine")}
    assert len(verdicts) == 18
    said = {question: (answer.verdict, answer.evidence) for question, answer in verdicts.items()}
    assert said["Several runs with their own initial weights and seeds?"] == (
        "yes",
        "2 seeds, 0, 1, each with its own dense network.",
    )
    assert said["Means with error bars, and what these are?"][0] == "yes"
    assert said["Library and hardware described?"] == ("yes", "Versions are below; this page was made on a machine.")
    assert said["A random pruning baseline over all weights?"] == ("yes", "random masks, global, at 1 target sparsity.")
    # The layers of all files by hand are equally sparse.
    assert said["A magnitude baseline with the technique's own sparsity in each layer?"] == (
        "yes",
        "global magnitude: sparsities of layers differ from the submitted ones by up to 0.0%.",
    )
    assert said["A range of sparsities, up to where the accuracy falls off?"] == (
        "partly",
        "3 target sparsities, from 0.0% to 90.00% (10 times fewer weights), where the best validation accuracy is "
        "88.00%; the dense network's is 90.00%.",
    )
    assert (
        "100 training, 50 validation and 18 test examples of 3 classes"
        in said["Data set, batch size and augmentation given in enough detail?"][1]
    )


@pytest.mark.usefixtures("run_by_hand")
def test_another_run_answers_the_checklist_otherwise():
    points = pd.read_csv(FRONTIER)
    intervals = pd.read_csv(INTERVALS)
    kept = (points["method"] != "random_global") & (points["seed"] == 0)
    points[kept].to_csv(FRONTIER, index=False)
    intervals[intervals["seeds"] == "0"][kept[:10][points["seed"] == 0].to_numpy()].to_csv(INTERVALS, index=False)
    verdicts = {answer.question: answer.verdict for answer in answers(results(), None)}
    assert verdicts["Several runs with their own initial weights and seeds?"] == "no"
    assert verdicts["Means with error bars, and what these are?"] == "partly"
    assert verdicts["Library and hardware described?"] == "partly"
    assert verdicts["A random pruning baseline over all weights?"] == "no"


class Elements(HTMLParser):
    """The names of all elements of a page, and what they fetch."""

    def __init__(self, page):
        super().__init__()
        self.names, self.fetched, self.texts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.fetched += [
            value for name, value in attrs if name in ("src", "href") and not value.startswith(("#", "data:"))
        ]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.usefixtures("run_by_hand")
def test_names_are_text_whatever_they_hold_and_nothing_is_fetched():
    page = render(results())
    elements = Elements(page)
    assert elements.fetched == []
    assert elements.names.count("script") == 4
    assert "img" not in elements.names
    for name in (*CLASSES, *LAYERS):
        assert name in elements.texts
    assert elements.names.count("h1") == 1
    assert elements.names.count("caption") == elements.names.count("table") > 10
    data = re.search(r'id="datasets">(.*?)</script>', page, re.DOTALL)[1]
    assert {row[2] for row in json.loads(data)["layers"]["rows"]} == set(LAYERS)


@pytest.mark.usefixtures("run_by_hand")
def test_the_same_results_give_the_same_bytes_without_the_machine():
    params = load_params(Path("params.yaml"))
    one, other, here = (Path(name) for name in ("one.html", "other.html", "here.html"))
    write_report(params, one)
    for path in Path("costs").rglob("*.json"):
        path.unlink()
    write_report(params, other)
    assert one.read_bytes() == other.read_bytes()
    write_report(params, here, Here("a <b>machine</b>", "3.12.1", None, None))
    assert "Made on a &lt;b&gt;machine&lt;/b&gt;." in here.read_text(encoding="utf-8")
    assert "3.12.1" not in one.read_text(encoding="utf-8")


@pytest.mark.usefixtures("run_by_hand")
def test_what_training_took_here_is_of_these_results():
    params = load_params(Path("params.yaml"))
    costs = look_around(params).costs
    assert [[cell.text for cell in row] for row in costs.rows] == [["dense network", s, "2", "200", "2"] for s in "01"]
    rows = Path("metrics/baseline/1.csv")
    rows.write_text(rows.read_text() + "\n")
    assert len(look_around(params).costs.rows) == 1


@pytest.mark.usefixtures("run_by_hand")
def test_a_submitted_dense_network_has_its_page():
    summary = json.loads(SUMMARY.read_text())
    summary["submitted"] |= {"method": "baseline", "above_gate": False, "target_sparsity": 0.0, "sparsity": 0.0}
    SUMMARY.write_text(json.dumps(summary))
    read = results()
    assert read.chosen is None
    page = render(read)
    assert "No operating point is above the accuracy gate" in page
    assert 'class="marked"' not in page


@pytest.mark.usefixtures("run_by_hand")
def test_files_of_another_run_are_one_line():
    weights = weights_file("gradual", 1, 0.9)
    content = weights.read_bytes()
    weights.unlink()
    with pytest.raises(InputError, match=r"gradual/1/s90\.weights\.h5 and its certificate.* no such file"):
        results()
    weights.write_bytes(content)
    intervals = pd.read_csv(INTERVALS)
    intervals.iloc[1:].to_csv(INTERVALS, index=False)
    with pytest.raises(InputError, match=r"intervals\.csv: expected the points of .*frontier\.csv"):
        results()


def test_layers_go_by_the_names_that_the_model_gives_them():
    assert layer_of("layers/encoder/query/vars/0") == "layers/encoder/query"


def test_what_two_layers_would_share_is_no_name(tmp_path):
    import h5py

    with h5py.File(tmp_path / "w.h5", "w") as file:
        for group, name in {"layers/a": "block", "layers/a/q": "query", "layers/b": "twin", "layers/c": "twin"}.items():
            file.create_group(f"{group}/vars").attrs["name"] = name
        file.create_group("layers/d/vars")
    names = layer_names(tmp_path / "w.h5", ["layers/a/q", "layers/b", "layers/c", "layers/d"])
    assert list(names.values()) == ["block/query", "layers/b", "layers/c", "layers/d"]


def test_the_command_writes_the_stage_page_and_one_by_hand(run_by_hand):
    result = python("-m", "stages.report", folder=run_by_hand)
    assert result.stdout == f"wrote {REPORT}\n", result.stderr
    assert "Made on" not in REPORT.read_text(encoding="utf-8")
    report(output=Path("by hand.html"))
    assert "Made on" in Path("by hand.html").read_text(encoding="utf-8")
    FRONTIER.unlink()
    with pytest.raises(InputError, match="run `dvc repro`"):
        report()
    assert REPORT.exists()


def test_parameters_of_every_section_are_shown(run_by_hand):
    set_params(run_by_hand, seeds=[3])
    shown = tables.parameters_tables(load_params(Path("params.yaml")).model_dump(mode="json"))
    assert [cell.text for cell in shown[0].rows[0]] == ["seeds", "3"]
    assert {"data", "recipes.plain", "gradual", "pareto"} <= {table.caption for table in shown}


def test_the_template_of_dvc_plots_is_the_installed_vega():
    template = (ROOT / ".dvc" / "plots.html").read_text(encoding="utf-8")
    assert template == plots_template(), "write plots_template() to .dvc/plots.html"
    assert template.count("{plot_divs}") == template.count("{refresh_tag}") == 1
    assert "{scripts}" not in template  # in its place DVC would fetch Vega
