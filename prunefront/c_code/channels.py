"""What takes all channels of a place together: softmax, layer normalization, the rows of an embedding."""

import numpy as np

from prunefront.c_code.layer import Code, Place
from prunefront.c_code.text import number, numbers, positions
from prunefront.graph.channels import channels as channels_of
from prunefront.graph.operations import Embedding, LayerNormalization, Shape

SPARSE_BELOW = 0.6
"""Share of numbers that are not zero below which an embedding's table takes fewer bytes with a place for each."""


def _places(source: Place, target: Place, inner: str) -> str:
    """A loop over all places, with `in` and `out` at their first channels."""
    lies, out = source.planes, target.planes
    return f"""for (int r = 0; r < {out.rows}; r++)
    for (int i = 0; i < {out.columns}; i++) {{
        const float *in = {source.name} + r * {lies.pitch} + i;
        float *out = {target.name} + r * {out.pitch} + i;
{inner}
    }}"""


def softmax(source: Place, target: Place, logarithm: bool) -> Code:
    """The C of softmax over channels, or its logarithm; the largest is taken off first."""
    step, out, count = source.planes.plane, target.planes.plane, source.planes.channels
    last = f"out[c * {out}] = out[c * {out}] - logf(sum);" if logarithm else f"out[c * {out}] /= sum;"
    kept = "in[c * {0}] - most" if logarithm else "expf(in[c * {0}] - most)"
    inner = f"""        float most = in[0], sum = 0.0f;
        for (int c = 1; c < {count}; c++)
            most = in[c * {step}] > most ? in[c * {step}] : most;
        for (int c = 0; c < {count}; c++) {{
            out[c * {out}] = {kept.format(step)};
            sum += {f"expf(out[c * {out}])" if logarithm else f"out[c * {out}]"};
        }}
        for (int c = 0; c < {count}; c++)
            {last}"""
    return Code(_places(source, target, inner), note="log_softmax" if logarithm else "softmax")


def normalized(operation: LayerNormalization, source: Place, target: Place, prefix: str) -> Code:
    """The C of layer normalization; both sums in the order of channels."""
    step, out, count = source.planes.plane, target.planes.plane, source.planes.channels
    inner = f"""        float mean = 0.0f, variance = 0.0f;
        for (int c = 0; c < {count}; c++)
            mean += in[c * {step}];
        mean /= {count};
        for (int c = 0; c < {count}; c++)
            variance += (in[c * {step}] - mean) * (in[c * {step}] - mean);
        const float deviation = sqrtf(variance / {count} + {number(operation.epsilon)});
        for (int c = 0; c < {count}; c++)
            out[c * {out}] = (in[c * {step}] - mean) / deviation * {prefix}_gamma[c] + {prefix}_beta[c];"""
    tables = numbers(f"{prefix}_gamma", operation.gamma) + numbers(f"{prefix}_beta", operation.beta)
    return Code(_places(source, target, inner), tables)


def embedded(operation: Embedding, source: Place, target: Place, own: Shape, prefix: str) -> Code:
    """The C of an embedding; numbers of no row are taken for the nearest one, so that nothing else is read.

    Args:
        operation: the embedding.
        source, target: input and output.
        own: shape of the input, whose last axis lies in channels.
        prefix: of the names of tables.
    """
    rows, channels = operation.table.shape
    lies, out = source.planes, target.planes
    length = channels_of(own)
    nonzero = np.count_nonzero(operation.table)
    sparse = nonzero < SPARSE_BELOW * operation.table.size
    if sparse:
        row, channel = np.nonzero(operation.table)
        starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))])
        tables = "".join(
            [
                positions(f"{prefix}_start", starts.tolist()).replace("static const position", "static const int"),
                positions(f"{prefix}_channel", channel.tolist()),
                numbers(f"{prefix}_weights", operation.table[row, channel]),
            ]
        )
        copied = f"""for (int c = 0; c < {channels}; c++)
                out[c * {out.plane}] = 0.0f;
            for (int k = {prefix}_start[row]; k < {prefix}_start[row + 1]; k++)
                out[{prefix}_channel[k] * {out.plane}] = {prefix}_weights[k];"""
    else:
        tables = numbers(f"{prefix}_table", operation.table)
        copied = f"""for (int c = 0; c < {channels}; c++)
                out[c * {out.plane}] = {prefix}_table[row * {channels} + c];"""
    # the input's rows and columns are the output's rows, its channels the columns
    body = f"""for (int r = 0; r < {out.rows}; r++)
    for (int i = 0; i < {length}; i++) {{
        const float given = {source.name}[i * {lies.plane} + r / {lies.columns} * {lies.pitch} + r % {lies.columns}];
        const int row = !(given > 0) ? 0 : given >= {rows - 1} ? {rows - 1} : (int)given;
        float *out = {target.name} + r * {out.pitch} + i;
        {{
            {copied}
        }}
    }}"""
    note = f"{nonzero} of {operation.table.size} weights, {'sparse' if sparse else 'dense'}"
    return Code(body, tables, note, largest=channels)
