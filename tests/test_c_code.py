"""A network as C gives what the network gives, however it is compiled."""

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunefront import InputError
from prunefront.c_code.emit import emit
from prunefront.common.runtime import keras
from prunefront.graph.activations import FUNCTIONS
from prunefront.graph.folding import fold_affine
from prunefront.graph.forward import outputs
from prunefront.graph.operations import (
    Activation,
    Affine,
    Convolution,
    Dense,
    Embedding,
    GlobalPool,
    Graph,
    Input,
    LayerNormalization,
    Merge,
    Node,
    Pool,
    Reshape,
)
from prunefront.graph.read import read_graph
from prunefront.graph.shapes import output_shape, same_padding
from tests.c_programs import SAFE, STRICT, assert_close, installed, program
from tests.networks import NETWORKS, examples, functional
from tests.random_graphs import random_graph, random_inputs

ZEROS = ((0, 0), (0, 0))


def chain(shape, *operations):
    """A graph of operations one behind the other; a tuple of numbers is a Reshape."""
    nodes = [Node("input", Input(), (), shape)]
    for number, operation in enumerate(operations):
        is_shape = isinstance(operation, tuple)
        to = operation if is_shape else output_shape(operation, [nodes[-1].shape])
        nodes.append(Node(f"layer/{number}", Reshape() if is_shape else operation, (number,), to))
    return Graph("chain", tuple(nodes))


def sparse(rng, shape, density):
    return (rng.normal(size=shape) * (rng.random(shape) < density)).astype(np.float32)


