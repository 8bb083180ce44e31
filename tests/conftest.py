"""Shared by the tests: what each begins with, and the report's own weight files where they are at hand."""

import gc
from pathlib import Path

import hypothesis
import pytest

from prunefront.common.runtime import set_up
from tests.helpers import workload


@pytest.fixture(autouse=True)
def _begin_alike() -> None:
    """Seeds, precision and deterministic operations as in a stage, whatever test was before in this process."""
    set_up("float32", 0)  # which searches for garbage
    gc.freeze()  # what it has found to be in use it need not search again at the next test


@pytest.fixture
def dense_file() -> Path:
    return workload("seed-weights/uncompressed_model_weights.h5")


@pytest.fixture
def pruned_file() -> Path:
    return workload("seed-weights/my_model_weights.h5")


# A slow machine is no fault, and the examples are the same on all; `make test-all` draws new ones.
ANY_SPEED = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("project", derandomize=True, **ANY_SPEED)
hypothesis.settings.register_profile("search", **ANY_SPEED)
hypothesis.settings.load_profile("project")

FAILED = pytest.StashKey[str]()


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Notes the first failure of a file that is marked as a story."""
    story = item.getparent(pytest.Module)
    told = call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception)
    if story is not None and item.get_closest_marker("story") and told:
        story.stash.setdefault(FAILED, item.name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What comes after a failure in a story says nothing of its own."""
    story = item.getparent(pytest.Module)
    if story is not None and item.get_closest_marker("story") and FAILED in story.stash:
        pytest.skip(f"the story ended at {story.stash[FAILED]}")
