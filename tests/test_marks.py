"""What stands for points in the picture of the frontier: spread, markers, styles and names."""

import itertools

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import FillBetweenPolyCollection, LineCollection, PathCollection

from prunefront.common.params import METHODS, NULL_BASELINES
from prunefront.frontier import figures
from prunefront.frontier.figures import COLOURS, draw_frontier, frontier_figure, method_styles
from prunefront.frontier.pareto import scored
from prunefront.tools.compare import comparison_figure
from tests.figures_by_hand import cloud, costly, drawn, intervals_of, legend_lines, markers, of_kind, points

# --- Spread ----------------------------------------------------------------------------------------------------------


def test_a_method_with_a_single_level_shows_its_spread():
    curve = [("prune_global", seed, level, 0.95) for seed in range(3) for level in (0, 0.5, 0.9)]
    single = [("recalibrated_global", seed, 0.9, 0.90 + seed / 50) for seed in range(3)]
    null = points(*(("random_global", seed, 0.9, 0.6 + seed / 10) for seed in range(3)), eligible=False)
    figure = drawn(pd.concat([points(*curve, *single), null], ignore_index=True))
    bars = [segment for lines in of_kind(figure, LineCollection) for segment in lines.get_segments() if len(segment)]
    assert [bar.tolist() for bar in bars] == [
        pytest.approx(np.array([[0.9, 0.90], [0.9, 0.94]])),  # .92 +- .02
        pytest.approx(np.array([[0.9, 0.60], [0.9, 0.80]])),  # .7 +- .1
    ]


def test_bars_at_one_level_lie_beside_each_other_within_a_marker():
    methods = ["recalibrated_global", "recalibrated_layerwise", "freeze"]
    figure = drawn(points(*((method, seed, 0.9, 0.9 + seed / 50) for method in methods for seed in range(2))))
    axes = figure.axes[0]
    places = []
    for lines, dots in zip(of_kind(figure, LineCollection), of_kind(figure, PathCollection), strict=True):
        assert dots.get_offsets().data.tolist() == [[pytest.approx(0.9), pytest.approx(0.91)]]  # where they really are
        moved = lines.get_transform().transform(lines.get_segments()[0])[0, 0]
        assert dots.get_offset_transform().transform(dots.get_offsets())[0, 0] == pytest.approx(moved)
        places.append((moved - axes.transData.transform((0.9, 0.9))[0]) * 72 / figure.dpi)
    half = figures.MARKER_SIZE / 2
    assert places == pytest.approx([-half, 0, half])


def test_bands_are_the_intervals_of_the_mean_over_the_seeds():
    rows = points(*(("masked", seed, level, 0.9 + seed / 50) for seed in range(2) for level in (0.5, 0.9)))
    figure = drawn(rows, intervals=intervals_of(rows))
    (band,) = of_kind(figure, FillBetweenPolyCollection)
    corners = {(round(x, 9), round(y, 9)) for x, y in band.get_paths()[0].vertices}
    assert corners == {(0.5, 0.90), (0.5, 0.92), (0.9, 0.90), (0.9, 0.92)}  # .91 +- .01


def test_a_level_without_an_interval_has_no_band():
    rows = points(*(("masked", 0, level, 0.9) for level in (0, 0.5, 0.9, 0.95)))
    some = intervals_of(rows)
    figure = drawn(rows, intervals=some[~some["target_sparsity"].isin([0.5])])
    bars = [segment for lines in of_kind(figure, LineCollection) for segment in lines.get_segments() if len(segment)]
    assert [bar[:, 0].tolist() for bar in bars] == [[0, 0]]  # the dense point has lost its neighbour
    (band,) = of_kind(figure, FillBetweenPolyCollection)
    assert {round(x, 9) for path in band.get_paths() for x, _ in path.vertices} == {0.9, 0.95}


def test_an_interval_beside_its_point_is_drawn_where_it_is():
    rows = points(("freeze", 0, 0.9, 1.0), ("masked", 0, 0.9, 0.9))
    off = intervals_of(rows).assign(val_low=0.97, val_high=0.99)
    figure = drawn(rows, intervals=off)
    (bar, _) = [lines.get_segments()[0] for lines in of_kind(figure, LineCollection)]
    assert bar[:, 1] == pytest.approx([0.97, 0.99])


@pytest.mark.parametrize(
    ("seeds", "intervals", "title"),
    [
        (1, False, ""),
        (1, True, "bands: 95% interval over examples"),
        (3, False, "mean of 3 seeds, bands: ± standard deviation"),
        (3, True, "mean of 3 seeds, bands: 95% interval over examples and seeds"),
    ],
)
def test_the_legend_says_what_the_bands_are(seeds, intervals, title):
    rows = cloud(seeds)
    figure = drawn(rows, intervals=intervals_of(rows) if intervals else None)
    assert figure.legends[0].get_title().get_text().replace("\n", " ") == title
    shown = [band for band in of_kind(figure, FillBetweenPolyCollection) if band.get_paths()]
    assert len(shown) == (2 if title else 0)


