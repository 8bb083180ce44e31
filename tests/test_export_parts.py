"""Single steps of an export: counted zeros of LiteRT files and of C, the same bytes, differences in words."""

import time
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunefront import InputError
from prunefront.export.c_file import count_non_zeros
from prunefront.export.export import random_like, rounded_up
from prunefront.export.formats import file_of
from prunefront.export.keras_file import write_keras
from prunefront.export.litert import write_litert
from prunefront.export.litert_file import count_litert
from prunefront.export.processes import how_it_ended
from prunefront.graph.forward import difference_of
from tests.helpers import keras, layers

RNG = np.random.default_rng(0)


# --- LiteRT


def test_zeros_of_a_litert_file_by_hand(tmp_path):
    """A kernel of four numbers, one of them zero, and two biases, one of them zero."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    model.set_weights([np.array([[1, 0], [-2, 3]], np.float32), np.array([0, 1], np.float32)])
    x = RNG.normal(size=(50, 2)).astype(np.float32)
    for name in ("litert", "litert_dynamic", "litert_int8", "litert_sparse"):
        path = file_of(name, tmp_path, "small")
        write_litert(path, model, name, x)
        assert count_litert(path) == (2, 6), name


def test_zeros_that_a_sparse_tensor_leaves_out_are_counted(tmp_path):
    model = keras.Sequential([keras.Input((32,)), layers.Dense(8)])
    kernel = 1 + RNG.random((32, 8), np.float32)
    kernel[:16, :6] = 0  # blocks of 16 inputs
    kernel[16:24, 7] = 0
    model.set_weights([kernel, np.ones(8, np.float32)])
    for name in ("litert_sparse", "litert_int8_sparse"):
        path = file_of(name, tmp_path, "small")
        write_litert(path, model, name, RNG.normal(size=(50, 32)).astype(np.float32))
        assert count_litert(path) == (16 * 6 + 8, 32 * 8 + 8), name


def test_int8_with_zeros_one_by_one_is_refused_since_litert_does_not_run_it(tmp_path):
    model = keras.Sequential([keras.Input((32,)), layers.Dense(8)])
    kernel = RNG.normal(size=(32, 8)).astype(np.float32) * (np.indices((32, 8)).sum(axis=0) % 2)
    model.set_weights([kernel, np.ones(8, np.float32)])
    path = tmp_path / "small.tflite"
    with pytest.raises(InputError, match=r"litert_sparse .* Received: a Dense kernel with zeros one by one"):
        write_litert(path, model, "litert_int8_sparse", RNG.normal(size=(50, 32)).astype(np.float32))
    assert not path.exists()
    model = keras.Sequential([keras.Input((6,)), layers.Dense(32)])
    model.set_weights([np.tile(np.arange(6)[:, None] % 2, 32).astype(np.float32), np.ones(32, np.float32)])
    with pytest.raises(InputError, match=r"Received: blocks that do not fill a kernel"):
        write_litert(path, model, "litert_int8_sparse", RNG.normal(size=(50, 6)).astype(np.float32))
    path.write_bytes(b"TFL3, not")
    with pytest.raises(InputError, match="a whole LiteRT file"):
        count_litert(path)


# --- parts


def test_a_keras_file_has_the_same_bytes_each_time(tmp_path):
    for name in ("one.keras", "other.keras"):
        if name == "other.keras":
            time.sleep(2.1)  # Keras writes seconds, and archives every other one
        keras.utils.clear_session()
        shared = keras.initializers.HeNormal(seed=1)  # which files name by its place in memory
        hidden = [layers.Dense(2, kernel_initializer=shared) for _ in range(2)]
        write_keras(tmp_path / name, keras.Sequential([keras.Input((2,)), *hidden]))
    one, other = (zipfile.ZipFile(tmp_path / name) for name in ("one.keras", "other.keras"))
    assert b"shared_object_id" in one.read("config.json")
    for name in one.namelist():
        assert one.read(name) == other.read(name), name
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "other.keras").read_bytes()
    assert len(keras.saving.load_model(tmp_path / "one.keras").layers) == 2


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 1e-5), (2e-6, 1e-5), (1.1e-5, 2e-5), (0.0234, 0.03), (0.1, 0.1), (0.96, 1), (3.2, 4)]
)
def test_differences_are_rounded_up_to_one_digit(share, expected):
    assert rounded_up(share) == expected


@given(st.floats(1e-5, 1e4))
def test_a_rounded_difference_is_no_smaller_and_less_than_double(share):
    assert share * (1 - 1e-6) <= rounded_up(share) <= 2 * share * (1 + 1e-6) + 1e-5


def test_a_difference_is_a_share_of_the_largest_output():
    assert difference_of(np.array([[4.0, -8.0]]), np.array([[4.0, -7.0]])) == 0.125
    assert np.isnan(difference_of(np.ones((1, 2)), np.array([[1, np.nan]])))
    assert random_like(np.array([[3, 5]], np.int32), 100).min() == 3
    assert set(np.unique(random_like(np.array([[3, 5]], np.int32), 100))) == {3, 4, 5}


def test_the_end_of_a_process_in_words():
    assert how_it_ended(-11, "") == "with signal 11 (SIGSEGV)"
    assert how_it_ended(-250, "") == "with signal 250"
    assert how_it_ended(3, "first\n\x1b[31mlast\x1b[0m\n\n") == "with status 3: last"


C = """
#include "twice.h"
static const float twice_weights[] = {
    2.0f, 0.0f,
    -0.0f, 1.5e-3f
};
static const int twice_place[] = {1, 2};
void twice_predict(const float *input, float *output) { output[0] = twice_weights[0] * input[0] + input[1]; }
"""


def test_numbers_in_the_tables_of_c_are_counted(tmp_path):
    (tmp_path / "twice.c").write_text(C)
    assert count_non_zeros(tmp_path / "twice.c") == 2
