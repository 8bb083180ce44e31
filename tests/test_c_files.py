"""The text of C files, the plan behind them, and the compiler."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prunefront import InputError
from prunefront.c_code import build
from prunefront.c_code.emit import emit
from prunefront.c_code.extents import needed
from prunefront.c_code.planes import plane_size, planes
from prunefront.c_code.text import comment, identifier, number, string
from prunefront.c_code.workspace import Storage, placed
from prunefront.graph.operations import Activation, Convolution, Dense, Graph, Input, Node, Pool
from tests.c_programs import STRICT, installed

ZEROS = ((0, 0), (0, 0))
SMALL = Graph(
    "a net */ of ??/ mine\\",
    (
        Node("input", Input(), (), (2,)),
        Node("hidden/*layer*/\nübung??/", Dense(np.eye(2, dtype=np.float32), np.zeros(2, np.float32)), (0,), (2,)),
        Node("x\\", Activation("relu"), (1,), (2,)),
    ),
)
NASTY = ["plain", 'quote " and \\', "tri??=graph", "line\nbreak\ttab", "über 東京", "\x01f", "", "100 %", "/* no */"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", "digits"),
        ("my-net.v2", "my_net_v2"),
        ("2nd", "model_2nd"),
        ("_hidden", "model_hidden"),
        ("__x", "model_x"),
        ("int", "int"),  # all names have something behind: int_predict
        ("", "model"),
        ("東京", "model"),
        ("a b", "a_b"),
    ],
)
def test_names_that_c_takes(name, expected):
    assert identifier(name) == expected


@given(st.text())
def test_any_name_and_comment(text):
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", identifier(text))
    inner = comment(text)[2:-2]
    assert not re.search(r"\*/|/\*|[\n\\?]", inner)
    assert inner.isascii()


@given(arrays(np.float32, 1, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_numbers_are_exact_and_are_floats(values):
    text = number(values[0])
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?f", text)
    assert re.search(r"[.e]", text)
    assert np.float32(text[:-1]).view(np.int32) == values.view(np.int32)[0]


def test_strings_by_hand():
    assert string('a"b\\c?') == '"a\\042b\\134c\\077"'
    assert string("ü1") == '"\\303\\2741"'


@pytest.mark.parametrize("name", ["int", "my net", "NULL"])
def test_header_and_names_of_classes(tmp_path, name):
    name = identifier(name)
    build.write(tmp_path, name, *emit(SMALL, name, NASTY))
    (tmp_path / "main.c").write_text(
        f"""#include "{name}.h"
