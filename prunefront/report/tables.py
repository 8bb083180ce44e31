"""The tables of the page: cells of text, with the number to sort by."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from prunefront.frontier.names import method_name
from prunefront.frontier.summary import Point
from prunefront.report.charts import level_text
from prunefront.report.results import Results

FEW_CLASSES = 20
"""Up to so many classes a confusion matrix is shown whole."""
WORST = 15
"""Of more classes, so many of the worst, and so many of the confusions."""


class Cell(NamedTuple):
    """A cell: its text, the number that it is sorted by, if it is one, and in [-1, 1] how it is tinted."""

    text: str
    value: float | None = None
    tint: float = 0.0


@dataclass(frozen=True)
class Table:
    """A table with a caption; `heads` is the number of cells of a row that head it."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = False
    heads: int = 1
    marked: Sequence[int] = field(default=())


def share(value: float, digits: int = 2) -> Cell:
    """A share as percent; empty where there is none."""
    return Cell(f"{value:.{digits}%}", float(value)) if value == value else Cell("")


def count(value: float) -> Cell:
    """A whole number with commas; empty where there is none."""
    return Cell(f"{int(value):,}", float(value)) if value == value else Cell("")


def text(value: object) -> Cell:
    return Cell(str(value))


def points_table(results: Results) -> Table:
    """Every operating point with its intervals; the submitted one is marked."""
    points, sure = results.points, results.sure
    costs = [name for name in ("bytes_lossless", "multiply_adds_nonzero") if name in points]
    titles = {"bytes_lossless": "bytes", "multiply_adds_nonzero": "multiply-adds"}
    headings = ["method", "seed", "target", "sparsity", "non-zero", *(titles[name] for name in costs)]
    headings += ["validation", "95 % interval"] if sure else ["validation"]
    headings += ["test", "95 % interval"] if sure else ["test"]
    headings += ["score", "frontier", *(["as good as the submitted", "wins"] if sure else [])]
    rows = []
    for row in points.to_dict("records"):
        cells = [
            text(row["name"]),
            count(row["seed"]),
            Cell(level_text(row["target_sparsity"]), row["target_sparsity"]),
        ]
        cells += [share(row["sparsity"]), count(row["nonzero"]), *(count(row[name]) for name in costs)]
        for split in ("val", "test"):
            cells.append(share(row[f"{split}_accuracy"]))
            cells += [_interval(row, split)] if sure else []
        cells += [Cell(f"{row['score']:.4f}", row["score"]), _yes(row["on_frontier"])]
        cells += [_yes(not row["told_apart"]), share(row["wins"], 1)] if sure else []
        rows.append(cells)
    chosen = results.chosen
    marked = [] if chosen is None else [list(points.index).index(chosen.name)]
    return Table("Every operating point; the submitted one is marked", headings, rows, True, marked=marked)


def _interval(row: dict[Any, Any], split: str) -> Cell:
    low, high = row[f"{split}_low"], row[f"{split}_high"]
    return Cell(f"{low:.1%} to {high:.1%}", float(low)) if low == low else Cell("")


def _yes(flag: object) -> Cell:
    return Cell("yes", 1.0) if flag else Cell("", 0.0)


def headline(results: Results) -> Table:
    """The dense and the submitted network side by side."""
    dense, chosen, summary = results.dense, results.submitted, results.summary
    rows = [
        [text("validation accuracy"), share(dense["val_accuracy"]), _with_bounds(chosen, "val")],
        [text("test accuracy"), share(summary.baseline.test_accuracy), _with_bounds(chosen, "test", results)],
        [text("sparsity"), share(dense["sparsity"]), share(chosen["sparsity"])],
        [text("non-zero parameters"), count(dense["nonzero"]), count(chosen["nonzero"])],
    ]
    for title, column in (
        ("bytes, without loss", "bytes_lossless"),
        ("bytes, as bfloat16", "bytes_bfloat16"),
        ("bytes, as int8", "bytes_int8"),
        ("multiply-adds per example", "multiply_adds_nonzero"),
        ("multiply-adds, compacted and dense", "multiply_adds_compacted"),
    ):
        if column in dense and column in chosen:
            rows.append([text(title), count(dense[column]), count(chosen[column])])
    return Table("The dense network and the submitted one", ["", "dense", "submitted"], rows)


def _with_bounds(row: pd.Series, split: str, results: Results | None = None) -> Cell:
    accuracy = row[f"{split}_accuracy"] if results is None else results.summary.submitted.test_accuracy
    bounds = f" ({row[f'{split}_low']:.1%} to {row[f'{split}_high']:.1%})" if f"{split}_low" in row else ""
    return Cell(f"{accuracy:.2%}{bounds}", float(accuracy))


def selection_tables(results: Results) -> list[Table]:
    """What the choice is worth: its optimism, what else would be submitted, and how that changes with gate and weight.

    Results of earlier versions have none of these.
    """
    summary, tables = results.summary, []
    found = summary.optimism
    if found is not None:
        rows = [[text("score on the validation split"), _score(found.score)]]
        if found.expected is not None and found.optimism is not None:
            rows += [[text("expected on fresh examples"), _score(found.expected)]]
            rows += [[text("optimism"), _score(found.optimism)]]
        rows += [[text("score on the test split"), _score(found.test_score)]]
        tables.append(Table("The submitted point's score", ["", "score"], rows))
    if summary.wins:
        rows = [[*_point(win.point), share(win.point.val_accuracy), share(win.share, 1)] for win in summary.wins]
        headings = [*POINT, "validation", "samples"]
        tables.append(Table("What other samples of the validation examples would submit", headings, rows, True))
    if summary.sensitivity is not None:
        for title, stretches in (
            ("What another gate would submit", summary.sensitivity.gate),
            ("What another weight of the accuracy in the score would submit", summary.sensitivity.weight),
        ):
            rows = [[share(one.low, 1), share(one.high, 1), *_point(one.point)] for one in stretches]
            tables.append(Table(title, ["from", "below", *POINT], rows, heads=0))
    return tables