# --- Coinciding points -----------------------------------------------------------------------------------------------


def test_of_coinciding_points_the_ones_below_are_rings():
    same = [(level, 0.9) for level in (0.5, 0.9)]
    figure = drawn(
        points(
            *(("freeze", 0, *point) for point in same),
            *(("masked", 0, *point) for point in same),
            *(("gradual", 0, *point) for point in [(0.5, 0.9), (0.9, 0.8)]),
        )
    )
    (where, freeze), (also, masked), (_, gradual) = markers(figure)
    assert where.tolist() == also.tolist() == [[0.5, 0.9], [0.9, 0.9]]  # not moved
    size, ring = figures.MARKER_SIZE, figures.RING
    assert freeze == pytest.approx([size + 2 * ring, size + ring])
    assert masked == pytest.approx([size + ring, size])
    assert gradual == pytest.approx([size, size])


@given(st.data())
@settings(max_examples=10)
def test_no_marker_hides_another(data):
    accuracies = st.lists(st.sampled_from([0.7, 0.9, 0.9003, 0.95, 1.0]), min_size=3, max_size=3)
    methods = data.draw(st.lists(st.sampled_from(METHODS), min_size=2, max_size=6, unique=True))
    rows = points(
        *((m, 0, s, a) for m in methods for s, a in zip((0.5, 0.5001, 0.9), data.draw(accuracies), strict=True))
    )
    figure = drawn(rows)
    axes = figure.axes[0]
    dots = [(axes.transData.transform(where) * 72 / figure.dpi, sizes) for where, sizes in markers(figure)]
    for (below, large), (above, small) in itertools.combinations(dots, 2):
        near = np.abs(below[:, None] - above[None]).max(axis=2) < 1
        for i, j in zip(*np.nonzero(near), strict=True):
            assert large[i] >= small[j] + 1


# --- Styles and names ------------------------------------------------------------------------------------------------


def test_a_method_looks_the_same_in_every_picture():
    few, many = points(("masked", 0, 0, 0.9)), points(*((method, 0, 0, 0.9) for method in reversed(METHODS)))
    assert method_styles(few)["masked"] == method_styles(many)["masked"]


def test_methods_are_told_apart_with_and_without_colour():
    own = [f"own_{number}" for number in range(11)]
    rows = points(*((method, 0, 0, 0.9) for method in (*METHODS, *own)))
    null = points(*((method, 0, 0, 0.5) for method in NULL_BASELINES), eligible=False)
    styles = method_styles(pd.concat([rows, null]))
    assert list(styles) == [*METHODS, *own, *NULL_BASELINES]
    known = [styles[method] for method in (*METHODS, *NULL_BASELINES)]
    assert len({style["marker"] for style in known}) == len(known)
    assert len({styles[method]["color"] for method in METHODS}) == len(METHODS)
    assert len({tuple(map(str, style.values())) for style in styles.values()}) == len(styles)


# Machado, Oliveira and Fernandes (2009), severity 1: what is left of linear red, green and blue.
SEEN = {
    "protanopia": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "deuteranopia": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "tritanopia": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_the_colour_blind_tell_the_colours_apart(seen):
    def lightness_and_hue(colour):
        red_green_blue = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(red_green_blue <= 0.04045, red_green_blue / 12.92, ((red_green_blue + 0.055) / 1.055) ** 2.4)
        to_xyz = [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1094, 0.8727]]  # over the white point
        xyz = np.array(to_xyz) @ np.clip(np.array(seen) @ linear, 0, 1)
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])  # CIELAB: 2.3 is just noticeable

    found = [lightness_and_hue(colour) for colour in COLOURS]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(found, 2)) > 12


def test_the_legend_calls_methods_what_people_call_them():
    rows = points(("prune_global", 0, 0, 0.9), ("freeze", 0, 0.5, 0.91), ("my_own", 0, 0.5, 0.8), ("mine", 0, 0, 0.7))
    assert legend_lines(drawn(rows)) == [
        "Pareto frontier (all points)",
        "global magnitude",
        "(prune_global)",
        "freeze and retrain",
        "(freeze)",
        "my own",
        "(my_own)",
        "mine",
        "accuracy gate (60%)",
        "submitted: freeze and retrain",
        "(50% zeros, accuracy 91%)",
    ]


