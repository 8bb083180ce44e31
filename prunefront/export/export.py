"""A model in all formats: written, tried by their own runtimes, compared with the model itself."""

import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import zstandard

from prunefront.c_code.build import write as write_c
from prunefront.c_code.emit import emit
from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.data.batches import at_hand
from prunefront.data.rows import RowsOnDisk
from prunefront.data.splits import Split, read_class_names
from prunefront.export.convert import Conversion, Converted
from prunefront.export.formats import RUNTIMES, content_of, family, file_of, variant
from prunefront.export.keras_file import write_keras
from prunefront.export.litert import REPRESENTATIVE
from prunefront.export.onnx import check_extra
from prunefront.export.processes import answers, try_out
from prunefront.export.results import COLUMNS
from prunefront.export.runtimes import BATCH, Job, Ran, outputs_file
from prunefront.graph.compaction import compact, constant_output
from prunefront.graph.folding import fold_affine
from prunefront.graph.forward import difference_of
from prunefront.graph.operations import Graph
from prunefront.graph.read import read_graph
from prunefront.graph.write import write_model
from prunefront.models.outputs import Outputs
from prunefront.models.weights import check_shapes
from prunefront.pipeline.run import Run
from prunefront.pruning.masks import Weights
from prunefront.sparse_file.codec import encode

EXACT = 1e-4
"""Of the outputs' scale: what float32 loses where sums come in another order."""
SMALLEST = 1e-5
"""Of the outputs' scale: smaller differences are not told apart, they are the last bits of one machine."""
WHOLE = ("keras", "sparse")
"""Families that hold the model as it is, since it goes on being trained, or takes the weights."""
CONVERTED = ("litert", "onnx")
"""Families whose files a converter makes, in a process of its own."""
RANDOM = 64
"""Random examples that a compacted model is compared on, beside all of the validation split."""


