"""Exported files, loaded and run by their own runtimes: what a process of its own does, see `processes.py`.

TensorFlow is imported for Keras's files alone.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, Field

from prunefront.c_code.build import FAST, PORTABLE, Library, build, compiler
from prunefront.common.errors import InputError, cause
from prunefront.common.sections import Model
from prunefront.data.splits import PREPARED, read_split
from prunefront.export.formats import SUFFIXES, family

if TYPE_CHECKING:
    import keras

BATCH = 64
ONNX_TYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(int64)": np.int64}
"""Of inputs, by onnxruntime's names: compaction may leave a model that takes floats where it took integers."""

Predict = Callable[[np.ndarray], np.ndarray]
"""From examples, shape (n, ...), to outputs, shape (n, outputs)."""


class Job(BaseModel, frozen=True):
    """What a process is to do: load files of one runtime, run each on prepared splits, and write what they give.

    Attributes:
        files: by format.
        folder: for the outputs, see `outputs_file`.
        splits: names of prepared splits.
        shape, dtype: of an example as the model takes it.
        classes: of the labels.
        outputs: numbers that the model gives for an example.
        weights: numbers that the weights of the exported model have, zeros too, for files that leave zeros out.
        model: the network whose weights a sparse file holds.
    """

    files: dict[str, Path]
    folder: Path
    splits: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    classes: Annotated[int, Field(ge=2)]
    outputs: Annotated[int, Field(ge=1)]
    weights: Annotated[int, Field(ge=0)]
    model: Model

    def only(self, names: Sequence[str]) -> "Job":
        """The same for some of the files."""
        return self.model_copy(update={"files": {name: self.files[name] for name in names}})


class Ran(BaseModel, frozen=True):
    """What a process says of a file.

    Attributes:
        name: of the format.
        refusal: why the runtime does not take the file; None if it does.
        not_run: why nothing here can run it, such as a missing compiler; None if it ran.
        zeros, numbers: among the weights in the file.
    """

    name: str
    refusal: str | None = None
    not_run: str | None = None
    zeros: int = 0
    numbers: int = 0


def outputs_file(folder: Path, name: str, split: str) -> Path:
    """Where the outputs of a format on a split are written, an array of shape (n, outputs)."""
    return folder / f"{name}-{split}.npy"


def load(name: str, path: Path, job: Job, threads: int = 1, fast: bool = False) -> Predict:
    """A file as a function.

    Args:
        name: of the format.
        path: of the file.
        job: what else is to be known of the model.
        threads: that the runtime may use; C uses one, and Keras what TensorFlow is set to.
        fast: whether C is compiled for this processor, and else for all of its kind, with the same results on each.
    """
    kind = family(name)
    if kind == "litert":
        return _litert(path, threads)
    if kind == "onnx":
        return _onnx(path, threads)
    if kind == "c":
        return _c(path, job, FAST if fast else PORTABLE)
    return _keras(path, job)


def count_weights(name: str, path: Path, job: Job) -> tuple[int, int]:
    """Zeros and numbers among the weights in a file."""
    kind = family(name)
    if kind == "litert":
        from prunefront.export.litert_file import count_litert

        return count_litert(path)
    if kind == "onnx":
        arrays = _onnx_arrays(path)
    elif kind == "c":
        from prunefront.export.c_file import count_non_zeros

        return job.weights - count_non_zeros(path), job.weights
    else:
        from prunefront.models.weights import load_weights

        arrays = load_weights(path)
    return sum(int(a.size - np.count_nonzero(a)) for a in arrays), sum(a.size for a in arrays)


def _litert(path: Path, threads: int) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    batch = taken["shape_signature"][0]
    allocated: tuple[int, ...] = ()

    def predict(x: np.ndarray) -> np.ndarray:
        nonlocal allocated
        if batch not in (-1, len(x)):  # recurrent layers: one by one
            return np.concatenate([predict(x[start : start + batch]) for start in range(0, len(x), batch)])
        if x.shape != allocated:
            interpreter.resize_tensor_input(taken["index"], x.shape)
            interpreter.allocate_tensors()
            allocated = x.shape
        interpreter.set_tensor(taken["index"], x.astype(taken["dtype"], copy=False))
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])

    return predict


def _onnx(path: Path, threads: int) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # which slows down what runs next
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    dtype = ONNX_TYPES[taken.type]
    return lambda x: session.run(None, {taken.name: x.astype(dtype, copy=False)})[0]


def _onnx_arrays(path: Path) -> list[np.ndarray]:
    import onnx

    arrays = [onnx.numpy_helper.to_array(array) for array in onnx.load(path).graph.initializer]
    return [array for array in arrays if array.dtype.kind == "f"]


def _c(path: Path, job: Job, flags: Sequence[str]) -> Predict:
    library = build(path, job.folder / f"{path.stem}.so", flags)
    return Library(library, path.stem, job.shape, (job.outputs,)).predict


def _keras(path: Path, job: Job) -> Predict:
    model = keras_model(path, job)
    return lambda x: np.asarray(model.predict_on_batch(x), np.float32)


def keras_model(path: Path, job: Job) -> "keras.Model":
    """A model from a file.

    Args:
        path: a `.keras` file, or a `.sparse` one with the weights of the job's network.
        job: what else is to be known of the model.
    """
    from prunefront.common.runtime import set_up
    from prunefront.models.build import build_model
    from prunefront.models.model_files import load_model
    from prunefront.models.weights import check_shapes, load_weights

    set_up("float32", 0)
    if path.suffix == SUFFIXES["keras"]:
        own = job.model.trust or job.model.builder is not None  # a user's function is trusted, and so its classes
        return load_model(path, own, job.model.code)
    model = build_model(job.model, job.shape, job.classes)
    weights = load_weights(path)
    check_shapes(weights, model, str(path))
    model.set_weights(weights)
    return model


def run(job: Job) -> Iterator[Ran]:
    """Does a job, file by file."""
    examples = {split: read_split(split, PREPARED).x for split in job.splits}
    for name, path in job.files.items():
        try:
            zeros, numbers = count_weights(name, path, job)
            missing = _missing(name)
            if missing is None:
                predict = load(name, path, job)
                for split, x in examples.items():
                    parts = (x[start : start + BATCH] for start in range(0, len(x), BATCH))
                    outputs = [predict(part.reshape(-1, *job.shape).astype(job.dtype)) for part in parts]
                    np.save(outputs_file(job.folder, name, split), np.concatenate(outputs))
            yield Ran(name=name, zeros=zeros, numbers=numbers, not_run=missing)
        except Exception as error:  # a runtime raises what it comes upon
            yield Ran(name=name, refusal=str(error) if isinstance(error, InputError) else cause(error))


def _missing(name: str) -> str | None:
    """Why nothing here can run a format, None if something can."""
    if family(name) != "c":
        return None
    try:
        compiler()
    except InputError as error:
        return str(error)
    return None


if __name__ == "__main__":
    for ran in run(Job.model_validate_json(sys.stdin.buffer.read())):
        print(ran.model_dump_json(), flush=True)
