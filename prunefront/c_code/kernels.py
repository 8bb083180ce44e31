"""The C that all layers share: vectors of a width that the compiler's target decides, and the loops over weights.

Direct sparse convolution follows Park et al. 2017, "Faster CNNs with direct sparse convolutions and guided pruning":
each weight that is not zero is multiplied with a run of a plane, in one vector multiply-add for as many places as a
vector holds, and the sums stay in registers until an output channel is done.
"""

import re
from collections.abc import Iterable

WIDEST = 16
"""Numbers in the widest vector."""

BLOCK = 10
"""Vectors of sums that a pass over the weights of an output channel keeps in registers; 16 are the fewest that there
are, but for 32-bit x86."""

TILE_CHANNELS = 4
"""Output channels that a dense tile computes together, so that each input is loaded once for all of them."""

VECTORS = """
/* Numbers in a vector: what the compiler's target has (-march=native, say), or what NAME_VECTOR says. */
#ifndef NAME_VECTOR
#if !defined(__GNUC__)
#define NAME_VECTOR 1
#elif defined(__AVX512F__)
#define NAME_VECTOR 16
#elif defined(__AVX__)
#define NAME_VECTOR 8
#elif defined(__SSE2__) || defined(__ARM_NEON)
#define NAME_VECTOR 4
#else
#define NAME_VECTOR 1
#endif
#endif

#define LANES NAME_VECTOR
#if LANES != 1 && LANES != 4 && LANES != 8 && LANES != 16
#error "NAME_VECTOR has to be 1, 4, 8 or 16"
#elif LANES > 1
typedef float vector __attribute__((vector_size(4 * LANES)));
typedef int mask __attribute__((vector_size(4 * LANES)));
typedef float anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define LOAD(from) ((vector) * (const anywhere *)(from))
#define STORE(to, v) (*(anywhere *)(to) = (v))
#define SPLAT(number) ((vector){0} + (number))
#define RECTIFIED(v) ((vector)(~((v) < (vector){0}) & (mask)(v)))
#else
typedef float vector;
#define LOAD(from) (*(from))
#define STORE(to, v) (*(to) = (v))
#define SPLAT(number) (0.0f + (number))
#define RECTIFIED(v) ((v) < 0 ? 0 : (v))
#endif
"""

EACH = "".join(
    f"#define EACH_{n}(DO) {f'EACH_{n - 1}(DO) ' if n > 1 else ''}DO({n - 1})\n" for n in range(1, BLOCK + 1)
)


def _cases(function: str, arguments: str, first: int, last: int) -> str:
    return "\n".join(f"        case {n}: {function}_{n}({arguments}); break;" for n in range(first, last + 1))


def _defined(macro: str, first: int, last: int) -> str:
    return "\n".join(f"{macro}({n})" for n in range(first, last + 1))


SPARSE_ARGUMENTS = "in, out, plane, channels, bias, rectify && last, &count, &place, &weights"

SPARSE = f"""
/*
 * Sparse convolution. For each output channel: `count` weights, each with its place from `in` on; R vectors of sums.
 * The sums start at the bias, or where there is none at what `out` has.
 */
#define START(k) vector sum##k = bias ? SPLAT(*bias) : LOAD(out + k * LANES);
#define ADD(k) sum##k += LOAD(from + k * LANES) * weight;
#define RECTIFY(k) sum##k = RECTIFIED(sum##k);
#define KEEP(k) STORE(out + k * LANES, sum##k);
#define SPARSE(R) \\
    static void sparse_##R(const float *in, float *out, int plane, int channels, const float *bias, int rectify, \\
                           const position **count, const position **place, const float **weights) \\
    {{ \\
        const position *where = *place; \\
        const float *next = *weights; \\
        for (int c = 0; c < channels; c++, out += plane, bias = bias ? bias + 1 : bias) {{ \\
            EACH_##R(START) \\
            for (int left = (int)(*count)[c]; left > 0; left--) {{ \\
                const float *from = in + *where++; \\
                const float weight = *next++; \\
                EACH_##R(ADD) \\
            }} \\
            if (rectify) {{ EACH_##R(RECTIFY) }} \\
            EACH_##R(KEEP) \\
        }} \\
        *count += channels; \\
        *place = where; \\
        *weights = next; \\
    }}
{_defined("SPARSE", 1, BLOCK)}

/* All `run` places of each output channel; input channels in so many parts, of which each stays in a near cache. */
static void sparse(const float *in, float *out, int run, int plane, int channels, int parts, int rectify,
                   const position *counts, const position *places, const float *values, const float *biases)
{{
    int left = (run + LANES - 1) / LANES;
    for (int passes = (left + {BLOCK} - 1) / {BLOCK}; passes > 0; passes--) {{
        const int now = (left + passes - 1) / passes;
        const position *count = counts, *place = places;
        const float *weights = values;
        for (int part = 0; part < parts; part++) {{
            const float *bias = part ? 0 : biases;
            const int last = part == parts - 1;
            switch (now) {{
{_cases("sparse", SPARSE_ARGUMENTS, 1, BLOCK)}
            }}
        }}
        in += now * LANES;
        out += now * LANES;
        left -= now;
    }}
}}
"""

