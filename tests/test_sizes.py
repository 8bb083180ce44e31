import pytest

from prunefront import InputError
from prunefront.common import sizes
from prunefront.common.sizes import VARIABLE, check_size, memory_limit


def test_the_limit_is_half_of_the_memory_or_what_is_said(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    sizes._usable.cache_clear()
    machine = memory_limit()
    assert 2**28 < machine < 2**50
    monkeypatch.setattr(sizes, "_group_limits", lambda: iter([3 * 2**20, 2**60]))
    sizes._usable.cache_clear()
    assert memory_limit() == 3 * 2**19
    monkeypatch.setattr(sizes, "_group_limits", lambda: iter([]))
    sizes._usable.cache_clear()
    assert memory_limit() >= machine
    monkeypatch.setenv(VARIABLE, "0.5")
    assert memory_limit() == 2**29
    sizes._usable.cache_clear()


def test_what_declares_to_be_larger_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "2")
    check_size(2**31, "a.npz")
    with pytest.raises(InputError, match=r"^a.npz: expected at most 2 GiB.*PRUNEFRONT_MEMORY_GIB.*Received: 3 GiB"):
        check_size(3 * 2**30, "a.npz")
    with pytest.raises(InputError, match=r"Received: 1,073,741,824 GiB"):
        check_size(2**60, "a.npz")


@pytest.mark.parametrize("said", ["", "much", "0", "-1", "nan", "inf"])
def test_a_limit_is_a_positive_number(said, monkeypatch):
    monkeypatch.setenv(VARIABLE, said)
    with pytest.raises(InputError, match=r"Expected PRUNEFRONT_MEMORY_GIB to be a positive number of GiB"):
        memory_limit()