POINT = ("method", "seed", "sparsity")


def _point(point: Point) -> list[Cell]:
    return [text(method_name(point.method)), count(point.seed), share(point.sparsity)]


def _score(score: float) -> Cell:
    return Cell(f"{score:.4f}", score)


def layers_table(results: Results) -> Table | None:
    """The layers of the submitted point; None where it is not among the points or the files are not here."""
    chosen, rows = results.chosen, results.layers
    if chosen is None or rows.empty:
        return None
    same = (rows["method"] == chosen["method"]) & (rows["seed"] == chosen["seed"])
    rows = rows[same & (rows["target_sparsity"] == chosen["target_sparsity"])]
    cells = [
        [text(row["layer"]), count(row["weights"]), count(row["zeros"]), share(row["zeros"] / row["weights"])]
        for row in rows.to_dict("records")
    ]
    return Table("The layers of the submitted network", ["layer", "weights", "zeros", "sparsity"], cells, True)


def confusion_tables(results: Results) -> list[Table]:
    """A matrix for each network and split; of many classes those that fare worst and the most frequent confusions."""
    tables = []
    for (network, split), (names, counts) in (results.confusion or {}).items():
        title = f"{network} network, {split} split"
        if len(names) <= FEW_CLASSES:
            tables.append(_matrix(f"{title.capitalize()}: true classes down, answers across", names, counts))
        else:
            tables += [_worst(f"{title.capitalize()}: classes with the fewest right", names, counts)]
            tables += [_confusions(f"{title.capitalize()}: most frequent confusions", names, counts)]
    return tables


def _matrix(caption: str, names: Sequence[str], counts: np.ndarray) -> Table:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares[~np.eye(len(counts), dtype=bool)] *= -1
    rows = [
        [text(name), *(Cell(str(n), n, tint) for n, tint in zip(line, tints, strict=True))]
        for name, line, tints in zip(names, counts.tolist(), shares.tolist(), strict=True)
    ]
    return Table(caption, ["", *names], rows)


def _worst(caption: str, names: Sequence[str], counts: np.ndarray) -> Table:
    examples, right = counts.sum(axis=1), counts.diagonal()
    shares = np.where(examples > 0, right / np.maximum(examples, 1), np.inf)
    rows = [
        [text(names[i]), count(examples[i]), count(right[i]), share(shares[i], 1)]
        for i in np.argsort(shares, kind="stable")[:WORST]
        if examples[i]
    ]
    return Table(caption, ["class", "examples", "right", "share"], rows, True)


def _confusions(caption: str, names: Sequence[str], counts: np.ndarray) -> Table:
    wrong = counts * ~np.eye(len(counts), dtype=bool)
    most = np.argsort(-wrong, axis=None, kind="stable")[:WORST]
    rows = [
        [text(names[i]), text(names[j]), count(wrong[i, j])]
        for i, j in (divmod(int(place), len(counts)) for place in most)
        if wrong[i, j]
    ]
    return Table(caption, ["class", "taken for", "examples"], rows, True)


def exports_table(results: Results) -> Table | None:
    """The submitted network's files for other runtimes; None where the stage `export` wrote none."""
    if results.exports is None or results.exports.empty:
        return None
    rows = [
        [
            *(text(row["format"]), text(row["file"]), count(row["bytes"]), count(row["bytes_zstd"])),
            *(share(row["val_accuracy"]), share(row["test_accuracy"])),
        ]
        for row in results.exports.to_dict("records")
    ]
    headings = ["format", "file", "bytes", "with zstd", "validation", "test"]
    return Table("The submitted network as files for other runtimes", headings, rows, True)


def training_table(results: Results) -> Table | None:
    """Fits and epochs of each stage that trained; None without curves."""
    if results.curves.empty:
        return None
    rows = []
    for (stage, seed), curve in results.curves.groupby(["stage", "seed"], sort=False):
        images = [] if results.prepared is None else [count(len(curve) * results.prepared.train)]
        fits = int((curve["epoch"] == 1).sum())
        rows.append([text(method_name(str(stage))), count(int(str(seed))), count(fits), count(len(curve)), *images])
    images_heading = [] if results.prepared is None else ["examples seen"]
    return Table("Training", ["stage", "seed", "fits", "epochs", *images_heading], rows, True)


def parameters_tables(parameters: dict[str, Any]) -> list[Table]:
    """Every parameter, a table for each section; those outside of sections come first."""
    sections = {"": {name: value for name, value in parameters.items() if not isinstance(value, dict)}}
    for name, value in parameters.items():
        deeper = isinstance(value, dict) and value and all(isinstance(inner, dict) for inner in value.values())
        sections |= {f"{name}.{inner}": value[inner] for inner in value} if deeper else {}
        sections |= {name: value} if isinstance(value, dict) and not deeper else {}
    return [
        Table(name or "general", ["parameter", "value"], [[text(key), text(value)] for key, value in _flat(section)])
        for name, section in sections.items()
    ]


def _flat(content: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in content.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            found.append((f"{prefix}{name}", "none" if shown is None or shown == "" else str(shown)))
    return found
