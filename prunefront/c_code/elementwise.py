"""Activations, scales and shifts, sums and products: each number by itself."""

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence

from prunefront.c_code.layer import Code, Place
from prunefront.c_code.planes import Planes
from prunefront.c_code.text import number, numbers
from prunefront.common.errors import InputError
from prunefront.graph.channels import channels
from prunefront.graph.operations import Activation, Affine, Shape

Parameters = Mapping[str, float]


def _relu(p: Parameters) -> str:
    threshold, slope = p.get("threshold", 0.0), p.get("negative_slope", 0.0)
    most = p.get("max_value", math.inf)
    most = math.inf if most is None else most
    above = "v" if threshold >= 0 else "(v < 0 ? 0 : v)"
    above = above if math.isinf(most) else f"(v > {number(most)} ? {number(most)} : {above})"
    below = f"{number(slope)} * (v - {number(threshold)})" if slope else "0.0f"
    return f"v <= {number(threshold)} ? {below} : {above}"


def _elu(alpha: float, scale: float = 1.0) -> str:
    factor = f"{number(scale)} * " if scale != 1 else ""
    return f"v > 0 ? {factor}v : {number(scale * alpha)} * expm1f(v)"


def _gelu(p: Parameters) -> str:
    if p.get("approximate", 0.0):
        return f"0.5f * v * (1 + tanhf({number(math.sqrt(2 / math.pi))} * (v + 0.044715f * v * v * v)))"
    return f"0.5f * v * (1 + erff(v * {number(math.sqrt(0.5))}))"


def _clipped(value: str, low: str, high: str) -> str:
    return f"{value} < {low} ? {low} : {value} > {high} ? {high} : {value}"


SIGMOID = "(v >= 0 ? 1 / (1 + expf(-v)) : expf(v) / (1 + expf(v)))"
HARD_SIGMOID = f"({_clipped(f'(v * {number(1 / 6)} + 0.5f)', '0', '1')})"
SOFTPLUS = "((v > 0 ? v : 0) + log1pf(expf(v > 0 ? -v : v)))"

EXPRESSIONS: dict[str, Callable[[Parameters], str]] = {
    "relu": _relu,
    "leaky_relu": lambda p: f"v > 0 ? v : {number(p.get('negative_slope', 0.2))} * v",
    "relu6": lambda _: _clipped("v", "0", "6"),
    "elu": lambda p: _elu(p.get("alpha", 1.0)),
    "celu": lambda p: f"v > 0 ? v : {number(p.get('alpha', 1.0))} * expm1f(v / {number(p.get('alpha', 1.0))})",
    "selu": lambda _: _elu(1.6732632423543772, 1.0507009873554805),
    "gelu": _gelu,
    "sigmoid": lambda _: SIGMOID,
    "hard_sigmoid": lambda _: HARD_SIGMOID,
    "log_sigmoid": lambda _: "(v < 0 ? v : 0) - log1pf(expf(v > 0 ? -v : v))",
    "tanh": lambda _: "tanhf(v)",
    "hard_tanh": lambda _: _clipped("v", "-1", "1"),
    "tanh_shrink": lambda _: "v - tanhf(v)",
    "silu": lambda _: f"v * {SIGMOID}",
    "hard_silu": lambda _: f"v * {HARD_SIGMOID}",
    "mish": lambda _: f"v * tanhf({SOFTPLUS})",
    "softplus": lambda _: SOFTPLUS,
    "softsign": lambda _: "v / (1 + (v < 0 ? -v : v))",
    "exponential": lambda _: "expf(v)",
    "hard_shrink": lambda p: f"v > {number(p.get('threshold', 0.5))} || v < -{number(p.get('threshold', 0.5))} ? v : 0",
    "soft_shrink": lambda p: (
        f"v > {number(p.get('threshold', 0.5))} ? v - {number(p.get('threshold', 0.5))} : "
        f"v < -{number(p.get('threshold', 0.5))} ? v + {number(p.get('threshold', 0.5))} : 0"
    ),
    "squareplus": lambda p: f"(v + sqrtf(v * v + {number(p.get('b', 4.0))})) * 0.5f",
    "sparse_plus": lambda _: "v <= -1 ? 0 : v < 1 ? (v + 1) * (v + 1) * 0.25f : v",
    "sparse_sigmoid": lambda _: _clipped("((v + 1) * 0.5f)", "0", "1"),
}
"""What becomes of a number v, in C, by the activation's parameters."""


