"""How a tensor lies in memory: a plane of numbers for each channel."""

from dataclasses import dataclass

SLACK = 32
"""Numbers behind a tensor that may be read or written for nothing: the vectors at its end are never cut."""

LINE = 16
"""Numbers in a cache line, and in the widest vector."""


@dataclass(frozen=True)
class Planes:
    """The number of channel k at row r and column c is at `k * plane + r * pitch + c`.

    Attributes:
        channels, rows, columns: of what is kept. Axes of space before the last are rows together; a tensor without
            axes of space has one row and one column.
        pitch: from a row to the next, at least the columns; what lies between means nothing.
        plane: from a channel to the next; 1 where there is one place only, so that the channels are side by side.
    """

    channels: int
    rows: int
    columns: int
    pitch: int
    plane: int

    @property
    def flat(self) -> bool:
        """There is one place only."""
        return self.plane == 1

    @property
    def run(self) -> int:
        """Numbers of a plane from the first to the last that means something."""
        return (self.rows - 1) * self.pitch + self.columns

    @property
    def size(self) -> int:
        """Numbers in memory."""
        return rounded(self.channels * self.plane + SLACK, LINE)


def planes(channels: int, rows: int, columns: int, pitch: int | None = None) -> Planes:
    """The layout of a tensor whose planes vectors may run over the end of, up to a multiple of the widest."""
    pitch = columns if pitch is None else pitch
    if rows == columns == 1:
        return Planes(channels, 1, 1, 1, 1)
    return Planes(channels, rows, columns, pitch, plane_size((rows - 1) * pitch + columns))


def plane_size(run: int) -> int:
    """Numbers from a plane to the next; never near a power of two, where all planes would share few cache lines."""
    size = rounded(run, LINE)
    return size + LINE if size % 256 == 0 else size


def rounded(count: int, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-count // unit) * unit