#include "{name}.h"
#include <stdio.h>
int main(void)
{{
    const int shape[{name}_INPUT_AXES] = {name}_INPUT_SHAPE;
    float numbers[{name}_INPUTS] = {{-1, 2}};
    {name}_predict(numbers, numbers);
    printf("%d %d %g %g", shape[0], {name}_OUTPUTS, numbers[0], numbers[1]);
    for (int i = 0; i < {name}_CLASSES; i++)
        printf("%c%s", 0, {name}_class_names[i]);
    return 0;
}}
"""
    )
    compiler = installed("cc", "gcc", "clang")
    words = [compiler, *STRICT, "-trigraphs", "main.c", f"{name}.c", "-o", "main"]
    subprocess.run(words, cwd=tmp_path, check=True)
    found = subprocess.run([str(tmp_path / "main")], check=True, capture_output=True).stdout.split(b"\0")
    assert found[0] == b"2 2 0 2"
    assert [text.decode() for text in found[1:]] == NASTY


def test_header_for_c_plus_plus_without_classes(tmp_path):
    _, header = emit(SMALL, "net", [])
    assert "CLASSES" not in header
    (tmp_path / "net.h").write_text(header)
    (tmp_path / "main.cpp").write_text('#include "net.h"\nint main() { return net_INPUTS - 2; }\n')
    compiler = installed("c++", "g++", "clang++")
    words = [compiler, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "main.cpp"]
    subprocess.run(words, cwd=tmp_path, check=True)


def test_sizes_by_axes():
    image = Graph("image", (Node("input", Input(), (), (5, 4, 3)),))
    _, header = emit(image, "net", ["one"])
    defined = dict(re.findall(r"#define net_(\w+) (.+)", header))
    sizes = {"INPUTS": "60", "OUTPUTS": "60", "INPUT_HEIGHT": "5", "INPUT_WIDTH": "4", "INPUT_CHANNELS": "3"}
    assert sizes.items() <= defined.items()
    assert defined["INPUT_SHAPE"] == "{5, 4, 3}"


def test_each_layer_has_its_line():
    source, _ = emit(SMALL, "net", [])
    assert "/* 1. hidden/_layer_/__bung__/: Dense to 2, 2 of 4 weights, dense */" in source
    assert "Order of sums" in source


def test_only_what_is_looked_at_is_computed():
    kernel = np.ones((3, 3, 1, 1), np.float32)
    valid = Convolution(kernel, np.zeros(1, np.float32), (1, 1), (1, 1), ZEROS)
    graph = Graph(
        "g",
        (
            Node("input", Input(), (), (12, 11, 1)),
            Node("conv", valid, (0,), (10, 9, 1)),
            Node("pool", Pool("max", (2, 2), (2, 2), ZEROS), (1,), (5, 4, 1)),
        ),
    )
    assert needed(graph) == [(12, 10), (10, 8), (5, 4)]  # nine columns by twos are four, of eight, for which ten do


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=12))
def test_what_is_needed_at_once_lies_apart(rooms):
    storages = [Storage(size, first, first + more) for size, first, more in rooms]
    starts, size = placed(storages)
    for a, (one, start) in enumerate(zip(storages, starts, strict=True)):
        assert start % 16 == 0
        assert start + one.size <= size
        for other, begin in zip(storages[:a], starts[:a], strict=True):
            if one.first <= other.last and other.first <= one.last:
                assert start + one.size <= begin or begin + other.size <= start


def test_tensors_take_turns():
    assert placed([Storage(16, 0, 1), Storage(16, 1, 2), Storage(16, 2, 3)]) == ([0, 16, 0], 32)


def test_planes_by_hand():
    lies = planes(3, 2, 5, 7)  # two rows of five numbers, seven from one to the next
    assert (lies.run, lies.plane, lies.size) == (12, 16, 80)
    assert planes(4, 1, 1).flat
    assert plane_size(250) == 272  # and not 256, a power of two


def test_without_a_compiler(tmp_path, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"install gcc or clang.*Received: none of cc, gcc, clang"):
        build.compiler()
    monkeypatch.setenv("CC", "nocc -m64")
    with pytest.raises(InputError, match=r"CC=nocc -m64, which is not installed"):
        build.compiler()
    monkeypatch.setenv("CC", f"{sys.executable} -m64")
    assert build.compiler() == [sys.executable, "-m64"]


def test_a_library_predicts(tmp_path, monkeypatch):
    compiler = shutil.which(installed("cc", "gcc", "clang"))
    monkeypatch.setenv("CC", f"{compiler} -g")
    source = build.write(tmp_path, "net", *emit(SMALL, "net", []))
    path = build.build(source, tmp_path / "net.so")
    library = build.Library(path, "net", (2,), (2,))
    np.testing.assert_array_equal(library.predict(np.array([[1, -2], [3, 4]])), [[1, 0], [3, 4]])
    with pytest.raises(InputError, match=r"shape \(n, \*\(2,\)\)"):
        library.predict(np.zeros((1, 3)))
    with pytest.raises(InputError, match="a library with other_predict"):
        build.Library(path, "other", (2,), (2,))
    with pytest.raises(InputError, match="a library with net_predict"):
        build.Library(tmp_path / "none.so", "net", (2,), (2,))
    source.write_text("int broken(\n")
    with pytest.raises(InputError, match=r"to compile it\. Received: .*error"):
        build.build(source, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.c", "net.h", "net.so"]  # the old one is still there