def is_rectifier(operation: object) -> bool:
    """Plain relu, which the layer before can do by the way."""
    if not isinstance(operation, Activation) or operation.name != "relu":
        return False
    return _relu(operation.parameters) == _relu({})


def each(planes: Planes, *statements: str) -> str:
    """A loop over all places, with what lies between: statements read and write at `[i]`, c being the channel."""
    if planes.flat:
        inner, start = "\n".join(statements), f"for (int i = 0; i < {planes.channels}; i++) {{\n"
        return start + textwrap.indent(re.sub(r"\[c\]", "[i]", inner), "    ") + "\n}"
    inner = textwrap.indent("\n".join(statements), "        ")
    return (
        f"for (int c = 0; c < {planes.channels}; c++)\n"
        f"    for (int i = c * {planes.plane}; i < c * {planes.plane} + {planes.run}; i++) {{\n{inner}\n    }}"
    )


def activation(operation: Activation, source: Place, target: Place, where: str) -> Code:
    """The C of an activation.

    Args:
        operation: the activation; none over channels.
        source, target: of the same layout, or the same.
        where: the name of the node.

    Raises:
        InputError: it is not known.
    """
    if operation.name not in EXPRESSIONS:
        raise InputError(
            f"{where}: expected an activation that C code is written for: softmax, log_softmax, "
            f"{', '.join(EXPRESSIONS)}. Received: {operation.name}"
        )
    expression = EXPRESSIONS[operation.name](operation.parameters)
    return Code(
        each(target.planes, f"const float v = {source.name}[i];", f"{target.name}[i] = {expression};"),
        note=operation.name,
    )


def affine(operation: Affine, source: Place, target: Place, prefix: str) -> Code:
    """The C of a scale and a shift for each channel."""
    tables = numbers(f"{prefix}_scale", operation.scale) + numbers(f"{prefix}_shift", operation.shift)
    statement = f"{target.name}[i] = {source.name}[i] * {prefix}_scale[c] + {prefix}_shift[c];"
    return Code(each(target.planes, statement), tables)


def combined(kind: str, shape: Shape, sources: Sequence[tuple[Place, Shape]], target: Place) -> Code:
    """The C of a sum or a product of several inputs, some of which may have ones in their shape.

    Args:
        kind: add or multiply.
        shape: of the output.
        sources: the inputs and their shapes.
        target: the output.
    """
    sign = {"add": " + ", "multiply": " * "}[kind]
    out = target.planes
    terms = sign.join(f"{place.name}[{_index(place.planes, own, shape)}]" for place, own in sources)
    body = (
        f"for (int c = 0; c < {out.channels}; c++)\n"
        f"    for (int r = 0; r < {out.rows}; r++)\n"
        f"        for (int i = 0; i < {out.columns}; i++)\n"
        f"            {target.name}[c * {out.plane} + r * {out.pitch} + i] = {terms};"
    )
    return Code(body, note=kind)


def _index(planes: Planes, own: Shape, shape: Shape) -> str:
    """Where a number is that goes with channel c, row r and column i of the output."""
    terms = [f"c * {planes.plane}" if channels(own) > 1 else "0"]
    if len(own) > 1 and own[-2] > 1:
        terms.append("i")
    lead, full = own[:-2], shape[:-2]
    if lead == full:
        terms.append(f"r * {planes.pitch}")
    elif any(n > 1 for n in lead):  # some axes are as long as those of the output: rows are taken apart
        terms.append(f"({_rows(lead, full)}) * {planes.pitch}")
    return " + ".join(terms)


def _rows(lead: Shape, full: Shape) -> str:
    terms = []
    for axis, n in enumerate(lead):
        if n > 1:
            below, own_below = math.prod(full[axis + 1 :]), math.prod(lead[axis + 1 :])
            terms.append(f"r / {below} % {n} * {own_below}")
    return " + ".join(terms)
