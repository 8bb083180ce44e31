"""Shared by the tests: the report's own weight files where they are at hand, and small trained things."""

import os
from pathlib import Path

import pytest

from tests.imports import ROOT


def workload(name: str) -> Path:
    """A file of the founding report's workload, which is not part of the project; skips the test without it."""
    path = Path(os.environ.get("PRUNEFRONT_WORKLOAD", ROOT.parent / "shared" / "data")) / name
    if not path.exists():
        pytest.skip(f"needs {name} of the founding report; set PRUNEFRONT_WORKLOAD to the folder that holds it")
    return path


@pytest.fixture
def dense_file() -> Path:
    return workload("seed-weights/uncompressed_model_weights.h5")


@pytest.fixture
def pruned_file() -> Path:
    return workload("seed-weights/my_model_weights.h5")
