"""Which examples a network gets right: found in one pass, kept in a small file, and never taken on trust."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunefront import InputError
from prunefront.common.params import load_params
from prunefront.common.runtime import keras
from prunefront.data.rows import RowsOnDisk
from prunefront.data.splits import Split
from prunefront.frontier import submission
from prunefront.frontier.submission import choose, load_right
from prunefront.models.outputs import LOGITS, Outputs
from prunefront.pipeline.correct import correct_file, labels_digest, read_correct, write_correct
from prunefront.training.correctness import MOST
from prunefront.training.trainer import compile_classifier, evaluate, evaluate_each, share
from tests.faults.corpus import Fault, refused
from tests.helpers import RNG, edited

ONE, OTHER = "1" * 64, "2" * 64
Y = np.array([3, 0, 1, 2, 1, 0, 0, 3, 2, 2])
RIGHT = np.array([[1, 0, 1, 1, 0, 0, 1, 1, 1, 0]], bool)


# --- one pass over the examples


def identity(outputs: Outputs, units: int):
    model = keras.Sequential([keras.Input((units,)), keras.layers.Identity()])
    compile_classifier(model, outputs=outputs)
    return model


CHANCE = np.array([0.8, 0.4, 0.3, 0.5], np.float32)[:, np.newaxis]  # of class 1
LABELS = np.array([1, 1, 0, 0])
TWO = np.hstack([1 - CHANCE, CHANCE])


@pytest.mark.parametrize(
    ("outputs", "values"),
    [
        (Outputs(binary=True, logits=False), CHANCE),
        (Outputs(binary=True), np.log(CHANCE / (1 - CHANCE))),
        (Outputs(logits=False), TWO),
        (Outputs(), np.log(TWO)),
        (Outputs(logits=False, separate=True), TWO),
    ],
)
def test_each_example_is_right_or_not_however_a_network_puts_it(outputs, values):
    found, _ = evaluate_each(identity(outputs, values.shape[1]), Split(values, LABELS))
    assert found.tolist() == [True, False, True, True]  # .5 is class 0


@pytest.mark.parametrize("count", [1, MOST, MOST + 1])
def test_accuracy_and_loss_are_keras_s_own_whatever_the_last_batch_has(count, tmp_path):
    x = RNG.normal(size=(count, 5)).astype(np.float32)
    y = RNG.integers(0, 5, count)
    plain = keras.Sequential([keras.Input((5,)), keras.layers.Identity()])
    plain.compile(loss=LOGITS.loss(), metrics=["accuracy"])
    expected = plain.evaluate(x, y, batch_size=MOST, verbose=0, return_dict=True)
    model = identity(LOGITS, 5)
    right, loss = evaluate_each(model, Split(x, y))
    assert loss == pytest.approx(expected["loss"], rel=1e-6)
    assert share(right) == pytest.approx(expected["accuracy"], abs=1e-6)
    assert right.tolist() == (x.argmax(axis=1) == y).tolist()
    assert evaluate(model, Split(x, y)) == (share(right), pytest.approx(loss, rel=1e-6))
    np.save(tmp_path / "x.npy", x)
    on_disk, _ = evaluate_each(model, Split(RowsOnDisk(tmp_path / "x.npy", lambda rows: rows), y))
    np.testing.assert_array_equal(on_disk, right)
    again, _ = evaluate_each(model, Split(x[:1], y[:1]))  # nothing is left of what was evaluated before
    np.testing.assert_array_equal(again, right[:1])


# --- the file


@given(st.integers(1, 30), st.integers(1, 4), st.randoms())
def test_a_file_gives_what_was_written(tmp_path_factory, examples, points, random):
    path = tmp_path_factory.mktemp("file") / "a.correct.npz"
    right = np.array([[random.random() < 0.5 for _ in range(examples)] for _ in range(points)])
    y, weights = np.arange(examples) % 3, [ONE, OTHER, ONE, OTHER][:points]
    write_correct(path, right, y, weights)
    np.testing.assert_array_equal(read_correct(path, y, weights), right)


def test_a_file_is_small_and_the_same_bytes_each_time(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_correct(tmp_path / name, RIGHT, Y, [ONE])
    content = (tmp_path / "a.npz").read_bytes()
    assert content == (tmp_path / "b.npz").read_bytes()
    assert len(content) < 1500
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["right"].tolist() == [[0b10110011, 0b10000000]]
        assert arrays["examples"] == 10
        assert arrays["labels_sha256"].tobytes().hex() == labels_digest(Y)
        assert arrays["weights_sha256"].tolist() == [[0x11] * 32]


class Trap:
    """Shows that it has been unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("unpickled"),)