@pytest.mark.parametrize(
    "methods", [METHODS, ["own_method_" + "W" * 80, "_hidden_$x^", "$"], [f"m{i}" for i in range(30)]]
)
def test_the_legend_is_whole_whatever_the_names(methods):
    figure = drawn(points(*((method, seed, 0.9, 0.9) for method in methods for seed in range(2))))
    legend, axes = figure.legends[0], figure.axes[0]
    box, room = legend.get_window_extent(), figure.bbox
    assert 0 <= box.x0 <= box.x1 <= room.width
    assert 0 <= box.y0 <= box.y1 <= room.height
    assert axes.get_tightbbox().x1 < box.x0
    assert axes.get_window_extent().width >= 0.95 * figures.LENGTHS[0] * figure.dpi / 72
    said = "".join(text.get_text().replace("\n", "") for text in legend.get_texts())
    assert all(method.replace("_", "") in said.replace("_", "").replace(" ", "") for method in methods)


def test_the_submitted_point_does_not_hide_what_is_below():
    figure = drawn(cloud(1))
    (star,) = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert star.get_markerfacecolor() == "none"


@pytest.mark.parametrize("axis", ["sparsity", "bytes"])
def test_a_submitted_dense_network_is_in_the_picture_though_it_is_none_of_the_points(axis):
    rows = costly(points(("masked", 0, 0.9, 0.3), ("masked", 0, 0.95, 0.2)))
    dense = costly(points(("baseline", 0, 0.0, 0.59))).iloc[0]
    axes = frontier_figure(rows, 0.6, dense, axis).axes[0]
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    x, y = axes.transAxes.inverted().transform(axes.transData.transform(star.get_xydata()))[0]
    assert 0 < x < 1
    assert 0 < y < 1


@pytest.mark.parametrize("axis", ["bytes", "multiply_adds"])
def test_points_lie_where_their_costs_are(axis):
    rows = costly(scored(costly(cloud(1)), 0.6, axis).assign(eligible=True))
    (where, _), _ = markers(drawn(rows, axis=axis))
    full = {"bytes": (400_000, [310_000, 160_000, 40_000, 19_000]), "multiply_adds": (4, [3.1, 1.6, 0.4, 0.19])}[axis]
    assert where[:, 0] == pytest.approx(1 - np.array(full[1]) / full[0], abs=1e-4)


def test_one_point_below_the_gate_is_drawn(tmp_path):
    rows = cloud(1).head(1).assign(val_accuracy=0.1, score=0.0)
    draw_frontier(rows, 0.6, rows.iloc[0], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


# --- Runs side by side -----------------------------------------------------------------------------------------------


def test_runs_have_dashes_and_methods_have_colours():
    one = points(("masked", 0, 0.5, 0.9), ("masked", 1, 0.5, 0.92), ("masked", 0, 0.9, 0.8), ("masked", 1, 0.9, 0.84))
    other = points(("masked", 0, 0.5, 0.91), ("masked", 0, 0.9, 0.7), ("freeze", 0, 0.5, 0.6))
    figure = comparison_figure(pd.concat([one.assign(run="first"), other.assign(run="second")], ignore_index=True))
    figure.draw_without_rendering()
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert [line.get_color() for line in lines] == [method_styles(one)["masked"]["color"]] * 2
    assert [line.get_linestyle() for line in lines] == ["-", "--"]
    assert legend_lines(figure) == [
        "first",
        "second",
        "masked retraining",
        "(masked)",
        "freeze and retrain",
        "(freeze)",
    ]
    (where, large), (_, small), _ = markers(figure)
    assert where.tolist() == [pytest.approx([0.5, 0.91]), pytest.approx([0.9, 0.82])]
    assert large[0] > small[0]  # both runs have this point
    assert large[1] == small[1]
    band = of_kind(figure, FillBetweenPolyCollection)[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.82 - 0.02 * 2**0.5)
    assert "standard deviation" in figure.legends[0].get_title().get_text().replace("\n", " ")


def test_bands_of_runs_are_intervals_where_a_run_has_them():
    rows = points(("masked", 0, 0.5, 0.9), ("masked", 1, 0.5, 0.94), ("masked", 0, 0.9, 0.8), ("masked", 1, 0.9, 0.84))
    both = pd.concat([rows.assign(run="first"), rows.assign(run="second")], ignore_index=True)
    figure = comparison_figure(both, intervals_of(rows).assign(run="second"))
    bands = [band for band in of_kind(figure, FillBetweenPolyCollection) if band.get_paths()]
    (band,) = bands  # none of the first run: two kinds of bands in one picture would mislead
    assert {round(y, 9) for _, y in band.get_paths()[0].vertices} == {0.91, 0.93, 0.81, 0.83}
    assert figure.legends[0].get_title().get_text().replace("\n", " ") == "mean over the seeds, bands: 95% interval"
