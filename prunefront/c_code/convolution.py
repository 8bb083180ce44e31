"""Convolutions: sparse, each weight with its place, or dense where there are few zeros."""

from itertools import pairwise

import numpy as np

from prunefront.c_code import staging as stages
from prunefront.c_code.kernels import BLOCK, TILE_CHANNELS, UNITS_AT_ONCE
from prunefront.c_code.layer import Code, Place
from prunefront.c_code.planes import Planes, planes
from prunefront.c_code.text import numbers, positions
from prunefront.graph.operations import Convolution, Dense

DENSE_FROM = 0.7
"""Share of weights that are not zero from which a convolution is emitted dense; see benchmarks/c_break_even.py."""


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
        operation, staging = self.operation, self.staging
        place = _places(operation, self.window.kernel.shape, staging)
        kernel = self.window.kernel
        each = kernel.shape[3] // operation.groups
        share = np.count_nonzero(kernel) / kernel.size
        tiled = bool(share >= DENSE_FROM and (operation.groups == 1 or each % TILE_CHANNELS == 0) and each > 1)
        size = TILE_CHANNELS if tiled else 1
        parts = [slice(None)] if tiled else _parts(kernel, staging)
        rows, bias = [row for part in parts for row in _by_output(kernel, place, size, part)], operation.bias
        if len(bias) % size:
            bias = np.concatenate([bias, np.zeros(size - len(bias) % size, np.float32)])
        tables = positions(f"{prefix}_count", [len(p) for p, _ in rows])
        where = np.concatenate([p for p, _ in rows])
        tables += positions(f"{prefix}_place", where)
        tables += numbers(f"{prefix}_weights", np.concatenate([w.ravel() for _, w in rows]))
        tables += numbers(f"{prefix}_bias", bias)
        lines = [f"const float *in = {source.name};"]
        if staging.copies:
            lines.append(f"float *staged = {staged};")
            if len(staging.channels) < self.source.channels:
                tables += positions(f"{prefix}_channels", staging.channels)
            lines.append(stages.copying(self.window, staging, self.source, self.full, f"{prefix}_channels"))
        out = target.planes
        lines.append(
            f"{'dense' if tiled else 'sparse'}({'staged' if staging.copies else 'in'}, {target.name}, {out.run}, "
            f"{out.plane}, {out.channels}, {'' if tiled else f'{len(parts)}, '}{int(rectify)},\n"
            f"    {prefix}_count, {prefix}_place, {prefix}_weights, {prefix}_bias);"
        )
        largest = max(int(where.max(initial=0)), *(len(p) for p, _ in rows), self.source.channels)
        return Code("\n".join(lines), tables, _note(kernel, tiled), largest)

    def _single(self, source: Place, target: Place, prefix: str, rectify: bool) -> Code:
        """The C where there is one place only: each weight has its own input."""
        view, each = self.window, self.window.kernel.shape[3] // self.operation.groups
        y, x, channel, output = np.nonzero(view.kernel)
        row, column = y * view.dilation[0] - view.before[0], x * view.dilation[1] - view.before[1]
        inside = (row >= 0) & (row < self.full[0]) & (column >= 0) & (column < self.full[1])
        channel = channel + output // each * view.kernel.shape[2]
        lies = self.source
        start = channel * lies.plane + row * lies.pitch + column
        order = np.lexsort((output, column, row, channel))
        order = order[inside[order]]
        weights = view.kernel[y, x, channel - output // each * view.kernel.shape[2], output]
        return scattered(
            source,
            target,
            prefix,
            rectify,
            start[order],
            output[order],
            weights[order],
            self.operation.bias,
            _note(view.kernel, False),
        )


def scattered(
    source: Place,
    target: Place,
    prefix: str,
    rectify: bool,
    start: np.ndarray,
    output: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    note: str,
) -> Code:
    """The C of a layer of one place, by its weights.

    Args:
        source, target: input and output.
        prefix: of the names of tables.
        rectify: whether relu comes behind.
        start, output, weights: of each weight: the place of its input, the number of its output, its value.
        bias: of all outputs.
        note: for the comment.
    """
    units = len(bias)
    groups = -(-units // UNITS_AT_ONCE)
    spare = groups * UNITS_AT_ONCE - units  # the last group's other sums go where nobody looks
    counts = np.concatenate([np.bincount(output, minlength=units), np.zeros(spare, int)])
    to = np.argsort(-counts, kind="stable").reshape(groups, UNITS_AT_ONCE)
    common = counts[to].min(axis=1)
    order = np.argsort(output, kind="stable")
    firsts = np.cumsum(counts) - counts
    taken = [
        np.concatenate(
            [
                (firsts[group] + np.arange(shared)[:, None]).ravel(),
                *(np.arange(firsts[unit] + shared, firsts[unit] + counts[unit]) for unit in group),
            ]
        )
        for group, shared in zip(to, common, strict=True)
    ]
    order = order[np.concatenate(taken)]
    tables = positions(f"{prefix}_common", common) + positions(f"{prefix}_rest", (counts[to] - common[:, None]).ravel())
    tables += positions(f"{prefix}_to", to.ravel()) + positions(f"{prefix}_from", start[order])
    tables += numbers(f"{prefix}_weights", weights[order])
    tables += numbers(f"{prefix}_bias", np.concatenate([bias, np.zeros(spare, np.float32)]))
    body = (
        f"scattered({source.name}, {target.name}, {groups}, {prefix}_common, {prefix}_rest,\n"
        f"    {prefix}_to, {prefix}_from, {prefix}_weights, {prefix}_bias);"
    )
    if rectify:
        body += "\n" + rectified(target.name, units)
    largest = max(int(start.max(initial=0)), len(counts))
    return Code(body, tables, note, largest)


def rectified(name: str, count: int) -> str:
    """The C of relu in place; NaN stays."""
    return f"for (int i = 0; i < {count}; i++)\n    {name}[i] = {name}[i] < 0 ? 0 : {name}[i];"


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


def _note(kernel: np.ndarray, tiled: bool) -> str:
    return f"{np.count_nonzero(kernel)} of {kernel.size} weights, {'dense' if tiled else 'sparse'}"