TILE_BLOCK = 6
"""Vectors of a plane that a dense tile takes at once where there are 32 registers; half as many where there are 16."""

DENSE_ARGUMENTS = "in, out, plane, channels, rectify, count, place, weights, bias"

DENSE = f"""
/* Dense convolution: as above, but four output channels share places, and there are four weights for each. */
#if defined(__AVX512VL__) || defined(__aarch64__)
#define TILE {TILE_BLOCK}
#else
#define TILE {TILE_BLOCK // 2}
#endif
#define START_4(k) vector a##k = SPLAT(bias[0]), b##k = SPLAT(bias[1]), c##k = SPLAT(bias[2]), d##k = SPLAT(bias[3]);
#define TAKE(k) const vector x##k = LOAD(from + k * LANES);
#define ADD_A(k) a##k += x##k * weights[0];
#define ADD_B(k) b##k += x##k * weights[1];
#define ADD_C(k) c##k += x##k * weights[2];
#define ADD_D(k) d##k += x##k * weights[3];
#define RECTIFY_4(k) a##k = RECTIFIED(a##k); b##k = RECTIFIED(b##k); c##k = RECTIFIED(c##k); d##k = RECTIFIED(d##k);
#define KEEP_D(k) STORE(out + last * plane + k * LANES, d##k);
#define KEEP_C(k) STORE(out + (last < 2 ? last : 2) * plane + k * LANES, c##k);
#define KEEP_B(k) STORE(out + (last < 1 ? last : 1) * plane + k * LANES, b##k);
#define KEEP_A(k) STORE(out + k * LANES, a##k);
#define DENSE(R) \\
    static void dense_##R(const float *in, float *out, int plane, int channels, int rectify, \\
                          const position *count, const position *place, const float *weights, const float *bias) \\
    {{ \\
        for (; channels > 0; channels -= 4, out += 4 * plane, bias += 4) {{ \\
            const int last = channels < 4 ? channels - 1 : 3; \\
            EACH_##R(START_4) \\
            for (int left = (int)*count++; left > 0; left--, weights += 4) {{ \\
                const float *from = in + *place++; \\
                EACH_##R(TAKE) \\
                EACH_##R(ADD_A) EACH_##R(ADD_B) EACH_##R(ADD_C) EACH_##R(ADD_D) \\
            }} \\
            if (rectify) {{ EACH_##R(RECTIFY_4) }} \\
            EACH_##R(KEEP_D) EACH_##R(KEEP_C) EACH_##R(KEEP_B) EACH_##R(KEEP_A) /* the last to write is right */ \\
        }} \\
    }}
{_defined("DENSE", 1, TILE_BLOCK // 2)}
#if TILE > {TILE_BLOCK // 2}
{_defined("DENSE", TILE_BLOCK // 2 + 1, TILE_BLOCK)}
#endif

static void dense(const float *in, float *out, int run, int plane, int channels, int rectify,
                  const position *count, const position *place, const float *weights, const float *bias)
{{
    int left = (run + LANES - 1) / LANES;
    for (int passes = (left + TILE - 1) / TILE; passes > 0; passes--) {{
        const int now = (left + passes - 1) / passes;
        switch (now) {{
{_cases("dense", DENSE_ARGUMENTS, 1, TILE_BLOCK // 2)}
#if TILE > {TILE_BLOCK // 2}
{_cases("dense", DENSE_ARGUMENTS, TILE_BLOCK // 2 + 1, TILE_BLOCK)}
#endif
        }}
        in += now * LANES;
        out += now * LANES;
        left -= now;
    }}
}}
"""

UNITS = f"""
/* Dense layer of one place: the rows of the kernel, one for each input, are added up. R vectors of units. */
#define START_UNITS(k) vector sum##k = LOAD(bias + k * LANES);
#define ADD_UNITS(k) sum##k += LOAD(row + k * LANES) * x;
#define KEEP_UNITS(k) STORE(out + k * LANES, sum##k);
#define UNITS(R) \\
    static void units_##R(const float *in, float *out, int inputs, int units, const float *kernel, const float *bias) \\
    {{ \\
        const float *row = kernel; \\
        EACH_##R(START_UNITS) \\
        for (int i = 0; i < inputs; i++, row += units) {{ \\
            const float x = in[i]; \\
            EACH_##R(ADD_UNITS) \\
        }} \\
        EACH_##R(KEEP_UNITS) \\
    }}
{_defined("UNITS", 1, BLOCK)}

static void all_units(const float *in, float *out, int inputs, int units, const float *kernel, const float *bias)
{{
    int left = (units + LANES - 1) / LANES;
    for (int passes = (left + {BLOCK} - 1) / {BLOCK}; passes > 0; passes--) {{
        const int now = (left + passes - 1) / passes;
        switch (now) {{
{_cases("units", "in, out, inputs, units, kernel, bias", 1, BLOCK)}
        }}
        out += now * LANES;
        kernel += now * LANES;
        bias += now * LANES;
        left -= now;
    }}
}}
"""

