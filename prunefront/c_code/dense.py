"""Dense layers of one place: sparse, each weight with its input and output, or dense by rows of the kernel."""

import numpy as np

from prunefront.c_code.kernels import WIDEST
from prunefront.c_code.layer import Code, Place
from prunefront.c_code.side_by_side import rectified, side_by_side, single
from prunefront.c_code.text import numbers
from prunefront.graph.operations import Dense

DENSE_FROM = 0.12
"""Share of weights that are not zero from which a dense layer is emitted dense; see benchmarks/c_break_even.py."""


def dense(operation: Dense, source: Place, target: Place, prefix: str, rectify: bool) -> Code:
    """The C of a dense layer.

    Args:
        operation: the layer.
        source, target: input and output, of one place each.
        prefix: of the names of tables.
        rectify: whether relu comes behind.
    """
    kernel = operation.kernel
    inputs, units = kernel.shape
    share = np.count_nonzero(kernel) / kernel.size
    note = f"{np.count_nonzero(kernel)} of {kernel.size} weights, {'dense' if share >= DENSE_FROM else 'sparse'}"
    if share < DENSE_FROM:
        start, output = np.nonzero(kernel)
        groups = side_by_side(start, output, kernel[start, output], units)
        return single(source, target, prefix, rectify, groups, operation.bias, note)
    slack = np.zeros(WIDEST, np.float32)  # the vectors at the end of the last row are not cut
    tables = numbers(f"{prefix}_weights", np.concatenate([kernel.ravel(), slack]))
    tables += numbers(f"{prefix}_bias", np.concatenate([operation.bias, slack]))
    body = f"all_units({source.name}, {target.name}, {inputs}, {units}, {prefix}_weights, {prefix}_bias);"
    if rectify:
        body += "\n" + rectified(target.name, units)
    return Code(body, tables, note)
