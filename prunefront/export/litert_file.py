"""What numbers a LiteRT file holds, read from the file itself."""

import math
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from prunefront.common.errors import InputError, cause

FLOATS = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
WHOLE = {schema.TensorType.INT8: np.int8, schema.TensorType.INT16: np.int16, schema.TensorType.INT32: np.int32}


def count_litert(path: Path) -> tuple[int, int]:
    """Zeros and numbers among the constants of a LiteRT file that are floats or stand for floats.

    A quantized zero is the zero point; a place that a sparse tensor leaves out is zero. Shapes and the like, integers
    without a scale, do not count.

    Args:
        path: of the file.

    Raises:
        InputError: it is no whole LiteRT file.
    """
    model = _read(path)
    counts = [_count(tensor, model.buffers[tensor.buffer]) for part in model.subgraphs for tensor in part.tensors]
    return sum(zeros for zeros, _ in counts), sum(numbers for _, numbers in counts)


def sparse_defect(path: Path) -> str | None:
    """What is wrong with the sparse tensors of a file, in the middle of a sentence; None if nothing is known to be.

    LiteRT's converter writes files that are not the model, or that its runtime does not load:

    - a kernel in blocks that do not fill its axis loses numbers;
    - an int8 kernel of a dense layer that is sparse, but not in blocks, is unpacked by an operation of its own, and the
      CPU delegate takes layers over that have no sparse kernel (versions below 8) only with constant ones.
    """
    model = _read(path)
    for part in model.subgraphs:
        for tensor in part.tensors:
            if tensor.sparsity is not None and not _blocks_fit(tensor):
                return "blocks that do not fill a kernel, so that numbers are lost"
        operators = [(model.operatorCodes[one.opcodeIndex], one) for one in part.operators]
        unpacked = {one.outputs[0] for code, one in operators if code.builtinCode == schema.BuiltinOperator.DENSIFY}
        for code, one in operators:
            taken_over = code.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED and code.version < 8
            kernel = one.inputs[1] if taken_over else None
            if kernel in unpacked and part.tensors[kernel].type == schema.TensorType.INT8:
                return "a Dense kernel with zeros one by one instead of in blocks of 16 inputs, which LiteRT refuses"
    return None


def _blocks_fit(tensor: "schema.TensorT") -> bool:
    blocked = [] if tensor.sparsity.blockMap is None else [int(axis) for axis in tensor.sparsity.blockMap]
    sizes = [one.denseSize for one in tensor.sparsity.dimMetadata[len(tensor.shape) :]]
    return all(tensor.shape[axis] % size == 0 for axis, size in zip(blocked, sizes, strict=True))


def _read(path: Path) -> "schema.ModelT":
    try:
        content = path.read_bytes()
        if not schema.Model.ModelBufferHasIdentifier(content, 0):
            raise ValueError("no identifier TFL3")
        return schema.ModelT.InitFromPackedBuf(content, 0)
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(f"{path}: expected a whole LiteRT file. Received: a damaged one ({cause(error)})") from None


def _count(tensor: "schema.TensorT", buffer: "schema.BufferT") -> tuple[int, int]:
    scales = None if tensor.quantization is None else tensor.quantization.scale
    kinds = FLOATS if scales is None else FLOATS | WHOLE
    if buffer.data is None or len(buffer.data) == 0 or tensor.type not in kinds:
        return 0, 0
    shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    stored = np.frombuffer(bytes(buffer.data), kinds[tensor.type])
    if tensor.sparsity is not None:  # with blocks, zeros are stored too
        return math.prod(shape) - int(np.count_nonzero(stored)), math.prod(shape)
    if scales is None:
        return int(stored.size - np.count_nonzero(stored)), stored.size
    points = np.asarray(tensor.quantization.zeroPoint)
    axis = [1] * len(shape)
    if len(points) > 1:
        axis[tensor.quantization.quantizedDimension] = len(points)
    return int((stored.reshape(shape) == points.reshape(axis if len(points) > 1 else -1)).sum()), stored.size
