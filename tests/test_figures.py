import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prunefront.frontier.figures import draw_frontier
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


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_picture_is_the_same_bytes_each_time(seeds, tmp_path):
    rows = cloud(seeds)
    for name in ("a.png", "b.png"):
        draw_frontier(rows, 0.6, select(rows), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


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
