"""A graph as C99: one source file and its header."""

import textwrap
from collections.abc import Sequence

from prunefront.c_code.channels import embedded, normalized, softmax
from prunefront.c_code.dense import dense
from prunefront.c_code.elementwise import activation, affine, combined, is_rectifier
from prunefront.c_code.extents import as_rows
from prunefront.c_code.header import described, header
from prunefront.c_code.kernels import shared
from prunefront.c_code.layer import Code, Place
from prunefront.c_code.plan import Plan, Step, plan
from prunefront.c_code.pooling import pooled, pooled_whole
from prunefront.c_code.shaping import concatenated, gathered, padded, reshaped, taken_in
from prunefront.c_code.text import comment, identifier
from prunefront.c_code.workspace import placed
from prunefront.common.errors import InputError
from prunefront.graph.operations import (
    Activation,
    Affine,
    Dense,
    Embedding,
    GlobalPool,
    Graph,
    Input,
    LayerNormalization,
    Merge,
    Pad,
    Pool,
    Reshape,
    Shape,
    reachable,
)

MATHEMATICS = ("expf(", "expm1f(", "tanhf(", "erff(", "log1pf(", "logf(", "sqrtf(")
"""Functions that need <math.h>, and a linker -lm."""


def emit(graph: Graph, name: str, classes: Sequence[str]) -> tuple[str, str]:
    """Writes a network as C99 without dependencies.

    Args:
        graph: the network; all weights are finite.
        name: of the model; what C does not take in a name becomes underscores (`text.identifier`).
        classes: names of the outputs, for the header; may be none.

    Returns:
        The source file, which includes `NAME.h`, and that header, NAME being the name as C takes it.

    Raises:
        InputError: an operation, or an activation, has no C code; its node is named.
    """
    name = identifier(name)
    graph = reachable(graph, len(graph.nodes) - 1)
    found = plan(graph)
    starts, size = placed(found.storages)
    codes = [_code(graph, found, number) for number in range(len(graph.nodes))]
    head = header(graph, name, classes, size)
    return _source(graph, name, found, starts, codes), head


def _source(graph: Graph, name: str, found: Plan, starts: Sequence[int], codes: Sequence[Code]) -> str:
    bodies, every = [], []
    for number, (step, code) in enumerate(zip(found.steps, codes, strict=True)):
        note = comment(f"{number}. {step.node.name}: {described(step.operation, step.node.shape, code.note)}")
        if code.tables:
            every.append(f"{note}\n{code.tables}")
        pointers = "" if step.done else f"    float *const x{number} = workspace + {starts[step.storage]};\n"
        if step.scratch is not None:
            pointers += f"    float *const staged{number} = workspace + {starts[step.scratch]};\n"
        block = f"    {{\n{textwrap.indent(code.body, ' ' * 8)}\n    }}\n" if code.body else ""
        bodies.append(f"    {note}\n{pointers}{block}")
    tables, body = "\n".join(every), "\n".join(bodies)
    last = len(graph.nodes) - 1
    out = gathered(Place(_pointer(found, last), found.steps[last].planes), "output")
    wide = any(code.largest > 0xFFFF for code in codes)
    mathematics = any(function in code.body for code in codes for function in MATHEMATICS)
    return f"""{_preamble(graph, name)}
#include "{name}.h"
{"#include <math.h>" if mathematics else ""}
{shared((code.body for code in codes), name, wide)}
{tables}
void {name}_predict_with(const float *input, float *output, float *workspace)
{{
{body}
    /* the output */
    {{
{textwrap.indent(out, " " * 8)}
    }}
}}

void {name}_predict(const float *input, float *output)
{{
    static float workspace[{name}_WORKSPACE] {name}_ALIGNED;
    {name}_predict_with(input, output, workspace);
}}
"""


def _preamble(graph: Graph, name: str) -> str:
    return f"""{comment(f"{name}.c: {graph.name}, written by prunefront")}
/*
 * Tensors lie in planes, one for each channel; a row of a plane may be followed by numbers that mean nothing.
 *
 * Order of sums: an output of a convolution or dense layer starts with its bias; then come the products of its weights
 * and inputs one after another, by input channel, row of the kernel, column of the kernel. Weights that are zero are
 * left out. Each output has a lane of a vector to itself, so that the order is the same for every width of vector, and
 * so are the results, to the bit, if the compiler does not contract a multiplication and an addition into one
 * (-ffp-contract=off). Contraction is faster; with -std=c99, GCC does it only on -ffp-contract=fast.
 * Other sums: means of windows by rows and columns; of whole planes in four parts, one for each remainder of the column
 * by four; of channels (softmax, layer normalization) by channel.
 */"""


def _pointer(found: Plan, number: int) -> str:
    """The name of what a node gives, that of the node whose place it took where nothing was left to do."""
    while found.steps[number].done:
        number = found.steps[number].node.inputs[0]
    return f"x{number}"


def _code(graph: Graph, found: Plan, number: int) -> Code:
    """The C of a node."""
    step, node = found.steps[number], graph.nodes[number]
    if step.done:
        return Code("", note="done by the layer before" if is_rectifier(step.operation) else "as it lies")
    sources = [Place(_pointer(found, i), found.steps[i].planes) for i in node.inputs]
    shapes = [graph.nodes[i].shape for i in node.inputs]
    target = Place(f"x{number}", step.planes)
    return _layer(step, node.shape, sources, shapes, target, number)


def _layer(
    step: Step, shape: Shape, sources: Sequence[Place], shapes: Sequence[Shape], target: Place, number: int
) -> Code:
    prefix, staged, operation = f"layer{number}", f"staged{number}", step.operation
    if step.convolution is not None:
        return step.convolution.code(sources[0], target, staged, prefix, step.rectify)
    match operation:
        case Input():
            return taken_in(as_rows(shape[:-1]), target)
        case Dense():
            return dense(operation, sources[0], target, prefix, step.rectify)
        case Affine():
            return affine(operation, sources[0], target, prefix)
        case LayerNormalization():
            return normalized(operation, sources[0], target, prefix)
        case Embedding():
            return embedded(operation, sources[0], target, shapes[0], prefix)
        case Activation("softmax" | "log_softmax"):
            return softmax(sources[0], target, operation.name == "log_softmax")
        case Activation():
            return activation(operation, sources[0], target, step.node.name)
        case Pool():
            return pooled(operation, sources[0], target, as_rows(shapes[0][:-1]))
        case GlobalPool():
            return pooled_whole(operation, sources[0], target)
        case Reshape():
            return reshaped(sources[0], target, staged)
        case Pad():
            return padded(operation, sources[0], target)
        case Merge("concatenate"):
            return concatenated(sources, target)
        case Merge():
            return combined(operation.kind, shape, list(zip(sources, shapes, strict=True)), target)
    raise InputError(
        f"{step.node.name}: expected an operation that C code is written for. Received: {type(operation).__name__}"
    )
