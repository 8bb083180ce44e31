"""What an edit makes stale: DVC is asked, nothing is trained."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from tests.helpers import ROOT, set_params

STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
METHODS = set(STAGES) - {"prepare", "teacher", "baseline", "pareto", "export", "report"}
JUDGED = METHODS | {"baseline", "pareto", "export", "report"}
TRAINED = JUDGED | {"teacher"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The pipeline and its code, with a file of no meaning in the place of every result, all up to date."""
    folder = tmp_path_factory.mktemp("stale")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("prunefront", "stages", "inputs", "dvc.yaml", ".dvcignore"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, folder / name, **({"ignore": ignore} if copy is shutil.copytree else {}))
    shutil.copyfile(ROOT / "presets" / "default.yaml", folder / "params.yaml")
    set_params(folder, seeds=[0])
    for block in STAGES.values():
        for out in (*block["outs"], *block.get("metrics", [])):
            path = folder / next(iter(out))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if not path.suffix else path.write_text("{}")
    for path in [p for p in folder.glob("models/*") if p.is_dir()] + [folder / "data" / "prepared"]:
        (path / "s0.weights.h5").write_text("weights")
    with Repo.init(str(folder), no_scm=True) as repo:
        repo.commit(force=True)
    assert stale(folder) == set()
    return folder


def stale(folder: Path) -> set[str]:
    with Repo(str(folder)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        ("prune.levels", {"prepare", "report", "prune_global", "prune_layerwise"}),
        ("prune.biases", {"prepare", *JUDGED}),
        ("export.tolerance", {"prepare", "export", "report"}),
        ("masked.epochs", {"prepare", "masked", "report"}),
        ("pareto.gate", {"prepare", "pareto", "report"}),
        ("prunefront/methods/gradual.py", {"gradual", "regrow"}),
        ("prunefront/methods/iterative.py", {"iterative", "random_global", "random_layerwise"}),
        ("prunefront/pruning/masks.py", {"prepare", *TRAINED}),
        ("prunefront/models/build.py", {"prepare", *TRAINED}),
        ("prunefront/training/trainer.py", TRAINED),
        ("prunefront/sources/read.py", {"prepare"}),
        ("prunefront/frontier/figures.py", {"pareto", "report"}),
        ("prunefront/common/files.py", {"prepare", *TRAINED}),
        ("prunefront/methods/magnitude_rewind.py", {"magnitude_rewind"}),
        ("magnitude_rewind.epochs", {"prepare", "magnitude_rewind", "report"}),
        ("stages/freeze.py", {"freeze"}),
        ("teacher.epochs", {"prepare", "teacher", "report"}),
        ("prunefront/export/processes.py", {"export", "report"}),
        ("prunefront/tools/*.py", set()),
        ("prunefront/__init__.py", set()),
        ("seeds", {"prepare", *METHODS, "baseline", "pareto", "report"}),
    ],
)
def test_an_edit_makes_stale_what_reads_it(project, edited, expected):
    before = {path: path.read_text() for path in project.glob(edited if "/" in edited else "params.yaml")}
    assert before
    if "/" in edited:
        for path, text in before.items():
            path.write_text(text + "# edited\n")
    else:
        values = {"prune.levels": [0, 0.5], "prune.biases": False, "masked.epochs": 3, "pareto.gate": 0.5}
        values |= {"teacher.epochs": 3, "magnitude_rewind.epochs": 3, "export.tolerance": 0.5}
        section, _, key = edited.partition(".")
        set_params(project, **({section: {key: values[edited]}} if key else {"seeds": [0, 1]}))
    try:
        assert stale(project) == expected
    finally:
        for path, text in before.items():
            path.write_text(text)
