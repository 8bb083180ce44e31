"""Convolutions: sparse, each weight with its place, or dense where there are few zeros."""

from itertools import pairwise

import numpy as np

from prunefront.c_code import staging as stages
from prunefront.c_code.kernels import BLOCK, TILE_CHANNELS, WIDEST
from prunefront.c_code.layer import Code, Place
from prunefront.c_code.planes import Planes, planes
from prunefront.c_code.side_by_side import side_by_side, single
from prunefront.c_code.text import numbers, positions
from prunefront.graph.operations import Convolution, Dense

DENSE_FROM = 0.75
"""Share of weights that are not zero from which a convolution is emitted dense; see benchmarks/c_break_even.py."""

DENSE_FROM_OF_FEW = 0.9
"""The same where a plane of the output is no more than the widest vector."""


def as_convolution(operation: Dense) -> Convolution:
    """A dense layer over the last axis of several places is a convolution of size 1."""
    return Convolution(operation.kernel[None, None], operation.bias, (1, 1), (1, 1), ((0, 0), (0, 0)))


class Planned:
    """A convolution with its way to the input.

    Attributes:
        output: how the output lies.
        staged: numbers that the copies of the input take.
    """

    def __init__(self, operation: Convolution, source: Planes, full: tuple[int, int], rows: int, columns: int) -> None:
        """Plans a convolution.

        Args:
            operation: the convolution.
            source: how its input lies.
            full: rows and columns of the input, of which `source` may have only those that count.
            rows, columns: of the output that count.
        """
        self.operation, self.source, self.full = operation, source, full
        self.window = stages.window(operation, full, rows, columns)
        self.single = rows == columns == 1
        self.staging = stages.stage(self.window, operation.groups, source, full)
        channels = operation.kernel.shape[-1]
        self.output = planes(channels, 1, 1) if self.single else stages.output_planes(self.window, self.staging)
        self.staged = 0 if self.single else self.staging.size

    def code(self, source: Place, target: Place, staged: str, prefix: str, rectify: bool) -> Code:
        """The C of the convolution.

        Args:
            source, target: input and output.
            staged: the pointer to the copies of the input, in C.
            prefix: of the names of tables.
            rectify: whether relu comes behind.
        """
        if self.single:
            return self._single(source, target, prefix, rectify)
        staging, lines, tables = self.staging, [f"const float *in = {source.name};"], ""
        if staging.copies:
            lines.append(f"float *staged = {staged};")
            if len(staging.channels) < self.source.channels:
                tables = positions(f"{prefix}_channels", staging.channels)
            lines.append(stages.copying(self.window, staging, self.source, self.full, f"{prefix}_channels"))
        called = self._called(target.planes, prefix, rectify)
        lines.append(called.body.format("staged" if staging.copies else "in", target.name))
        largest = max(called.largest, self.source.channels)
        return Code("\n".join(lines), tables + called.tables, called.note, largest)

    def _called(self, out: Planes, prefix: str, rectify: bool) -> Code:
        """The call of a kernel with its tables; the body lacks the pointers to input and output."""
        kernel, bias, groups = self.window.kernel, self.operation.bias, self.operation.groups
        place, few = _places(self.operation, kernel.shape, self.staging), out.run <= WIDEST
        dense = _is_dense(kernel, groups, DENSE_FROM_OF_FEW if few else DENSE_FROM)
        if few and not dense:
            (rows,) = [_by_output(kernel, place, 1, slice(None))]
            where, weights = (np.concatenate([row[n].ravel() for row in rows]) for n in (0, 1))
            output = np.repeat(np.arange(len(bias)), [len(p) for p, _ in rows])
            ordered = side_by_side(where, output, weights, len(bias))
            body = f"few({{}}, {{}}, {out.run}, {out.plane}, {int(rectify)}, {ordered.arguments(prefix)});"
            tables = ordered.tables(prefix) + numbers(f"{prefix}_bias", bias)
            return Code(body, tables, _note(self.operation.kernel, "sparse"), ordered.largest)
        parts = [slice(None)] if dense else _parts(kernel, self.staging)
        size = TILE_CHANNELS if dense else 1
        rows = [row for part in parts for row in _by_output(kernel, place, size, part)]
        where, count = np.concatenate([p for p, _ in rows]), [len(p) for p, _ in rows]
        tables = positions(f"{prefix}_count", count) + positions(f"{prefix}_place", where)
        tables += numbers(f"{prefix}_weights", np.concatenate([w.ravel() for _, w in rows]))
        tables += numbers(f"{prefix}_bias", np.append(bias, np.zeros(-len(bias) % size, np.float32)))
        body = (
            f"{'dense' if dense else 'sparse'}({{}}, {{}}, {out.run}, {out.plane}, {out.channels}, "
            f"{'' if dense else f'{len(parts)}, '}{int(rectify)},\n"
            f"    {prefix}_count, {prefix}_place, {prefix}_weights, {prefix}_bias);"
        )
        note = _note(self.operation.kernel, "dense" if dense else "sparse")
        return Code(body, tables, note, max(int(where.max(initial=0)), *count))

    def _single(self, source: Place, target: Place, prefix: str, rectify: bool) -> Code:
        """The C where there is one place only: each weight has its own input."""
        view, lies = self.window, self.source
        y, x, channel, output = np.nonzero(view.kernel)
        weights = view.kernel[y, x, channel, output]
        channel = channel + output // (view.kernel.shape[3] // self.operation.groups) * view.kernel.shape[2]
        row, column = y * view.dilation[0] - view.before[0], x * view.dilation[1] - view.before[1]
        start = channel * lies.plane + row * lies.pitch + column
        order = np.lexsort((column, row, channel))
        bias = self.operation.bias
        groups = side_by_side(start[order], output[order], weights[order], len(bias))
        return single(source, target, prefix, rectify, groups, bias, _note(self.operation.kernel, "sparse"))


