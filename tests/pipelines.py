"""Copies of the project in which the real pipeline runs."""

import subprocess
from pathlib import Path

from tests.helpers import copy_checkout, run, set_params

# the methods of the report, the others and the null baselines, with their numbers of levels in the preset `smoke`
REPORT = {"prune_global": 3, "prune_layerwise": 3, "freeze": 2, "masked": 2}
METHODS = {**REPORT, "gradual": 2, "iterative": 2, "magnitude_rewind": 1, "regrow": 2}
NULL_BASELINES = {"random_global": 1, "random_layerwise": 1, "small_dense": 1}
LATER = ("gradual", "iterative", "magnitude_rewind", "regrow", "random", "small_dense")
"""The sections of what is none of the report's methods."""


def stages_run(result: subprocess.CompletedProcess[str], without: str = "") -> list[str]:
    """The stages that ran, but for one, and for the page, which any parameter changes."""
    ran = [line.split("'")[1] for line in result.stdout.splitlines() if line.startswith("Running stage")]
    return [stage for stage in ran if stage not in (without, "report")]


def contents(folder: Path) -> dict[str, bytes]:
    """Every result file of a project: metrics, and the bytes of the weights."""
    files = [p for top in ("metrics", "models", "data", "exports") for p in (folder / top).rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def new_project(folder: Path, without: tuple[str, ...], **changes: object) -> Path:
    """A fresh copy of the project as a repository of its own, with small parameters and no results.

    Args:
        folder: where it goes.
        without: sections of methods that are left out.
        changes: other sections.
    """
    folder.mkdir()
    copy_checkout(folder, without=("metrics/", "dvc.lock"))
    run("python", "-m", "stages.preset", "smoke", "--overwrite", folder=folder)
    set_params(folder, **{section: {"levels": []} for section in without}, **changes)
    run("git", "init", "-q", folder=folder)
    run("git", "add", "-A", folder=folder)
    run("git", "commit", "-qm", "start", folder=folder)
    return folder
