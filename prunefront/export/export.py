"""A model in all formats: written, tried by their own runtimes, compared with the model itself."""

import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import zstandard

from prunefront.c_code.emit import emit
from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.data.batches import at_hand
from prunefront.data.splits import Split, read_class_names
from prunefront.export.formats import RUNTIMES, content_of, family, file_of, variant
from prunefront.export.keras_file import write_keras
from prunefront.export.litert import REPRESENTATIVE, write_litert
from prunefront.export.onnx import check_extra, write_onnx
from prunefront.export.results import COLUMNS
from prunefront.export.runtimes import BATCH, Job, Ran, outputs_file
from prunefront.export.trial import try_out
from prunefront.graph.compaction import compact
from prunefront.graph.operations import Graph
from prunefront.graph.read import read_graph
from prunefront.graph.write import write_model
from prunefront.models.weights import check_shapes
from prunefront.pipeline.run import Run
from prunefront.pruning.masks import Weights
from prunefront.sparse_file.codec import encode

EXACT = 1e-4
"""Of the outputs' scale: what float32 loses where sums come in another order."""
SMALLEST = 1e-5
"""Of the outputs' scale: smaller differences are not told apart, they are the last bits of one machine."""
RANDOM = 64
"""Random examples that a compacted model is compared on, beside all of the validation split."""


@dataclass(frozen=True)
class Subject:
    """A model to be written.

    Attributes:
        opened: the run, whose model has the weights.
        weights: in model order.
        graph: the same function without what has no part in it; None where `why_not` says why there is none.
        small: the graph as a model; the model itself where there is no graph.
        why_not: one line.
    """

    opened: Run
    weights: Weights
    graph: Graph | None
    small: "keras.Model"
    why_not: str

    @cached_property
    def representative(self) -> np.ndarray:
        """Some examples of the training split, the same each time."""
        x = self.opened.read("train").x
        chosen = np.random.default_rng(0).permutation(len(x))[:REPRESENTATIVE]
        return x[np.sort(chosen)]


def export(
    opened: Run, weights: Weights, formats: Sequence[str], tolerance: float, folder: Path, stem: str
) -> pd.DataFrame:
    """Writes a model in all formats that can hold it, and tries each file.

    A format that cannot hold the model is left out, and a line says why.

    Args:
        opened: the run, in float32.
        weights: in model order.
        formats: some of `params.FORMATS`.
        tolerance: validation accuracy that a file may lose, in [0, 1].
        folder: empty; the files go there.
        stem: what their names begin with.

    Returns:
        A row for each file, with the columns of `results.COLUMNS`.

    Raises:
        InputError: the weights do not fit, a package is missing, no format can hold the model, the compacted model
            computes something else, or a file crashes its runtime or loses too much accuracy.
    """
    if "onnx" in formats:
        check_extra()
    check_shapes(weights, opened.model, "the weights to export")
    opened.model.set_weights(weights)
    splits = {"validation": opened.validation, "test": opened.read("test")}
    expected = {name: outputs_of(opened.model, split.x) for name, split in splits.items()}
    subject = make_subject(opened, weights, expected["validation"])
    files = _written(subject, formats, folder, stem)
    with TemporaryDirectory(prefix="prunefront-") as temporary:
        job = Job(
            files=files,
            folder=Path(temporary),
            splits=tuple(splits),
            shape=opened.validation.x.shape[1:],
            dtype=str(opened.validation.x.dtype),
            classes=len(read_class_names()),
            outputs=expected["validation"].shape[1],
            model=opened.params.model,
        )
        rows = [_row(subject, ran, job, splits, expected, tolerance) for ran in try_out(job)]
    return pd.DataFrame(rows, columns=COLUMNS)


def make_subject(opened: Run, weights: Weights, expected: np.ndarray) -> Subject:
    """The model of a run, which has the weights, and what is left of it when all that has no effect is removed.

    Args:
        expected: the model's outputs on the validation split.

    Raises:
        InputError: the compacted model computes something else.
    """
    try:
        graph = compact(read_graph(opened.model))
        small = write_model(graph)
    except InputError as error:
        print(f"exported as it is, not compacted: {error}", flush=True)
        return Subject(opened, weights, None, opened.model, str(error))
    x = random_like(at_hand(opened.validation), RANDOM)
    compared = {
        "random examples": (outputs_of(opened.model, x), outputs_of(small, x)),
        "the validation split": (expected, outputs_of(small, opened.validation.x)),
    }
    for where, (one, other) in compared.items():
        difference = difference_of(one, other)
        if not difference <= EXACT:
            raise InputError(
                f"Expected the compacted model to compute what the model does. Received: outputs on {where} that differ "
                f"by {difference:.2g} of their scale; this is a bug of prunefront's"
            )
    before, after = (sum(w.size for w in model.get_weights()) for model in (opened.model, small))
    print(f"compacted exactly from {before:,} to {after:,} weights", flush=True)
    return Subject(opened, weights, graph, small, "")


