import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from prunefront.frontier.figures import draw_frontier, label_axes
from prunefront.frontier.pareto import scored, select


def cloud(seeds):
    rows = [
        (
            "freeze" if method else "prune_global",
            seed,
            level,
            level,
            100,
            100,
            0.9 - level**4 / (1 + method) + seed / 90,
        )
        for method in (0, 1)
        for seed in range(seeds)
        for level in (0, 0.5, 0.9, 0.97)
    ]
    columns = ["method", "seed", "target_sparsity", "sparsity", "nonzero", "parameters", "val_accuracy"]
    return scored(pd.DataFrame(rows, columns=columns), 0.6).assign(eligible=True)


def costly(rows):
    """The rows with the costs of a network of 100,000 weights and 4 million multiply-adds."""
    left = 1 - rows["sparsity"]
    work = {"multiply_adds": 4_000_000, "multiply_adds_nonzero": (3e6 * left + 1e5).astype(int)}
    return rows.assign(all_parameters=100_000, bytes_lossless=(3e5 * left + 1e4).astype(int), **work)


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_picture_is_the_same_bytes_each_time(seeds, tmp_path):
    rows = cloud(seeds)
    for name in ("a.png", "b.png"):
        draw_frontier(rows, 0.6, select(rows), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("axis", "labels", "name"),
    [
        ("sparsity", ["0%", "50%", "75%", "90%", "95%", "97%", "98%"], "sparsity: zeros among all"),
        ("bytes", ["20", "50", "100", "200"], "kB in a sparse file without loss (log"),
        ("multiply_adds", ["0.2", "0.5", "1", "2"], "millions of multiply-adds with non-zero weights"),
    ],
)
def test_the_picture_says_what_its_axis_shows(axis, labels, name):
    rows = costly(cloud(1))
    axes = Figure().add_subplot()
    axes.set_xlim(-1, 3)
    label_axes(axes, rows, axis)
    assert [label.get_text() for label in axes.get_xticklabels()] == labels
    assert axes.get_xlabel().startswith(name)
    # 1 is a tenth of the dense network's 400 kB and 4 million
    places = dict(zip(labels, axes.get_xticks(), strict=True))
    one = {"sparsity": "90%", "bytes": "50", "multiply_adds": "0.5"}[axis]
    assert places[one] == pytest.approx({"sparsity": 1, "bytes": np.log10(8), "multiply_adds": np.log10(8)}[axis])


def test_costs_within_a_factor_of_two_have_ticks_too():
    axes = Figure().add_subplot()
    label_axes(axes, costly(cloud(1)).assign(bytes_lossless=[110, 120, 130, 140] * 2), "bytes")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.11", "0.14"]


@pytest.mark.parametrize("axis", ["bytes", "multiply_adds"])
def test_points_lie_where_their_costs_are(axis, tmp_path):
    rows = costly(scored(costly(cloud(2)), 0.6, axis).assign(eligible=True))
    draw_frontier(rows, 0.6, select(rows), tmp_path / "a.png", axis)
    draw_frontier(rows, 0.6, select(rows), tmp_path / "b.png", axis)
    draw_frontier(rows, 0.6, select(rows), tmp_path / "c.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()


def test_the_spread_over_seeds_is_drawn(tmp_path):
    one, three = cloud(1), cloud(3)
    draw_frontier(one, 0.6, select(one), tmp_path / "one.png")
    draw_frontier(three, 0.6, select(three), tmp_path / "three.png")
    pictures = [np.asarray(Image.open(tmp_path / name).convert("RGB")) for name in ("one.png", "three.png")]
    blue_band = [int((abs(p - np.array([204, 227, 240])).max(axis=2) < 3).sum()) for p in pictures]  # 20 % of #0072B2
    assert blue_band[1] > 10 * blue_band[0]  # thin lines have blue edges
    assert blue_band[1] > 100


def test_one_point_below_the_gate_is_drawn(tmp_path):
    rows = cloud(1).head(1).assign(val_accuracy=0.1, score=0.0)
    draw_frontier(rows, 0.6, rows.iloc[0], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
