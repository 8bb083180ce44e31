"""The picture of the frontier: its bytes, its ticks and its axes."""

import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axis import XAxis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont

from prunefront.frontier.figures import draw_frontier, label_axes
from prunefront.frontier.pareto import select
from prunefront.frontier.scales import position, rounded, written
from tests.figures_by_hand import boxes, cloud, costly, drawn, intervals_of, labels, legend_lines, points

# --- Bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_picture_is_the_same_bytes_each_time(seeds, tmp_path):
    rows = cloud(seeds)
    for name in ("a.png", "b.png"):
        draw_frontier(rows, 0.6, select(rows), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_nothing_of_the_machines_own_settings_is_in_the_picture(tmp_path):
    rows = cloud(2)
    draw_frontier(rows, 0.6, select(rows), tmp_path / "a.png")
    theirs = {"font.family": "monospace", "font.size": 20, "axes.facecolor": "black", "savefig.transparent": True}
    with matplotlib.rc_context(theirs):
        draw_frontier(rows, 0.6, select(rows), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_all_letters_are_of_the_font_that_matplotlib_brings():
    figure = drawn(cloud(2))
    texts = [*figure.legends[0].get_texts(), figure.axes[0].xaxis.label, *figure.axes[0].get_xticklabels()]
    assert {text.get_fontfamily()[0] for text in texts} == {"DejaVu Sans"}
    found = Path(findfont(FontProperties(family="DejaVu Sans"), fallback_to_default=False))
    assert found.is_relative_to(matplotlib.get_data_path())


# --- Ticks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "texts", "name"),
    [
        ("sparsity", ["0%", "25%", "50%", "75%", "90%", "95%", "97%"], "sparsity: zeros among all"),
        ("bytes", ["200", "100", "50", "19"], "kB in a sparse file without loss (log"),
        ("multiply_adds", ["2", "1", "0.5", "0.19"], "millions of multiply-adds with non-zero weights"),
    ],
)
def test_the_picture_says_what_its_axis_shows(axis, texts, name):
    axes = Figure().add_subplot()
    label_axes(axes, costly(cloud(1)), axis)
    found = dict(labels(axes.xaxis))
    assert list(found) == texts
    assert axes.get_xlabel().startswith(name)
    # 50 kB is an eighth of the dense network's 400 kB, and half a million of its 4 million multiply-adds
    one, share = {"sparsity": ("90%", 0.9), "bytes": ("50", 0.875), "multiply_adds": ("0.5", 0.875)}[axis]
    assert found[one] == pytest.approx(share)
    assert position(np.array([0, 0.9, 0.99])) == pytest.approx([0, 1, 2])


def test_costs_within_a_factor_of_two_have_ticks_too():
    axes = Figure().add_subplot()
    label_axes(axes, costly(cloud(1)).assign(bytes_lossless=[110, 120, 130, 140] * 2), "bytes")
    places = dict(labels(axes.xaxis))
    assert {"0.11", "0.12", "0.13", "0.14"} <= set(places)
    assert places["0.11"] == pytest.approx(1 - 110 / 400_000)


LEVELS = {
    "one point": [0.5],
    "dense only": [0.0],
    "half": [0, 0.1, 0.25, 0.5],
    "a floor": [0, 0.31, 0.4995],
    "as the default": [0, 0.5, 0.9, 0.95, 0.98, 0.99, 0.995],
    "a little more than a tick": [0, 0.9, 0.9812],
    "far out": [0.99, 0.995, 0.999],
    "very far out": [0, 0.9, 0.99, 0.999, 0.9999],
    "beyond": [0, 0.5, 0.9, 0.99, 0.9995, 0.99995],
    "everything": [0, 0.5, 1],
    "close together": [0.9701, 0.9702, 0.9703],
}


@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
def test_ticks_reach_the_last_point_and_no_labels_touch(levels):
    figure = drawn(points(*(("masked", 0, level, 0.95 - level / 3) for level in levels)))
    check_ticks(figure, levels)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.lists(st.floats(0, 1), min_size=4, max_size=4))
@settings(max_examples=15)
def test_ticks_are_right_whatever_the_range(levels, accuracies):
    pairs = zip(sorted({round(level, 5) for level in levels}), accuracies, strict=False)
    rows = points(*(("masked", 0, level, round(accuracy, 4)) for level, accuracy in pairs))
    figure = drawn(rows, majority=0.1, intervals=intervals_of(rows, 0.02))
    check_ticks(figure, rows["sparsity"])


