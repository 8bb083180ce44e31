"""What only moves numbers: the input, other shapes, padding, one behind the other, the output."""

from collections.abc import Sequence

from prunefront.c_code.layer import Code, Place
from prunefront.c_code.planes import Planes
from prunefront.graph.operations import Pad


def taken_in(full: tuple[int, int], target: Place) -> Code:
    """The C that takes the input's channels, which lie side by side at each place, to planes.

    Args:
        full: rows and columns of the input, of which the target may have only those that count.
        target: the planes.
    """
    out = target.planes
    if out.flat and full == (1, 1):
        return Code(f"for (int i = 0; i < {out.channels}; i++)\n    {target.name}[i] = input[i];")
    body = f"""for (int r = 0; r < {out.rows}; r++)
    for (int i = 0; i < {out.columns}; i++)
        for (int c = 0; c < {out.channels}; c++)
            {target.name}[{_at(out)}] = input[(r * {full[1]} + i) * {out.channels} + c];"""
    return Code(body)


def gathered(source: Place, to: str) -> str:
    """The C that writes all numbers with the channels of a place side by side."""
    lies = source.planes
    if lies.flat:
        return f"for (int i = 0; i < {lies.channels}; i++)\n    {to}[i] = {source.name}[i];"
    return f"""for (int r = 0; r < {lies.rows}; r++)
    for (int i = 0; i < {lies.columns}; i++)
        for (int c = 0; c < {lies.channels}; c++)
            {to}[(r * {lies.columns} + i) * {lies.channels} + c] = {source.name}[{_at(lies)}];"""


def spread(start: str, target: Place) -> str:
    """The C that takes numbers with the channels of a place side by side to planes."""
    out = target.planes
    return f"""for (int r = 0; r < {out.rows}; r++)
    for (int i = 0; i < {out.columns}; i++)
        for (int c = 0; c < {out.channels}; c++)
            {target.name}[{_at(out)}] = {start}[(r * {out.columns} + i) * {out.channels} + c];"""


def reshaped(source: Place, target: Place, between: str) -> Code:
    """The C of another shape of the same numbers in the same order.

    Args:
        source, target: input and output.
        between: the pointer to room for all of them, in C.
    """
    if target.planes.flat:
        return Code(gathered(source, target.name))
    if source.planes.flat:
        return Code(spread(source.name, target))
    return Code(gathered(source, between) + "\n" + spread(between, target))


def padded(operation: Pad, source: Place, target: Place) -> Code:
    """The C of zeros around the axes of space."""
    before = (0, *(first for first, _ in operation.padding))[-2:]
    lies, out = source.planes, target.planes
    rows, columns = min(lies.rows, out.rows - before[0]), min(lies.columns, out.columns - before[1])
    body = f"""for (int c = 0; c < {out.channels}; c++) {{
    const float *in = {source.name} + c * {lies.plane};
    float *out = {target.name} + c * {out.plane};
    for (int i = 0; i < {out.run}; i++)
        out[i] = 0.0f;
    for (int r = 0; r < {max(rows, 0)}; r++)
        for (int i = 0; i < {max(columns, 0)}; i++)
            out[(r + {before[0]}) * {out.pitch} + i + {before[1]}] = in[r * {lies.pitch} + i];
}}"""
    return Code(body)


def concatenated(sources: Sequence[Place], target: Place) -> Code:
    """The C of channels one behind the other."""
    out, lines, first = target.planes, [], 0
    for source in sources:
        lines.append(copied(source, target.name + (f" + {first * out.plane}" if first else ""), out))
        first += source.planes.channels
    return Code("\n".join(lines), note="concatenate")


def copied(source: Place, to: str, out: Planes) -> str:
    """The C that copies planes, of which the target may have fewer rows and columns."""
    lies = source.planes
    return f"""for (int c = 0; c < {lies.channels}; c++)
    for (int r = 0; r < {out.rows}; r++)
        for (int i = 0; i < {out.columns}; i++)
            ({to})[{_at(out)}] = {source.name}[{_at(lies)}];"""


def _at(planes: Planes) -> str:
    return f"c * {planes.plane} + r * {planes.pitch} + i"
