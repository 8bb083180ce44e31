"""The largest number or the mean of windows, and of whole planes."""

from prunefront.c_code.layer import Code, Place
from prunefront.graph.operations import GlobalPool, Pool


def pooled(operation: Pool, source: Place, target: Place, full: tuple[int, int]) -> Code:
    """The C of pooling; padded places count for neither kind. Means are sums in the order of rows and columns.

    Args:
        operation: over one or two axes.
        source, target: input and output.
        full: rows and columns of the input, of which `source` may have only those that count.
    """
    size, strides, before = (
        (1, *operation.size)[-2:],
        (1, *operation.strides)[-2:],
        (0, *(first for first, _ in operation.padding))[-2:],
    )
    lies, out = source.planes, target.planes
    inside = all(
        first == 0 and (count - 1) * stride + far <= n
        for count, stride, far, first, n in zip((out.rows, out.columns), strides, size, before, full, strict=True)
    )
    bounds = [
        _bounds("yx"[axis], "ri"[axis], strides[axis], size[axis], before[axis], full[axis], inside) for axis in (0, 1)
    ]
    count = f"{size[0] * size[1]}" if inside else "((y_end - y_start) * (x_end - x_start))"
    largest = operation.kind == "max"
    step = "found = in[y * {0} + x] > found ? in[y * {0} + x] : found;" if largest else "found += in[y * {0} + x];"
    body = f"""for (int c = 0; c < {out.channels}; c++) {{
    const float *in = {source.name} + c * {lies.plane};
    float *out = {target.name} + c * {out.plane};
    for (int r = 0; r < {out.rows}; r++) {{
        {bounds[0]}
        for (int i = 0; i < {out.columns}; i++) {{
            {bounds[1]}
            float found = {f"in[y_start * {lies.pitch} + x_start]" if largest else "0.0f"};
            for (int y = y_start; y < y_end; y++)
                for (int x = x_start; x < x_end; x++)
                    {step.format(lies.pitch)}
            out[r * {out.pitch} + i] = {"found" if largest else f"found / {count}"};
        }}
    }}
}}"""
    return Code(body, note=f"{operation.kind}, {' x '.join(map(str, operation.size))}")


def _bounds(name: str, index: str, stride: int, size: int, before: int, full: int, inside: bool) -> str:
    start = f"{index} * {stride}" + (f" - {before}" if before else "")
    if inside:
        return f"const int {name}_start = {start}, {name}_end = {name}_start + {size};"
    return (
        f"const int {name}_first = {start}, {name}_start = {name}_first < 0 ? 0 : {name}_first, "
        f"{name}_end = {name}_first + {size} > {full} ? {full} : {name}_first + {size};"
    )


def pooled_whole(operation: GlobalPool, source: Place, target: Place) -> Code:
    """The C of pooling whole planes. Means are four sums side by side, one for each remainder of the column by four."""
    lies, to = source.planes, f"{target.name}[c * {target.planes.plane}]"
    if operation.kind == "max":
        inner = f"""float found = in[0];
    for (int r = 0; r < {lies.rows}; r++)
        for (int i = 0; i < {lies.columns}; i++)
            found = in[r * {lies.pitch} + i] > found ? in[r * {lies.pitch} + i] : found;
    {to} = found;"""
    else:
        inner = f"""float sums[4] = {{0.0f, 0.0f, 0.0f, 0.0f}};
    for (int r = 0; r < {lies.rows}; r++)
        for (int i = 0; i < {lies.columns}; i++)
            sums[i & 3] += in[r * {lies.pitch} + i];
    {to} = ((sums[0] + sums[1]) + (sums[2] + sums[3])) / {lies.rows * lies.columns};"""
    body = f"""for (int c = 0; c < {lies.channels}; c++) {{
    const float *in = {source.name} + c * {lies.plane};
    {inner}
}}"""
    return Code(body, note=operation.kind)