def _is_dense(kernel: np.ndarray, groups: int, least: float) -> bool:
    """Whether a convolution is emitted in tiles: it has few zeros, and channels that share their inputs."""
    each = kernel.shape[3] // groups
    return bool(
        np.count_nonzero(kernel) >= least * kernel.size and each > 1 and (groups == 1 or each % TILE_CHANNELS == 0)
    )


def _places(operation: Convolution, shape: tuple[int, ...], staging: stages.Staging) -> np.ndarray:
    """For each weight the place that it reads, from the first number of all on: (height, width, inputs, outputs)."""
    _, _, inputs, outputs = shape
    group = np.arange(outputs) // (outputs // operation.groups)
    channel = np.arange(inputs)[:, None] + group * inputs
    if staging.copies:  # only those in use were copied
        rank = np.zeros(inputs * operation.groups, int)
        rank[list(staging.channels)] = np.arange(len(staging.channels))
        channel = rank[channel]
    return staging.places[:, :, None, None] + channel * staging.channel


CACHE = 7_000
"""Numbers of the input that a pass over the weights may touch: 28 kB, less than any cache that is nearest to a core."""

WORTH = 24
"""Weights of an output channel that are worth loading and storing its sums once more."""


def _parts(kernel: np.ndarray, staging: stages.Staging) -> list[slice]:
    """Runs of input channels, of which each is done for all output channels before the next, in the same order."""
    inputs, outputs = kernel.shape[2:]
    below = int(staging.places.max()) % max(staging.plane, 1)
    touched = len(staging.channels) * max(len(staging.copies), 1) * (8 * BLOCK + below)
    count = max(min(-(-touched // CACHE), int(np.count_nonzero(kernel)) // outputs // WORTH, inputs), 1)
    edges = [inputs * part // count for part in range(count + 1)]
    return [slice(first, end) for first, end in pairwise(edges)]


def _by_output(kernel: np.ndarray, place: np.ndarray, size: int, part: slice) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each output channel, or so many at once: the places that they read, and the weights, (places, size).

    In the order of input channels, rows and columns of the kernel; where all are zero, there is no entry.
    """
    outputs = kernel.shape[3]
    ordered = kernel[:, :, part].transpose(3, 2, 0, 1).reshape(outputs, -1)
    where = place[:, :, part].transpose(3, 2, 0, 1).reshape(outputs, -1)
    found = []
    for first in range(0, outputs, size):
        weights = ordered[first : first + size]
        if len(weights) < size:
            weights = np.concatenate([weights, np.zeros((size - len(weights), weights.shape[1]), np.float32)])
        used = weights.any(axis=0)
        found.append((where[first][used], weights[:, used].T))
    return found


def _note(kernel: np.ndarray, way: str) -> str:
    return f"{np.count_nonzero(kernel)} of {kernel.size} weights, {way}"
