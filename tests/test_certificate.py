import json

import numpy as np
import pytest

from prunefront import InputError, global_masks
from prunefront.models.certificate import certificate_path, certify, verify
from prunefront.models.weights import save_weights
from prunefront.pruning.masks import apply_masks
from tests.helpers import assert_one_line, deep, python

FOUR = [np.array([0.0, 2.0]), np.array([[0.0], [-1.0]])]


def saved(folder, arrays=FOUR, name="a.npz"):
    path = folder / name
    np.savez(path, *arrays)
    return path


def test_a_certificate_of_four_numbers(tmp_path):
    path = saved(tmp_path)
    content = json.loads(certify(path).read_text())
    assert (content["zeros"], content["values"], content["file"]) == (2, 4, "a.npz")
    assert {name: tensor["zeros"] for name, tensor in content["tensors"].items()} == {"arr_0": 1, "arr_1": 1}
    assert content["tensors"]["arr_1"]["shape"] == [2, 1]
    assert len(content["sha256"]) == len(content["mask_sha256"]) == 64
    assert verify(path) == content


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_keras_files_are_certified(suffix, tmp_path):
    model = deep()
    masks = global_masks(model.get_weights(), 0.5)
    model.set_weights(apply_masks(model.get_weights(), masks))
    path = tmp_path / f"model{suffix}"
    save_weights(path, model) if suffix == ".weights.h5" else model.save(path)
    certify(path, masks)
    assert verify(path)["zeros"] == sum(int((~m).sum()) for m in masks)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([np.array([3.0, 2.0]), FOUR[1]], r"Received: 1 of 1 zeros came back in arr_0$"),
        ([np.array([3.0, 2.0]), np.ones((2, 1))], r"1 of 1 zeros came back in arr_0 \(and 1 more arrays\)"),
        ([np.array([2.0, 0.0]), FOUR[1]], r"the zeros of arr_0 are in other places"),
        ([np.array([0.0, 0.0]), FOUR[1]], r"the zeros of arr_0 are in other places \(2 now, 1 then\)"),
        ([FOUR[0]], r"arr_1 of shape None, which was \[2, 1\]"),
        ([FOUR[0], FOUR[1].ravel()], r"arr_1 of shape \[2\], which was \[2, 1\]"),
        ([FOUR[0], np.array([[0.0], [-2.0]])], r"all zeros in the same places but different weights"),
    ],
)
def test_a_file_that_changed_is_told(arrays, message, tmp_path):
    certify(saved(tmp_path))
    with pytest.raises(InputError, match=message):
        verify(saved(tmp_path, arrays))


def test_masks_that_the_file_does_not_hold_are_not_certified(tmp_path):
    path = saved(tmp_path)
    certify(path, [np.array([False, True]), np.array([[True], [True]])])
    with pytest.raises(InputError, match=r"Received: 1 others in arr_1"):
        certify(path, [np.array([False, True]), np.array([[True], [False]])])
    with pytest.raises(InputError, match="expected 2 masks"):
        certify(path, [])


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"tensors": 3}', "null", "[" * 100_000, "\0", "NaN", '"a"'])
def test_a_missing_or_damaged_certificate_is_refused(text, tmp_path):
    path = saved(tmp_path)
    if text is not None:
        certificate_path(path).write_text(text)
    with pytest.raises(InputError, match=r"[Ee]xpected a certificate"):
        verify(path)


def changed(path, *keys, value):
    """The certificate of a file with one entry changed, or left out if the value is `...`."""
    content = json.loads(certificate_path(path).read_text())
    *outer, last = keys
    section = content
    for key in outer:
        section = section[key]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    certificate_path(path).write_text(json.dumps(content))


KEYS = [(k,) for k in ("sha256", "mask_sha256", "values", "zeros")]
KEYS += [("tensors", "arr_1", k) for k in ("shape", "values", "zeros", "mask_sha256")]


@pytest.mark.parametrize("keys", KEYS, ids=".".join)
def test_every_entry_of_a_certificate_counts(keys, tmp_path):
    path = saved(tmp_path)
    values = [..., None, "4", "", [], {}, True, 1.0, -1, 10**9, [2, 2], [-1], [10**9, 1], [2, 1, 1], "0" * 64, "x" * 64]
    for value in values:
        certify(path)
        changed(path, *keys, value=value)
        with pytest.raises(
            InputError, match=r"expected (a certificate|for arr_1|in all|the file that|the zeros)"
        ) as told:
            verify(path)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["zeros"], 10**9, r"json: expected in all zeros 2, as .*a.npz has it. Received: 1000000000$"),
        (["mask_sha256"], "0" * 64, r"expected in all mask_sha256 \w{64}, as .*. Received: 0{64}$"),
        (["tensors", "arr_1", "values"], 3, r"expected for arr_1 values 2, as .* has it. Received: 3$"),
        (["tensors", "arr_1", "zeros"], 0, r"expected for arr_1 zeros 1, as .* has it. Received: 0$"),
        (["tensors", "arr_1"], ..., r"expected for arr_1 \[2, 1\], as .* has it. Received: None$"),
        (["zeros"], "2", r"expected a certificate. Received: zeros: Input should be a valid integer$"),
        (["tensors", "arr_1", "zeros"], ..., r"expected a certificate. Received: tensors.arr_1.zeros: Field required$"),
        (["more"], 1, r"expected a certificate. Received: more: Extra inputs are not permitted$"),
    ],
)
def test_what_a_certificate_says_wrongly_is_named(keys, value, message, tmp_path):
    path = saved(tmp_path)
    certify(path)
    changed(path, *keys, value=value)
    with pytest.raises(InputError, match=message):
        verify(path)


def test_a_file_may_be_renamed_with_its_certificate(tmp_path):
    path = saved(tmp_path)
    certificate = certify(path)
    other = path.rename(tmp_path / "other.npz")
    assert verify(other, certificate)["file"] == "other.npz"
    certificate.rename(certificate_path(other))
    assert verify(str(other))["zeros"] == 2


def test_masks_are_boolean_arrays_in_the_order_of_the_file(tmp_path):
    path = saved(tmp_path)
    good = [np.array([False, True]), np.array([[False], [True]])]
    certify(path, good)
    for masks in (good[::-1], [None, good[1]], [m.astype(int) for m in good], [[False, True], good[1]]):
        with pytest.raises(InputError, match=r"expected masks in the order of load_weights, boolean arrays, for arr_0"):
            certify(path, masks)


def test_the_command(tmp_path):
    path = saved(tmp_path)
    certify(path)
    good = python("-m", "stages.verify", str(path))
    assert good.returncode == 0
    assert "all 2 zeros of 4 values hold, in 2 arrays" in good.stdout
    saved(tmp_path, [np.array([3.0, 2.0]), FOUR[1]])
    assert_one_line(python("-m", "stages.verify", str(path)), "1 of 1 zeros came back in arr_0")
    assert_one_line(python("-m", "stages.verify", str(tmp_path / "no.npz")), "is no file")
    assert python("-m", "stages.verify").returncode == 2
