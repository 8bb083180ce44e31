"""What networks take each class for: counts by hand, as a table that keeps the classes' order and names."""

import numpy as np
import pytest

from prunefront.common.errors import InputError
from prunefront.frontier.confusion import CONFUSION, counted, read_confusion, rows_of, write_confusion

# Five examples: two zeros, both right; three twos, one right, two taken for a one. No example of class 1.
COUNTS = [[2, 0, 0], [0, 0, 0], [0, 2, 1]]
NAMES = ("ä,\n<b>", "NA", '"')


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_counts_by_hand():
    counts = counted(np.array([0, 0, 2, 2, 2]), np.array([0, 0, 1, 1, 2]), 3)
    assert counts.tolist() == COUNTS


def test_the_table_gives_back_names_order_and_counts():
    assert rows_of("dense", "test", np.array(COUNTS), NAMES) == [
        ("dense", "test", NAMES[0], NAMES[0], "2"),
        ("dense", "test", "NA", "NA", "0"),
        ("dense", "test", '"', "NA", "2"),
        ("dense", "test", '"', '"', "1"),
    ]
    assert read_confusion() is None
    write_confusion(
        [*rows_of("dense", "test", np.array(COUNTS), NAMES), *rows_of("submitted", "test", np.eye(3, dtype=int), NAMES)]
    )
    matrices = read_confusion()
    assert list(matrices) == [("dense", "test"), ("submitted", "test")]
    names, counts = matrices["dense", "test"]
    assert names == list(NAMES)
    assert counts.tolist() == COUNTS
    assert matrices["submitted", "test"][1].tolist() == np.eye(3).tolist()


def test_a_thousand_classes_stay_small():
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 1000, (2, 2000))
    rows = rows_of("dense", "test", counted(labels, answers, 1000), tuple(map(str, range(1000))))
    assert 1000 <= len(rows) <= 3000
    assert sum(int(row[-1]) for row in rows) == 2000


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "network,split,label,answer,examples\nd,t,a,b,1\n", "\xff"])
def test_a_damaged_file_is_one_line(content):
    CONFUSION.parent.mkdir()
    CONFUSION.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"confusion\.csv: expected the columns network, split"):
        read_confusion()