def arrays(**changes):
    whole = {
        "right": np.packbits(RIGHT, axis=1),
        "examples": np.int64(10),
        "labels_sha256": np.frombuffer(bytes.fromhex(labels_digest(Y)), np.uint8),
        "weights_sha256": np.full((1, 32), 0x11, np.uint8),
    }
    return {name: array for name, array in (whole | changes).items() if array is not None}


def packed(**changes):
    return lambda path: np.savez(path, **arrays(**changes))


def cut(path):
    write_correct(path, RIGHT, Y, [ONE])
    path.write_bytes(path.read_bytes()[:-30])


def single(path):
    with path.open("wb") as file:
        np.save(file, RIGHT)


DAMAGED = {
    "nothing": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "a pickle": lambda path: path.write_bytes(pickle.dumps(Trap())),
    "a folder": lambda path: path.mkdir(),
    "half of it": cut,
    "a single array": single,
    "no bits": packed(right=None),
    "an array more": packed(more=np.zeros(3)),
    "pickled bits": packed(right=np.array([Trap()], object)),
    "bits as bytes": packed(right=RIGHT),
    "too few bits": packed(right=np.zeros((1, 1), np.uint8)),
    "too many bits": packed(right=np.zeros((1, 3), np.uint8)),
    "bits of two points": packed(right=np.zeros((2, 2), np.uint8)),
    "no examples": packed(examples=np.int64(0)),
    "minus ten examples": packed(examples=np.int64(-10)),
    "half an example": packed(examples=np.float64(9.5)),
    "many numbers of examples": packed(examples=np.arange(3)),
    "a short digest": packed(labels_sha256=np.zeros(3, np.uint8)),
    "a digest as text": packed(weights_sha256=np.array(["1" * 64])),
    "a number for digests": packed(weights_sha256=np.int64(3)),
}
OTHERS = {
    "another split": lambda path: write_correct(path, RIGHT, Y[::-1], [ONE]),
    "a larger split": lambda path: write_correct(path, np.ones((1, 11), bool), np.append(Y, 1), [ONE]),
    "other weights": lambda path: write_correct(path, RIGHT, Y, [OTHER]),
    "the weights of two points": lambda path: write_correct(path, np.vstack([RIGHT, RIGHT]), Y, [ONE, ONE]),
}


def making(make):
    def made(folder):
        path = folder / "s50.correct.npz"
        make(path)
        return path

    return made


@pytest.mark.parametrize("name", [*DAMAGED, *OTHERS])
def test_a_damaged_or_foreign_file_is_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    received = "a damaged or different file" if name in DAMAGED else "those of"
    make = making({**DAMAGED, **OTHERS}[name])
    message = rf"s50.correct.npz: expected which examples .*; run `dvc repro`. Received: {received}"
    refused(Fault(make, lambda path: read_correct(path, Y, [ONE]), message), tmp_path)
    assert not Path("unpickled").exists()


def test_a_file_that_declares_more_than_fits_in_memory_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNEFRONT_MEMORY_GIB", "0.0000001")
    make = making(lambda path: write_correct(path, RIGHT, Y, [ONE]))
    refused(Fault(make, lambda path: read_correct(path, Y, [ONE]), "expected at most .* unpacked"), tmp_path)


# --- what the last stage makes of the files


def point(method="prune_global", weights=ONE, accuracy=0.6):
    keys = {"method": method, "seed": 0, "target_sparsity": 0.5, "sparsity": 0.5}
    return keys | {"val_accuracy": accuracy, "weights_sha256": weights, "eligible": True, "score": 0.55}


@pytest.fixture
def points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(submission, "read_split", lambda name: {"validation": Split(np.zeros((10, 1)), Y)}[name])
    path = correct_file("prune_global", 0, 0.5)
    path.parent.mkdir(parents=True)
    write_correct(path, RIGHT, Y, [ONE])
    return pd.DataFrame([point()])


def test_what_points_get_right_is_read_from_beside_their_weights(points):
    assert correct_file("prune_global", 0, 0.975) == Path("models/prune_global/0/s97_5.correct.npz")
    np.testing.assert_array_equal(load_right(points), RIGHT)
    chosen, above_gate = choose(points, points, load_params(edited(Path())).pareto.model_copy(update={"gate": 0.5}))
    assert chosen["method"] == "prune_global"
    assert above_gate


@pytest.mark.parametrize(
    ("row", "received"),
    [
        (point(method="masked"), "no such file"),  # as in results of earlier versions
        (point(weights=OTHER), "those of other weights"),
        (point(accuracy=0.7), "an accuracy of 0.6, where the metrics have 0.7"),
    ],
)
def test_files_that_do_not_fit_the_rows_are_one_line(row, received, points):
    rows = pd.concat([points, pd.DataFrame([row])], ignore_index=True)
    with pytest.raises(InputError, match=rf"correct.npz: .*run `dvc repro`. Received: {received}$") as caught:
        load_right(rows)
    assert "\n" not in str(caught.value)
