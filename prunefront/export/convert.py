"""LiteRT and ONNX files, made by converters that may crash: what a process of its own does, see `processes.py`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from prunefront.common.errors import InputError
from prunefront.export.formats import family
from prunefront.export.litert import write_litert
from prunefront.export.onnx import write_onnx
from prunefront.export.runtimes import Job, keras_model


class Conversion(BaseModel, frozen=True):
    """What a process is to convert.

    Attributes:
        job: the files, by format, and what else is to be known of the model.
        model: the file that it is read from, see `runtimes.keras_model`.
        examples: a `.npy` file of examples as the model takes them.
    """

    job: Job
    model: Path
    examples: Path


class Converted(BaseModel, frozen=True):
    """What a process says of a format: nothing more, or why it cannot hold the model."""

    name: str
    refusal: str | None = None


def convert(conversion: Conversion) -> Iterator[Converted]:
    """Writes the files one by one."""
    model = keras_model(conversion.model, conversion.job)
    examples = np.load(conversion.examples)
    for name, path in conversion.job.files.items():
        try:
            if family(name) == "litert":
                write_litert(path, model, name, examples)
            else:
                write_onnx(path, model, examples[:1])
            yield Converted(name=name)
        except InputError as error:
            yield Converted(name=name, refusal=str(error))


if __name__ == "__main__":
    for converted in convert(Conversion.model_validate_json(sys.stdin.buffer.read())):
        print(converted.model_dump_json(), flush=True)
