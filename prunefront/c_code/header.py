"""The header of a model, and what is said of its layers."""

import math
from collections.abc import Sequence

from prunefront.c_code.text import comment, string
from prunefront.graph.operations import Convolution, Graph, Shape

AXES = {2: ("LENGTH", "CHANNELS"), 3: ("HEIGHT", "WIDTH", "CHANNELS")}
"""What the axes of an input are called, by their count."""


def described(operation: object, shape: Shape, note: str) -> str:
    """An operation in a few words."""
    words = type(operation).__name__
    if isinstance(operation, Convolution):
        words += f" {' x '.join(map(str, operation.kernel.shape[:-2]))}"
        words += f", {operation.groups} groups" if operation.groups > 1 else ""
    return f"{words} to {' x '.join(map(str, shape))}{f', {note}' if note else ''}"


def header(graph: Graph, name: str, classes: Sequence[str], workspace: int) -> str:
    """The header.

    Args:
        graph: the network.
        name: of the model, an identifier.
        classes: names of the outputs; may be none.
        workspace: numbers that it needs.
    """
    shape = graph.input_shape
    axes = AXES.get(len(shape), ())
    sizes = "".join(f"#define {name}_INPUT_{axis} {n}\n" for axis, n in zip(axes, shape, strict=False))
    return f"""{comment(f"{name}.h: {graph.name}, written by prunefront")}
#ifndef {name}_H
#define {name}_H

/* Numbers that go in and come out. */
#define {name}_INPUTS {math.prod(shape)}
#define {name}_OUTPUTS {math.prod(graph.output_shape)}

/* The same by axes, without the batch; the last axis are the channels, and its numbers lie side by side. */
#define {name}_INPUT_AXES {len(shape)}
#define {name}_INPUT_SHAPE {{{", ".join(map(str, shape))}}}
{sizes}#define {name}_OUTPUT_AXES {len(graph.output_shape)}
#define {name}_OUTPUT_SHAPE {{{", ".join(map(str, graph.output_shape))}}}

/* Numbers of the workspace. */
#define {name}_WORKSPACE {workspace}

#ifdef __GNUC__
#define {name}_ALIGNED __attribute__((aligned(64)))
#define {name}_UNUSED __attribute__((unused))
#else
#define {name}_ALIGNED
#define {name}_UNUSED
#endif

#ifdef __cplusplus
extern "C" {{
#endif
{_classes(name, classes)}
/*
 * Computes the network for one example.
 *
 * input: {name}_INPUTS numbers, {" x ".join(map(str, shape))}, scaled as in training{_last(shape)}.
 * output: {name}_OUTPUTS numbers; may be the same memory as the input.
 *
 * The workspace is static: not to be called by two threads at a time. {name}_predict_with takes one of the caller's,
 * {name}_WORKSPACE numbers whose contents mean nothing, and keeps no state; fastest where {name}_ALIGNED.
 *
 * Vectors are as wide as the compiler's target has (-march=native, -mavx2 -mfma); -D{name}_VECTOR=1, 4, 8 or 16 says
 * otherwise. -ffp-contract=off gives the same bits at every width; -ffp-contract=fast, which GCC does not do by itself
 * with -std=c99, is fastest.
 */
void {name}_predict(const float *input, float *output);
void {name}_predict_with(const float *input, float *output, float *workspace);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _last(shape: Shape) -> str:
    if len(shape) < 2:
        return ""
    *space, channels = shape
    index = "(row * WIDTH + column)" if len(space) == 2 else "place"
    return f";\n *     channel c of a place is number {index} * {channels} + c".replace("WIDTH", str(space[-1]))


def _classes(name: str, classes: Sequence[str]) -> str:
    if not classes:
        return ""
    names = "".join(f"    {string(text)},\n" for text in classes)
    return f"""
/* Names of the classes, in UTF-8. */
#define {name}_CLASSES {len(classes)}
static const char *const {name}_class_names[{name}_CLASSES] {name}_UNUSED = {{
{names}}};
"""