AT_ONCE = 8
"""Outputs of a sparse layer of few places that are summed side by side, so that no sum waits for itself."""


def _side_by_side(first: str, term: str, kept: str, number: str) -> str:
    """The loop over groups of outputs: as many weights of each as all have, in turn; then the rest of each.

    Args:
        first: the value that the sum of output `to[k]` starts at.
        term: the product of `*weights` and the input at `*from`, with `[k]` or `[0]` behind.
        kept: what is done with `sum##k` at the end.
        number: the type of a sum.
    """
    return f"""
#define START_{number}(k) {number} sum##k = {first};
#define ADD_{number}(k) sum##k += {term.replace("[]", "[k]")};
#define REST_{number}(k) for (int left = (int)rest[k]; left > 0; left--, from++, weights++) sum##k += {
        term.replace("[]", "[0]")
    };
#define KEEP_{number}(k) {kept}
#define GROUPS_{number} \\
    for (int left = groups; left > 0; left--, rest += {AT_ONCE}, to += {AT_ONCE}) {{ \\
        EACH_{AT_ONCE}(START_{number}) \\
        for (int turns = (int)*common++; turns > 0; turns--, weights += {AT_ONCE}, from += {AT_ONCE}) {{ \\
            EACH_{AT_ONCE}(ADD_{number}) \\
        }} \\
        EACH_{AT_ONCE}(REST_{number}) \\
        EACH_{AT_ONCE}(KEEP_{number}) \\
    }}
"""


SINGLE = f"""
/* Sparse layer of one place: {AT_ONCE} outputs at once, first as many weights of each as all have, then the others. */
{_side_by_side("bias[to[k]]", "weights[] * in[from[]]", "out[to[k]] = sum##k;", "float").strip()}
static void single(const float *in, float *out, int groups, const position *common, const position *rest,
                   const position *to, const position *from, const float *weights, const float *bias)
{{
    GROUPS_float
}}
"""

FEW = f"""
/* Sparse convolution of few places: a vector of each of {
    AT_ONCE
} outputs at once, as many weights of each as all have first. */
{
    _side_by_side(
        "SPLAT(bias[to[k]])",
        "LOAD(in + from[]) * weights[]",
        "STORE(out + (int)to[k] * plane, rectify ? RECTIFIED(sum##k) : sum##k);",
        "vector",
    ).strip()
}
static void few(const float *in, float *out, int run, int plane, int rectify, int groups, const position *commons,
                const position *rests, const position *tos, const position *froms, const float *values,
                const float *bias)
{{
    for (; run > 0; run -= LANES, in += LANES, out += LANES) {{
        const position *common = commons, *rest = rests, *to = tos, *from = froms;
        const float *weights = values;
        GROUPS_vector
    }}
}}
"""

ROWS = """
/* Copies rows of a plane with zeros before and behind each; up to LANES - 1 numbers behind those are written, too. */
static void copy_rows(const float *from, int from_pitch, int step, float *to, int pitch, int rows, int before,
                      int columns, int after)
{
    for (; rows > 0; rows--, from += from_pitch, to += pitch) {
        for (int i = 0; i < before; i++)
            to[i] = 0.0f;
        if (step == 1)
            for (int i = 0; i < columns; i += LANES)
                STORE(to + before + i, LOAD(from + i));
        else
            for (int i = 0; i < columns; i++)
                to[before + i] = from[i * step];
        for (int i = before + columns; i < before + columns + after; i++)
            to[i] = 0.0f;
    }
}
"""

CLEAR = """
static void clear(float *to, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = 0.0f;
}
"""

HELPERS = {
    "sparse": SPARSE,
    "dense": DENSE,
    "all_units": UNITS,
    "single": SINGLE,
    "few": FEW,
    "copy_rows": ROWS,
    "clear": CLEAR,
}
"""By the name of the function, in the order of the file."""


def shared(bodies: Iterable[str], name: str, wide: bool) -> str:
    """The C that the layers of a network share.

    Args:
        bodies: the C of the layers, which call functions of HELPERS.
        name: of the model.
        wide: positions do not fit in 16 bits.
    """
    called = {word for body in bodies for word in re.findall(r"\b([a-z_]+)\(", body)} & set(HELPERS)
    text = re.sub(r"\bNAME_", f"{name}_", VECTORS) if called - {"single", "clear"} else ""
    text += f"\ntypedef unsigned {'int' if wide else 'short'} position;\n"
    if called - {"copy_rows", "clear"}:
        text += f"\n/* EACH_R(DO): DO for 0 to R - 1. */\n{EACH}"
    return text + "".join(HELPERS[function] for function in HELPERS if function in called)