def check_ticks(figure, levels):
    axes = figure.axes[0]
    for axis in (axes.xaxis, axes.yaxis):
        found = labels(axis)
        assert len(found) >= 2
        for text, share in found:
            assert text in {written(share), rounded(share)}
        first, last = axis.get_view_interval()
        assert all(first <= share <= last for _, share in found)
        sides = [(box.x0, box.x1) if isinstance(axis, XAxis) else (box.y0, box.y1) for box in boxes(axis)]
        for (_, end), (start, _) in itertools.pairwise(sides):
            assert end < start
    last = axes.xaxis.get_ticklocs()[-1]
    span = np.diff(position(np.clip(axes.get_xlim(), -10, 1), 1e-9))[0]
    assert position(last, 1e-9) >= position(max(levels), 1e-9) - 0.005 * span


@pytest.mark.parametrize("axis", ["bytes", "multiply_adds"])
def test_ticks_of_costs_reach_the_last_point(axis):
    rows = costly(cloud(1))
    figure = drawn(rows, axis=axis)
    cost = 19_000 / 400_000 if axis == "bytes" else 190_000 / 4_000_000
    text, share = labels(figure.axes[0].xaxis)[-1]
    assert share == pytest.approx(1 - cost)
    assert text == {"bytes": "19", "multiply_adds": "0.19"}[axis]
    ends = boxes(figure.axes[0].xaxis)
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(ends))


def test_shares_are_written_in_full_or_rounded():
    assert [written(share) for share in (0, 0.25, 0.9995, 0.99995)] == ["0%", "25%", "99.95%", "99.995%"]
    assert [rounded(share) for share in (0.99383, 0.9812, 0.5, 0.123456, 1)] == [
        "99.38%",
        "98.1%",
        "50%",
        "12.3%",
        "100%",
    ]


# --- The vertical axis -----------------------------------------------------------------------------------------------


def heights(figure, *accuracies):
    """Where accuracies are, as shares of the height of the axes."""
    axes = figure.axes[0]
    places = axes.transData.transform([(axes.get_xlim()[0], accuracy) for accuracy in accuracies])
    return axes.transAxes.inverted().transform(places)[:, 1]


def test_methods_at_chance_leave_most_of_the_picture_to_the_others():
    lost = [("prune_layerwise", 0, level, 0.1) for level in (0.9, 0.95, 0.99)]
    figure = drawn(points(*lost, ("masked", 0, 0.9, 0.99), ("masked", 0, 0.95, 0.98), ("masked", 0, 0.99, 0.95)))
    chance, good, best = heights(figure, 0.1, 0.9, 0.99)
    assert 0 < chance < good < best < 1
    assert best - good > 0.45  # on a linear axis it would be .1


def test_without_errors_points_are_at_the_top_and_the_tick_says_so():
    figure = drawn(points(("masked", 0, 0.5, 1.0), ("masked", 0, 0.9, 0.96)))
    whole, almost = heights(figure, 1, 0.98)
    assert almost <= whole < 1
    assert labels(figure.axes[0].yaxis)[-1] == ("100%", 1)
    alone = drawn(points(("masked", 0, 0.5, 1.0)))
    assert labels(alone.axes[0].yaxis)[-1] == ("100%", 1)
    assert 0 < heights(alone, 0.6)[0] < heights(alone, 1)[0] < 1


def test_an_interval_up_to_1_does_not_squeeze_the_points():
    rows = points(("masked", 0, 0.5, 0.96), ("masked", 0, 0.9, 0.92))
    figure = drawn(rows, intervals=intervals_of(rows, 0.04))
    assert heights(figure, 0.98) == pytest.approx([1])  # half the errors of the best point
    assert "100%" not in dict(labels(figure.axes[0].yaxis))


def test_the_majority_class_is_a_thin_dotted_line():
    rows = cloud(1)
    figure = drawn(rows, majority=0.1234)
    lines = [line for line in figure.axes[0].lines if list(line.get_ydata()) == [0.1234, 0.1234]]
    assert [line.get_linewidth() < 1 for line in lines] == [True]
    assert 0 < heights(figure, 0.1234)[0] < 1
    assert "majority class (12.3%)" in legend_lines(figure)
    assert not any("majority" in line for line in legend_lines(drawn(rows)))
