"""How a convolution gets at its input: as it lies, or copied so that each weight meets a run of numbers in a row.

A copy has what the padding asks for, takes strides apart (each phase of a stride is a plane of its own), and can be
made for each column of the kernel, shifted by it: then no column between the rows is computed for nothing, and rows may
be laid out so that no vector crosses two cache lines, which costs half a load more.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from prunefront.c_code.planes import Planes, plane_size, planes, rounded
from prunefront.graph.operations import Convolution

ALIGNED = 8
"""Numbers that a row has a multiple of, where vectors are not to cross cache lines."""

CROSSING = 1.5
"""Cost of a vector multiply-add at any place over that of one within a cache line: half of eight-wide loads cross."""

COPY = 2.0
"""Cost of copying a vector, in multiply-adds."""


@dataclass(frozen=True)
class Copy:
    """A plane of the staged input: every `stride`-th row and column from a first one on, for all channels in use.

    Attributes:
        row, column: the first of the source, less than 0 in the padding.
    """

    row: int
    column: int


@dataclass(frozen=True)
class Window:
    """A convolution over two axes, one of length 1 where it has only one; and how much of its output counts."""

    kernel: np.ndarray
    strides: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    rows: int
    columns: int


def window(operation: Convolution, full: tuple[int, int], rows: int, columns: int) -> Window:
    """The convolution as one over two axes.

    Args:
        operation: over one or two axes.
        full: rows and columns of the input.
        rows, columns: of the output that count.

    Returns:
        The convolution; weights that meet nothing but padding are zeros in its kernel.
    """
    lacking = 4 - operation.kernel.ndim
    strides, dilation, before = (
        ((*[fill] * lacking, *axes)[0], axes[-1])
        for fill, axes in (
            (1, operation.strides),
            (1, operation.dilation),
            (0, tuple(first for first, _ in operation.padding)),
        )
    )
    kernel = operation.kernel[None] if lacking else operation.kernel
    meets = [
        ((place := np.arange(count)[:, None] * stride + np.arange(size) * step - first) >= 0) & (place < n)
        for count, stride, size, step, first, n in zip(
            (rows, columns), strides, kernel.shape, dilation, before, full, strict=False
        )
    ]
    down, across = (inside.any(axis=0) for inside in meets)
    met = np.where((down[:, None] & across)[..., None, None], kernel, np.float32(0))
    return Window(met, strides, dilation, before, rows, columns)


@dataclass(frozen=True)
class Staging:
    """Where the numbers lie that a convolution reads.

    Attributes:
        copies: of each channel in use; none where the input is read as it lies.
        channels: of the input, those with any weight.
        rows, columns: of each copy.
        pitch, plane: as in Planes, of the copies or of the input; that of the output's rows too.
        places: for each row and column of the kernel, from the first number of a channel on.
    """

    copies: tuple[Copy, ...]
    channels: tuple[int, ...]
    rows: int
    columns: int
    pitch: int
    plane: int
    places: np.ndarray

    @property
    def channel(self) -> int:
        """Numbers from a channel to the next."""
        return self.plane * max(len(self.copies), 1)

    @property
    def size(self) -> int:
        """Numbers of all copies."""
        return len(self.channels) * len(self.copies) * self.plane


def stage(view: Window, groups: int, source: Planes, full: tuple[int, int]) -> Staging:
    """The cheapest way to the input.

    Args:
        view: the convolution.
        groups: of the convolution.
        source: the input.
        full: rows and columns of the input, of which `source` may have only those that count.
    """
    used: np.ndarray = np.any(view.kernel, axis=(2, 3))
    multiply_adds = int(np.count_nonzero(view.kernel))
    channels = _used_channels(view.kernel, groups, source.channels)
    if not channels:
        return Staging((), (), 0, 0, view.columns, 0, np.zeros(used.shape, int))
    ways = [_shifted(view, used, channels, aligned) for aligned in (False, True)]
    ways.append(_padded(view, used, channels, full[1]))
    if _lies_ready(view, full):
        ways.append(_as_it_lies(view, source, channels))

    def cost(way: Staging) -> float:
        run = (view.rows - 1) * way.pitch + view.columns
        each = 1.0 if _within_lines(way, used) else CROSSING
        copied = len(way.copies) * way.rows * rounded(way.columns, 8) / 8 * COPY * len(channels)
        return multiply_adds * rounded(run, 8) / 8 * each + copied

    return min(ways, key=cost)


def _used_channels(kernel: np.ndarray, groups: int, channels: int) -> tuple[int, ...]:
    each = kernel.shape[2]
    by_group: np.ndarray = np.any(
        kernel.reshape(*kernel.shape[:3], groups, -1), axis=(0, 1, 4)
    )  # (channels of a group, groups)
    return tuple(c for c in range(channels) if by_group[c % each, c // each])


def _lies_ready(view: Window, full: tuple[int, int]) -> bool:
    size = view.kernel.shape[:2]
    last = [(n - 1) + (k - 1) * d for n, k, d in zip((view.rows, view.columns), size, view.dilation, strict=True)]
    return view.strides == (1, 1) and view.before == (0, 0) and all(a < b for a, b in zip(last, full, strict=True))


def _as_it_lies(view: Window, source: Planes, channels: tuple[int, ...]) -> Staging:
    height, width = view.kernel.shape[:2]
    rows, columns = np.ogrid[:height, :width]
    places = rows * view.dilation[0] * source.pitch + columns * view.dilation[1]
    return Staging((), channels, source.rows, source.columns, source.pitch, source.plane, places)


def _within_lines(way: Staging, used: np.ndarray) -> bool:
    return way.pitch % ALIGNED == 0 and not (way.places[used] % ALIGNED).any()


def _shifted(view: Window, used: np.ndarray, channels: tuple[int, ...], aligned: bool) -> Staging:
    """A copy for each phase of the rows and each column of the kernel."""
    pitch = rounded(view.columns, ALIGNED) if aligned else view.columns
    return _copied(view, used, channels, lambda reach: (reach, 0), view.columns, pitch)


def _padded(view: Window, used: np.ndarray, channels: tuple[int, ...], full: int) -> Staging:
    """A copy for each phase of the rows and of the columns."""
    stride = view.strides[1]
    reach = max(x * view.dilation[1] for x in range(view.kernel.shape[1]) if used[:, x].any())
    columns = view.columns + reach // stride
    pitch = columns
    if stride == 1:  # the zeros behind a row are those before the next
        pitch = max(view.before[1] + min(full, columns - view.before[1]), columns - view.before[1])
    return _copied(view, used, channels, lambda reach: divmod(reach, stride)[::-1], columns, pitch)


def _copied(
    view: Window,
    used: np.ndarray,
    channels: tuple[int, ...],
    shift: Callable[[int], tuple[int, int]],
    columns: int,
    pitch: int,
) -> Staging:
    """Copies for each phase of the rows, and of the columns as `shift` says.

    Args:
        view: the convolution.
        used: which rows and columns of the kernel have a weight.
        channels: those in use.
        shift: how far a column of the kernel reaches to the first column of its copy, and to its own in that copy.
        columns, pitch: of the copies.
    """
    taps = [(int(y), int(x)) for y, x in zip(*np.nonzero(used), strict=True)]
    down = {y: divmod(y * view.dilation[0], view.strides[0]) for y, _ in taps}
    across = {x: shift(x * view.dilation[1]) for _, x in taps}
    copies = sorted({(down[y][1], across[x][0]) for y, x in taps})
    rows = view.rows + max(row for row, _ in down.values())
    plane = plane_size((rows - 1) * pitch + columns)
    places = np.zeros(used.shape, int)
    for y, x in taps:
        (row, phase), (first, column) = down[y], across[x]
        places[y, x] = copies.index((phase, first)) * plane + row * pitch + column
    top, left = view.before
    return Staging(
        tuple(Copy(phase - top, first - left) for phase, first in copies),
        channels,
        rows,
        columns,
        pitch,
        plane,
        places,
    )


def output_planes(view: Window, staging: Staging) -> Planes:
    """The layout of the output: its rows are as far from each other as those of what is read."""
    return planes(view.kernel.shape[3], view.rows, view.columns, staging.pitch)


def copying(view: Window, staging: Staging, source: Planes, full: tuple[int, int], name: str) -> str:
    """The C that fills the copies.

    Args:
        view: the convolution.
        staging: with copies.
        source: the input.
        full: rows and columns of the input.
        name: of the table of the channels in use, if not all are.
    """
    channel = "c" if staging.channels == tuple(range(source.channels)) else f"{name}[c]"
    lines = [
        "float *to = staged;",
        f"for (int c = 0; c < {len(staging.channels)}; c++) {{",
    ]
    for copy in staging.copies:
        lines += [f"    {line}" for line in _copy(view, staging, source, full, copy, channel)]
    return "\n".join([*lines, "}"])


def _copy(view: Window, staging: Staging, source: Planes, full: tuple[int, int], copy: Copy, channel: str) -> list[str]:
    (above, rows), (before, columns) = (
        _inside(first, stride, count, n)
        for first, stride, count, n in zip(
            (copy.row, copy.column), view.strides, (staging.rows, staging.columns), full, strict=True
        )
    )
    lines = []
    if above:
        lines.append(f"clear(to, {above * staging.pitch});")
    start = (copy.row + above * view.strides[0]) * source.pitch + copy.column + before * view.strides[1]
    after = max(staging.pitch - before - columns, 0) if before or columns < staging.columns else 0
    end = (above + rows) * staging.pitch
    step = source.pitch * view.strides[0]
    if step == staging.pitch and before == after == 0 and view.strides[1] == 1:  # all rows in one
        rows, columns_at_once = 1, (rows - 1) * step + columns
    else:
        columns_at_once = columns
    lines.append(
        f"copy_rows(in + {channel} * {source.plane} + {start}, {step}, {view.strides[1]}, "
        f"to + {above * staging.pitch}, {staging.pitch}, {rows}, {before}, {columns_at_once}, {after});"
    )
    if end < staging.plane and (end < staging.rows * staging.pitch or columns < staging.columns):
        lines.append(f"clear(to + {end}, {staging.plane - end});")
    return [*lines, f"to += {staging.plane};"]


def _inside(first: int, stride: int, count: int, size: int) -> tuple[int, int]:
    """How many of `count` places, `stride` apart from `first` on, lie before an axis, and how many in it."""
    before = min(max(-(first // stride), 0), count)
    return before, max(min(-(-(size - first) // stride), count) - before, 0)
