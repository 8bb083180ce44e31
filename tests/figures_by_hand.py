"""Pictures of points by hand, and what can be read from them."""

import numpy as np
import pandas as pd
from matplotlib.collections import PathCollection

from prunefront.frontier import figures
from prunefront.frontier.figures import frontier_figure
from prunefront.frontier.pareto import scored, select

SMALL = 0.8 * figures.FONT_SIZE


def points(*entries, eligible=True):
    """Rows of (method, seed, level, accuracy), the sparsity being the level."""
    rows = pd.DataFrame(entries, columns=["method", "seed", "target_sparsity", "val_accuracy"])
    return scored(rows.assign(sparsity=rows["target_sparsity"]), 0.6).assign(eligible=eligible)


def cloud(seeds):
    return points(
        *(
            (method, seed, level, 0.9 - level**4 / number + seed / 90)
            for number, method in ((1, "prune_global"), (2, "freeze"))
            for seed in range(seeds)
            for level in (0, 0.5, 0.9, 0.97)
        )
    )


def costly(rows):
    """The rows with the costs of a network of 100,000 weights and 4 million multiply-adds."""
    left = 1 - rows["sparsity"]
    work = {"multiply_adds": 4_000_000, "multiply_adds_nonzero": (3e6 * left + 1e5).astype(int)}
    return rows.assign(all_parameters=100_000, bytes_lossless=(3e5 * left + 1e4).astype(int), **work)


def drawn(rows, **more):
    """The figure of some rows, laid out as it is when it is written."""
    chosen = select(rows[rows["eligible"]])
    figure = frontier_figure(rows, 0.6, rows.iloc[0] if chosen is None else chosen, **more)
    figure.draw_without_rendering()
    return figure


def of_kind(figure, kind):
    return [artist for artist in figure.axes[0].collections if type(artist) is kind]


def markers(figure):
    """For each method its markers: where they are, in shares, and their sizes in points."""
    return [(dots.get_offsets().data, np.sqrt(dots.get_sizes())) for dots in of_kind(figure, PathCollection)]


def labels(axis):
    """The labels at ticks, each with the share that it stands at."""
    texts = [label.get_text() for label in axis.get_ticklabels()]
    return list(zip(texts, axis.get_ticklocs(), strict=True))


def boxes(axis):
    return [label.get_window_extent() for label in axis.get_ticklabels() if label.get_text()]


def legend_lines(figure):
    """What the legend says, small grey lines in brackets, line breaks as spaces."""
    texts = figure.legends[0].get_texts()
    said = [text.get_text().replace("\n", " ") for text in texts]
    return [f"({s})" if text.get_fontsize() == SMALL else s for s, text in zip(said, texts, strict=True)]


def intervals_of(rows, half=0.01):
    means = rows.groupby(["method", "target_sparsity"], sort=False)["val_accuracy"].mean().reset_index()
    low, high = (means["val_accuracy"] + sign * half for sign in (-1, 1))
    every = means.assign(seeds="all", val_low=low.clip(0, 1), val_high=high.clip(0, 1))
    return pd.concat([every.assign(seeds="0", val_low=0.0, val_high=1.0), every], ignore_index=True)