def convolution(rng, shape, units, density, size=3, strides=1, dilation=1, same=True, groups=1):
    """A random convolution of images of that shape."""
    reach = ((size - 1) * dilation + 1,) * 2
    padding = same_padding(shape[:2], reach, (strides,) * 2) if same else ZEROS
    kernel = sparse(rng, (size, size, shape[2] // groups, units), density)
    bias = rng.normal(size=units).astype(np.float32)
    return Convolution(kernel, bias, (strides,) * 2, (dilation,) * 2, padding, groups)


def image_network(rng, height=13, width=11):
    """A network with every way to compute a convolution: as it lies, copied, strided, in tiles, by channel."""
    relu, shape = Activation("relu"), (height, width, 3)
    steps = []
    for options in (
        {"units": 8, "density": 1.0},
        {"units": 8, "density": 0.4, "same": False},
        {"units": 8, "density": 0.6, "groups": 8},
        {"units": 18, "density": 0.3, "size": 1},
        {"units": 7, "density": 0.05, "strides": 2},
        {"units": 6, "density": 0.9, "dilation": 2},
    ):
        step = convolution(rng, shape, **options)
        steps += [step, relu]
        shape = output_shape(step, [shape])
    steps.append(Pool("max", (2, 2), (2, 2), ZEROS))
    shape = output_shape(steps[-1], [shape])
    flat = int(np.prod(shape))
    steps += [(flat,), Dense(sparse(rng, (flat, 37), 0.08), sparse(rng, 37, 1)), relu]
    return chain((height, width, 3), *steps, Dense(sparse(rng, (37, 5), 0.7), sparse(rng, 5, 1)))


def other_network(rng):
    """A network of the other layers, with branches."""
    nodes = [Node("input", Input(), (), (9, 4))]

    def add(operation, *inputs, shape=None):
        nodes.append(Node("n", operation, inputs, shape or output_shape(operation, [nodes[i].shape for i in inputs])))
        return len(nodes) - 1

    scale = sparse(rng, 4, 1)
    a = add(Affine(scale, sparse(rng, 4, 1)), 0)
    b = add(Convolution(sparse(rng, (3, 4, 4), 0.5), sparse(rng, 4, 1), (1,), (1,), ((1, 1),)), a)
    c = add(Merge("add"), a, b)
    d = add(LayerNormalization(sparse(rng, 4, 1), scale, 1e-3), c)
    e = add(Merge("concatenate"), d, b)
    f = add(Dense(sparse(rng, (8, 6), 0.4), sparse(rng, 6, 1)), e)
    g = add(Activation("gelu"), f)
    h = add(GlobalPool("average"), g)
    i = add(Activation("softmax"), add(Dense(sparse(rng, (6, 6), 0.4), sparse(rng, 6, 1)), h))
    gate = add(Reshape(), i, shape=(1, 6))
    j = add(Merge("multiply"), g, gate)
    k = add(Pool("average", (3,), (2,), ((1, 1),)), j)
    add(Reshape(), k, shape=(2, 15))
    return Graph("other", tuple(nodes))


NETWORK = image_network(np.random.default_rng(0))
OTHER = other_network(np.random.default_rng(1))
BOTH = {"images": NETWORK, "other": OTHER}


def some(graph, count=3, seed=2):
    return np.random.default_rng(seed).normal(size=(count, *graph.input_shape)).astype(np.float32)


GIVEN = {name: some(graph) for name, graph in BOTH.items()}
EXPECTED = {name: outputs(graph, GIVEN[name]) for name, graph in BOTH.items()}


def check_both(found):
    for name, expected in EXPECTED.items():
        assert_close(found[name], expected, name)


def test_four_numbers_by_hand(tmp_path):
    def number(*values):
        return np.array(values, np.float32)

    dense = Dense(number([1, 0], [2, -1]), number(0.5, 0))
    along = Convolution(number(1, 0, -1)[:, None, None], number(0), (1,), (1,), ((1, 1),))
    graphs = {
        "dense": chain((2,), dense, Activation("relu")),
        "along": chain((4, 1), along),
        "pooled": chain((2, 2, 1), Pool("average", (2, 2), (1, 1), ((0, 1), (0, 1)))),
        "named": chain((2,), Embedding(number([10], [20], [30]))),
        "whole": chain((2, 2, 1), GlobalPool("max")),
    }
    given = {
        "dense": number([1, 3]),
        "along": number(1, 2, 3, 4).reshape(1, 4, 1),
        "pooled": number(1, 2, 3, 4).reshape(1, 2, 2, 1),
        "named": number([2, 0]),
        "whole": number(1, -2, 3, 2).reshape(1, 2, 2, 1),
    }
    found = program(tmp_path, graphs, count=1)(given)
    assert {name: values.ravel().tolist() for name, values in found.items()} == {
        "dense": [7.5, 0],  # 0.5 + 1 * 1 + 3 * 2, and 1 * 0 + 3 * -1, which relu cuts off
        "along": [-2, -2, -2, 3],  # the number before less the one behind, zeros around
        "pooled": [2.5, 3, 3.5, 4],  # places around count for nothing
        "named": [30, 10],
        "whole": [3],
    }


def test_networks_of_keras(tmp_path):
    names = {f"n{i}": name for i, name in enumerate(NETWORKS)}
    models = {key: functional(*NETWORKS[name]) for key, name in names.items()}
    graphs = {key: read_graph(model) for key, model in models.items()}
    given = {key: examples(model) for key, model in models.items()}
    found = program(tmp_path, graphs, ("-O0",))(given)
    for key, model in models.items():
        (expected,) = keras.tree.flatten(model(given[key], training=False))
        assert_close(found[key], np.asarray(expected), names[key])
    folded = fold_affine(graphs["n0"])
    assert len(folded.nodes) == 2


def test_activations_far_and_near(tmp_path):
    values = np.concatenate([np.linspace(-9, 9, 181), np.geomspace(1e-6, 80, 50), -np.geomspace(1e-6, 80, 50)])
    values = values.astype(np.float32)[None]
    parameters = {
        "relu": {"negative_slope": 0.3, "threshold": 0.5, "max_value": 2.0},
        "leaky_relu": {"negative_slope": 0.4},
        "gelu": {"approximate": 1.0},
        "elu": {"alpha": 0.7},
        "celu": {"alpha": 0.7},
        "hard_shrink": {"threshold": 0.31},
        "soft_shrink": {"threshold": 0.3},
        "squareplus": {"b": 2.0},
    }
    graphs = {f"plain_{name}": chain((281,), Activation(name)) for name in FUNCTIONS}
    graphs |= {f"with_{name}": chain((281,), Activation(name, given)) for name, given in parameters.items()}
    graphs["below"] = chain((281,), Activation("relu", {"threshold": -1.01, "negative_slope": 0.5}))
    found = program(tmp_path, graphs, ("-O0",), count=1)(dict.fromkeys(graphs, values))
    for name, graph in graphs.items():
        expected = outputs(graph, values)
        # relative to each number's own size, too: what is small stays right
        np.testing.assert_allclose(found[name], expected, rtol=2e-4, atol=2e-7, err_msg=name)


@settings(max_examples=3)
@given(st.integers(0, 1 << 30), st.sampled_from([0.0, 0.3, 0.6, 0.9]))
def test_random_graphs(tmp_path_factory, seed, sparsity):
    graphs = {f"g{n}": random_graph(seed + n, sparsity, dtype=np.float32) for n in range(8)}
    given = {name: random_inputs(graph, 2).astype(np.float32) for name, graph in graphs.items()}
    found = program(tmp_path_factory.mktemp("random"), graphs, ("-O0",), count=2)(given)
    for name, graph in graphs.items():
        check_random(graph, given[name], found[name])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_many_random_graphs(tmp_path, seed):
    graphs = {f"g{n}": random_graph(1000 * seed + n, n % 4 * 0.3, 14, np.float32) for n in range(40)}
    given = {name: random_inputs(graph).astype(np.float32) for name, graph in graphs.items()}
    found = program(tmp_path, graphs, ("-O1", *SAFE), installed("gcc", "clang"), count=4)(given)
    for name, graph in graphs.items():
        check_random(graph, given[name], found[name])


def check_random(graph, given, found):
    """Within 1e-5, or of what float32 makes of it: some random graphs take differences of large numbers."""
    with np.errstate(all="ignore"):
        expected, single = outputs(graph, given), outputs(graph, given, np.float32)
    scale = max(np.abs(expected).max(), 1e-6)
    if np.isfinite(scale) and np.isfinite(single).all():
        assert np.abs(found - expected).max() <= max(1e-5 * scale, 30 * np.abs(single - expected).max())


def test_every_width_gives_the_same_bits(tmp_path):
    found = []
    for width in (1, 4, 8, 16):
        flags = ("-O2", "-ffp-contract=off", *(f"-D{name}_VECTOR={width}" for name in BOTH))
        found.append(program(tmp_path / str(width), BOTH, flags)(GIVEN))
    check_both(found[0])
    for other in found[1:]:
        for name in BOTH:
            np.testing.assert_array_equal(other[name].view(np.int32), found[0][name].view(np.int32))


def compiles(tmp_path, compiler, flags):
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    words = [compiler, *flags, str(tmp_path / "empty.c"), "-o", str(tmp_path / "empty")]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compilers(tmp_path, compiler):
    installed(compiler)
    check_both(program(tmp_path, BOTH, ("-O3", "-march=native"), compiler)(GIVEN))


@pytest.mark.parametrize(
    ("compiler", "width"),
    [("gcc", 4), *(pytest.param(c, w, marks=pytest.mark.long) for c in ("gcc", "clang") for w in (1, 8, 16))],
)
def test_sanitizers_find_nothing(tmp_path, compiler, width):
    installed(compiler)
    if not compiles(tmp_path, compiler, SAFE):
        pytest.skip(f"{compiler} has no sanitizers here")
    flags = ("-O0" if compiler == "gcc" else "-O1", *SAFE, *(f"-D{name}_VECTOR={width}" for name in BOTH))
    check_both(program(tmp_path, BOTH, flags, compiler)(GIVEN))


def test_arm_of_64_bits(tmp_path):
    compiler = installed("aarch64-linux-gnu-gcc")
    emulator = installed("qemu-aarch64-static", "qemu-aarch64")
    flags = ("-O2", "-static")
    if not compiles(tmp_path, compiler, flags):
        pytest.skip(f"{compiler} has no static C library")
    check_both(program(tmp_path / "arm", BOTH, flags, compiler, (emulator,))(GIVEN))


def test_nothing_but_the_c_library_and_no_heap(tmp_path):
    source, _ = emit(NETWORK, "images", [])
    assert "math.h" not in source
    assert not re.search(r"alloc|stdlib|stdio|constructor", source)
    program(tmp_path, {"images": NETWORK}, linked=("-nodefaultlibs", "-lc", "-lgcc"))
    nm = installed("nm")
    compiler = installed("cc", "gcc", "clang")
    subprocess.run([compiler, "-std=c99", "-O2", "-c", "images.c"], cwd=tmp_path, check=True)
    symbols = subprocess.run([nm, "images.o"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    kinds = [(line.split()[-2], line.split()[-1]) for line in symbols.splitlines()]
    assert {name for kind, name in kinds if kind == "T"} == {"images_predict", "images_predict_with"}
    assert {name for kind, name in kinds if kind == "U"} <= {"memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_"}
    assert [name.partition(".")[0] for kind, name in kinds if kind in "bBdD"] == ["workspace"]


def test_any_workspace_will_do(tmp_path):
    compiler = installed("cc", "gcc", "clang")
    program(tmp_path, BOTH)  # writes the sources
    (tmp_path / "own.c").write_text(
        """
#include <stdio.h>
#include <string.h>
#include "images.h"
#include "other.h"
static float room[(images_WORKSPACE > other_WORKSPACE ? images_WORKSPACE : other_WORKSPACE) + 1], in[images_INPUTS];
int main(void)
{
    float out[other_OUTPUTS], again[images_OUTPUTS];
    for (int i = 0; i < images_INPUTS; i++)
        in[i] = (float)(i % 7) - 3;
    images_predict(in, out);
    memset(room, 0xff, sizeof room); /* NaN */
    images_predict_with(in, again, room + 1); /* at no multiple of anything */
    if (memcmp(out, again, sizeof again))
        return 1;
    other_predict(in, out);
    memset(room, 0xff, sizeof room);
    other_predict_with(in, in, room); /* in place */
    return memcmp(out, in, sizeof out) != 0;
}
"""
    )
    words = [compiler, *STRICT, "-O1", "own.c", "images.c", "other.c", "-o", "own", "-lm"]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert subprocess.run([str(tmp_path / "own")], check=False).returncode == 0


def test_a_layer_with_few_zeros_is_dense(tmp_path):
    rng = np.random.default_rng(0)
    graphs = {
        f"{kind}_{int(100 * density)}": chain(shape, layer(density))
        for density in (0.05, 0.9)
        for kind, shape, layer in (
            ("conv", (6, 6, 8), lambda d: convolution(rng, (6, 6, 8), 9, d)),
            ("dense", (40,), lambda d: Dense(sparse(rng, (40, 21), d), sparse(rng, 21, 1))),
            ("embedding", (3,), lambda d: Embedding(sparse(rng, (7, 9), d))),
        )
    }
    ways = {name: re.search(r"of \d+ weights, (\w+)", emit(graph, name, [])[0])[1] for name, graph in graphs.items()}
    assert ways == {name: "sparse" if name.endswith("_5") else "dense" for name in graphs}
    given = {name: some(graph, 2) for name, graph in graphs.items()}
    given |= {name: np.array([[0, 6, 3], [1, 2, 5]], np.float32) for name in graphs if name.startswith("emb")}
    found = program(tmp_path, graphs, count=2)(given)
    for name, graph in graphs.items():
        assert_close(found[name], outputs(graph, given[name]), name)


def test_planes_beyond_16_bits_and_one_place_only(tmp_path):
    rng = np.random.default_rng(0)
    first = convolution(rng, (150, 151, 3), 4, 0.3)
    single = convolution(rng, (3, 3, 5), 4, 0.5, same=False)
    squeeze = convolution(rng, (1, 1, 12), 6, 0.9, size=1)
    corner = convolution(rng, (1, 1, 6), 4, 0.9, size=3)
    graphs = {
        "large": chain((150, 151, 3), first, GlobalPool("average")),
        "single": chain((3, 3, 5), single, Activation("relu")),
        "squeeze": chain((1, 1, 12), squeeze, corner),
    }
    assert "typedef unsigned int position" in emit(graphs["large"], "large", [])[0]
    assert "typedef unsigned short position" in emit(graphs["single"], "single", [])[0]
    given = {name: some(graph, 2) for name, graph in graphs.items()}
    found = program(tmp_path, graphs, ("-O1",), count=2)(given)
    for name, graph in graphs.items():
        assert_close(found[name], outputs(graph, given[name]), name)


def test_numbers_of_any_size_come_exactly(tmp_path):
    values = np.array([1e-45, -1e-38, 3.4028235e38, 0.1, 1 / 3, 2**-126, -1.5, 16777215, 1e-7], np.float32)
    kernel = np.zeros((1, len(values)), np.float32)
    graph = chain((1,), Dense(kernel, values), Activation("relu6"), Affine(values, values))
    plain = chain((1,), Dense(kernel, values))
    found = program(tmp_path, {"plain": plain, "graph": graph}, count=1)(
        {n: np.ones((1, 1)) for n in ("plain", "graph")}
    )
    np.testing.assert_array_equal(found["plain"][0], values)


def test_an_embedding_reads_nothing_but_its_rows(tmp_path):
    table = np.arange(4, dtype=np.float32)[:, None]
    given = np.array([[-1e30, -1, 3.9, 1e30, np.nan, np.inf, 1.5, 2]], np.float32)
    program_ = program(tmp_path, {"e": chain((8,), Embedding(table))}, ("-O1",), count=1)
    assert program_({"e": given})["e"].ravel().tolist() == [0, 0, 3, 3, 0, 3, 1, 2]


def test_what_is_not_known_is_named():
    graph = chain((4,), Activation("sine"))
    with pytest.raises(InputError, match=r"^layer/0: expected an activation .* Received: sine$"):
        emit(graph, "x", [])
    unknown = replace(graph, nodes=(graph.nodes[0], replace(graph.nodes[1], operation="twirl")))
    with pytest.raises(InputError, match=r"^layer/0: expected an operation .* Received: str$"):
        emit(unknown, "x", [])