def outputs_of(model: "keras.Model", x: np.ndarray) -> np.ndarray:
    """What a model gives for examples, shape (n, outputs), float32; they may be on disk."""
    parts = [model.predict_on_batch(x[start : start + BATCH]) for start in range(0, len(x), BATCH)]
    return np.concatenate(parts).astype(np.float32)


def random_like(x: np.ndarray, count: int) -> np.ndarray:
    """Random examples of the kind of some: integers from their range, floats of their mean and twice their spread."""
    rng = np.random.default_rng(0)
    shape = (count, *x.shape[1:])
    if x.dtype.kind in "iu":
        return rng.integers(x.min(), x.max() + 1, shape).astype(x.dtype)
    return rng.normal(x.mean(), 2 * x.std() + 1e-3, shape).astype(x.dtype)


def difference_of(expected: np.ndarray, received: np.ndarray) -> float:
    """The largest difference of two arrays, as a share of the largest magnitude of the first; NaN if one has NaN."""
    scale = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(expected - received).max()) / scale


def rounded_up(share: float) -> float:
    """A share with one digit, not smaller than it is, nor than `SMALLEST`."""
    if share <= SMALLEST:
        return SMALLEST
    digits = -math.floor(math.log10(share))
    return round(math.ceil(round(share * 10**digits, 6)) / 10**digits, digits)


def write(name: str, path: Path, subject: Subject) -> None:
    """Writes a model in one format; C with a header beside it. Raises InputError if the format cannot hold it."""
    kind = family(name)
    if kind == "keras":
        model = subject.opened.make_model()  # a new one, which is not compiled
        model.set_weights(subject.weights)
        write_keras(path, model)
    elif kind == "sparse":
        path.write_bytes(encode(subject.weights, variant(name) or "float32"))
    elif kind == "c":
        if subject.graph is None:
            raise InputError(subject.why_not)
        source, header = emit(subject.graph, path.stem, read_class_names())
        path.write_text(source, encoding="utf-8")
        path.with_suffix(".h").write_text(header, encoding="utf-8")
    elif kind == "litert":
        write_litert(path, subject.small, name, subject.representative)
    else:
        write_onnx(path, subject.small, at_hand(subject.opened.validation)[:1])


def _written(subject: Subject, formats: Sequence[str], folder: Path, stem: str) -> dict[str, Path]:
    files, reason = {}, ""
    for name in formats:
        path = file_of(name, folder, stem)
        try:
            write(name, path, subject)
            files[name] = path
        except InputError as error:
            reason = f"{name}: {error}"
            print(f"left out is {reason}", flush=True)
    if not files:
        raise InputError(f"Expected a format that can hold the model. Received: {reason}")
    return files


def _row(
    subject: Subject, ran: Ran, job: Job, splits: dict[str, Split], expected: dict[str, np.ndarray], tolerance: float
) -> dict[str, object]:
    """The row of a file that has been tried. Raises InputError if it is not to be kept."""
    path = job.files[ran.name]
    if ran.refusal is not None:
        raise InputError(
            f"{ran.name}: expected a file that {RUNTIMES[family(ran.name)]} runs; leave {ran.name} out of "
            f"export.formats. Received: {ran.refusal}"
        )
    content = content_of(path)
    row: dict[str, object] = {
        "format": ran.name,
        "file": path.name,
        "bytes": len(content),
        "bytes_gzip": len(gzip.compress(content, 9, mtime=0)),
        "bytes_zstd": len(zstandard.compress(content, 19)),
        "parameters": ran.numbers,
        "zeros": ran.zeros,
    }
    if ran.not_run is not None:
        print(f"{ran.name}: written, but not run. {ran.not_run}", flush=True)
        return row
    outputs = {split: np.load(outputs_file(job.folder, ran.name, split)) for split in splits}
    answers = subject.opened.outputs.answers
    right = {split: int((answers(outputs[split]) == splits[split].y).sum()) for split in splits}
    accuracy = {split: right[split] / len(splits[split].y) for split in splits}
    of_model = float((answers(expected["validation"]) == splits["validation"].y).mean())
    difference = max(difference_of(expected[split], outputs[split]) for split in splits)
    if not accuracy["validation"] >= of_model - tolerance - 1e-9 or math.isnan(difference):
        raise InputError(
            f"{ran.name}: expected a file that loses at most {tolerance:g} of the validation accuracy "
            f"(export.tolerance); leave {ran.name} out of export.formats. Received: {accuracy['validation']:.4f} "
            f"instead of {of_model:.4f}"
        )
    return row | {
        "val_accuracy": accuracy["validation"],
        "test_accuracy": accuracy["test"],
        "largest_difference": rounded_up(difference),
    }