@dataclass(frozen=True)
class Subject:
    """A model to be written.

    Attributes:
        opened: the run that it is of.
        model: with the weights, not compiled.
        graph: the model as plain operations, normalization taken into the weights; None where `why_not` says why.
        why_not: one line.
    """

    opened: Run
    model: "keras.Model"
    graph: Graph | None
    why_not: str = ""


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
        A row for each file, with the columns of `results.COLUMNS`; the digest is left to the caller.

    Raises:
        InputError: the weights do not fit, a package is missing, no format can hold the model, the compacted model
            computes something else, or a file crashes its runtime or loses too much accuracy.
    """
    if "onnx" in formats:
        check_extra()
    check_shapes(weights, opened.model, "the weights to export")
    splits = {"validation": opened.validation, "test": opened.read("test")}
    whole = as_it_is(opened, weights)
    expected = {name: outputs_of(whole.model, split.x) for name, split in splits.items()}
    small = compacted(whole, expected["validation"])
    with TemporaryDirectory(prefix="prunefront-") as temporary:
        job = make_job(opened, expected["validation"].shape[1], Path(temporary), small)
        files = {name: file_of(name, folder, stem) for name in formats}
        as_whole = {name: path for name, path in files.items() if family(name) in WHOLE}
        refused = write(as_whole, whole, job)
        refused |= write({name: path for name, path in files.items() if name not in as_whole}, small, job)
        for name, reason in refused.items():
            print(f"left out is {name}: {reason}", flush=True)
        kept = {name: path for name, path in files.items() if name not in refused}
        if not kept:
            raise InputError(
                f"Expected a format that can hold the model. Received: {'; '.join(map(': '.join, refused.items()))}"
            )
        job = job.model_copy(update={"files": kept, "splits": tuple(splits)})
        rows = [_row(opened.outputs, ran, job, splits, expected, tolerance) for ran in try_out(job)]
    return pd.DataFrame(rows, columns=COLUMNS)


def make_job(opened: Run, outputs: int, folder: Path, small: "Subject") -> Job:
    """What processes have to know of a model; no files and no splits yet.

    Args:
        outputs: numbers that it gives for an example.
        folder: for what the processes write.
        small: what C is written of.
    """
    return Job(
        files={},
        folder=folder,
        splits=(),
        shape=opened.validation.x.shape[1:],
        dtype=str(opened.validation.x.dtype),
        classes=len(read_class_names()),
        outputs=outputs,
        weights=sum(array.size for array in small.model.get_weights()),
        model=opened.params.model,
    )


def as_it_is(opened: Run, weights: Weights) -> Subject:
    """The network of a run with other weights, in model order, which fit."""
    model = opened.make_model()
    model.set_weights(weights)
    try:
        return Subject(opened, model, fold_affine(read_graph(model)))
    except InputError as error:
        return Subject(opened, model, None, str(error))


def compacted(subject: Subject, expected: np.ndarray) -> Subject:
    """The same function without what has no part in it; the subject itself where there is no graph, and a line says so.

    Args:
        subject: as it is.
        expected: its outputs on the validation split.

    Raises:
        InputError: the model is constant, or the compacted one computes something else.
    """
    if subject.graph is None:
        print(f"exported without compaction: {subject.why_not}", flush=True)
        return subject
    constant = constant_output(subject.graph)
    if constant is not None:
        values = ", ".join(f"{value:.4g}" for value in constant.ravel()[:10])
        raise InputError(
            f"Expected a model whose output depends on its input. Received: a dead one, every path of which is cut: "
            f"its function is constant, {values}"
        )
    graph = compact(subject.graph)
    model = write_model(graph)
    x = random_like(at_hand(subject.opened.validation), RANDOM)
    compared = {
        "random examples": (outputs_of(subject.model, x), outputs_of(model, x)),
        "the validation split": (expected, outputs_of(model, subject.opened.validation.x)),
    }
    for where, (one, other) in compared.items():
        difference = difference_of(one, other)
        if not difference <= EXACT:
            raise InputError(
                f"Expected the compacted model to compute what the model does. Received: outputs on {where} that "
                f"differ by {difference:.2g} of their scale; this is a bug of prunefront's"
            )
    before, after = (sum(w.size for w in one.get_weights()) for one in (subject.model, model))
    print(f"compacted exactly from {before:,} to {after:,} weights", flush=True)
    return Subject(subject.opened, model, graph)


def outputs_of(model: "keras.Model", x: np.ndarray | RowsOnDisk) -> np.ndarray:
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


def rounded_up(share: float) -> float:
    """A share with one digit, not smaller than it is, nor than `SMALLEST`."""
    if share <= SMALLEST:
        return SMALLEST
    digits = -math.floor(math.log10(share))
    return round(math.ceil(round(share * 10**digits, 6)) / 10**digits, digits)


def write(files: Mapping[str, Path], subject: Subject, job: Job) -> dict[str, str]:
    """Writes a model in several formats.

    Args:
        files: by format; C with a header beside it.
        subject: the model.
        job: what processes have to know of it.

    Returns:
        For each format that cannot hold the model the reason, in a line.
    """
    refused = _converted({name: path for name, path in files.items() if family(name) in CONVERTED}, subject, job)
    for name, path in files.items():
        if family(name) not in CONVERTED:
            try:
                _write(name, path, subject)
            except InputError as error:
                refused[name] = str(error)
    return refused


def _write(name: str, path: Path, subject: Subject) -> None:
    kind = family(name)
    if kind == "keras":
        write_keras(path, subject.model)
    elif kind == "sparse":
        path.write_bytes(encode(subject.model.get_weights(), variant(name) or "float32"))
    elif subject.graph is None:
        raise InputError(subject.why_not)
    else:
        write_c(path.parent, path.stem, *emit(subject.graph, path.stem, read_class_names()))


def _converted(files: Mapping[str, Path], subject: Subject, job: Job) -> dict[str, str]:
    """Has files converted in a process, and in another those behind one that the converter does not survive."""
    refused: dict[str, str] = {}
    waiting = list(files)
    if waiting:
        source = job.folder / ("model.sparse" if subject.graph is None else "model.keras")
        _write("sparse" if subject.graph is None else "keras", source, subject)  # our own layers need no code
        examples = job.folder / "representative.npy"
        np.save(examples, representative(subject.opened))
    while waiting:
        part = job.model_copy(update={"files": {name: files[name] for name in waiting}})
        task = Conversion(job=part, model=source, examples=examples)
        converted, end = answers("prunefront.export.convert", task, Converted)
        refused |= {one.name: one.refusal for one in converted if one.refusal is not None}
        waiting = waiting[len(converted) :]
        if waiting:
            refused[waiting.pop(0)] = f"Expected a model that the converter can convert. Received: it ended {end}"
    return refused


def representative(opened: Run) -> np.ndarray:
    """Some examples of the training split, the same each time."""
    x = opened.read("train").x
    chosen = np.random.default_rng(0).permutation(len(x))[:REPRESENTATIVE]
    return x[np.sort(chosen)]


def _row(
    meant: Outputs, ran: Ran, job: Job, splits: dict[str, Split], expected: dict[str, np.ndarray], tolerance: float
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
    right = {split: int((meant.answers(outputs[split]) == splits[split].y).sum()) for split in splits}
    accuracy = {split: right[split] / len(splits[split].y) for split in splits}
    of_model = float((meant.answers(expected["validation"]) == splits["validation"].y).mean())
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
