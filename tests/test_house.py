"""The architecture: which folder may import which, what stays free of TensorFlow, and who knows the command line."""

import os
import re
import subprocess
import sys

import pytest

import prunefront
from tests.helpers import ROOT, imported_names

CORE = {"pruning", "data", "common", "sparse_file"}
MODELS = CORE | {"models"}
TRAINING = MODELS | {"training"}
MAY_IMPORT = {
    "common": set(),
    "pruning": {"common"},
    "sparse_file": {"common"},
    "data": {"common"},
    "sources": {"data", "common"},
    "models": CORE,
    "graph": MODELS,
    "c_code": {"graph", "common"},
    "training": MODELS,
    "methods": TRAINING,
    "pipeline": TRAINING | {"graph"},
    "export": TRAINING | {"graph", "c_code", "pipeline"},
    "frontier": {"pipeline", "training", "models", "data", "common"},
    "report": {"frontier", "export", "pipeline", "training", "models", "common"},
    "tools": TRAINING | {"sources", "graph", "c_code", "pipeline", "export", "frontier", "report"},
}
PACKAGE = ROOT / "prunefront"
FILES = sorted(PACKAGE.rglob("*.py"))
NUMPY_ONLY = ("common", "pruning", "sources", "data", "methods", "sparse_file", "c_code")
FREE_OF_TENSORFLOW = [
    *(p for p in FILES if p.parent.name in NUMPY_ONLY or p.parent == PACKAGE),
    *(
        PACKAGE / name
        for name in (
            "models/archives.py",
            "models/weights.py",
            "models/weight_files.py",
            "models/certificate.py",
            "graph/activations.py",
            "graph/channels.py",
            "graph/compaction.py",
            "graph/folding.py",
            "graph/forward.py",
            "graph/multiply_adds.py",
            "graph/operations.py",
            "graph/shapes.py",
            "pipeline/correct.py",
            "training/curves.py",
            "pipeline/points.py",
            "pipeline/store.py",
            "pipeline/stage.py",
            "export/formats.py",
            "export/latency.py",
            "export/litert_file.py",
            "export/results.py",
            "export/runtimes.py",
            "export/timing.py",
            "export/processes.py",
        )
    ),
    *(p for p in FILES if p.parent.name == "frontier" and p.name != "submission.py"),
    *sorted((PACKAGE / "report").glob("*.py")),
]
NOT_FREE = {PACKAGE / "common" / "runtime.py", PACKAGE / "data" / "batches.py"}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_it_may(folder):
    for path in (PACKAGE / folder).rglob("*.py"):
        names = [name.split(".") for name in imported_names(path, types=True)]
        used = {"".join(parts[1:2]) for parts in names if parts[0] == "prunefront"}
        assert used - {folder} <= MAY_IMPORT[folder], path
        assert "stages" not in {parts[0] for parts in names}, path


def test_every_folder_has_its_rule():
    assert {p.relative_to(PACKAGE).parts[0] for p in FILES} == {*MAY_IMPORT, "__init__.py"}


def test_the_library_knows_neither_dvc_nor_the_command_line():
    def importing(files, package):
        return {p for p in files if package in {name.partition(".")[0] for name in imported_names(p, types=True)}}

    assert importing(FILES, "typer") == {PACKAGE / "common" / "commands.py"}
    assert importing([*FILES, *(ROOT / "stages").glob("*.py")], "dvc") == set()


def test_the_package_has_every_public_name_that_the_docs_take_from_it():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    taken = [re.findall(r"^from prunefront import (.+)$", page.read_text(), re.MULTILINE) for page in pages]
    names = {name.strip() for lines in taken for line in lines for name in line.split(",")}
    assert {"hold_masks", "certify", "pareto_front"} < names <= set(prunefront.__all__)
    assert not any(re.search(r"^(from|import) prunefront\.", page.read_text(), re.MULTILINE) for page in pages)
    for name in prunefront.__all__:
        assert len(getattr(prunefront, name).__doc__.splitlines()[0]) > 20, name
    assert set(prunefront.__all__) < set(dir(prunefront))
    with pytest.raises(AttributeError, match="no attribute 'hold_mask'"):
        prunefront.hold_mask  # noqa: B018


def test_the_library_takes_no_tensorflow_until_a_model_is_held():
    names = [name for name in prunefront.__all__ if name not in prunefront._HOMES["training.hold"]]
    code = f"import sys, prunefront; [getattr(prunefront, n) for n in {names}]; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_what_is_said_to_import_no_tensorflow_does_not():
    names = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for p in FREE_OF_TENSORFLOW
        if p not in NOT_FREE
    ]
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += "    assert not {'tensorflow', 'keras'} & set(sys.modules), name"
    subprocess.run([sys.executable, "-c", code, *names], cwd=ROOT, check=True)


@pytest.mark.parametrize("variable", [{}, {"PRUNEFRONT_COMMAND": "1"}], ids=["a program of the user's", "a command"])
def test_commands_import_no_more_of_keras_than_they_need(variable):
    code = "import gc, sys\nfrom prunefront.common.runtime import keras\n"
    code += "print(gc.isenabled(), {'sklearn', 'matplotlib'} & set(sys.modules) == set(), gc.get_freeze_count() > 0)\n"
    code += "import matplotlib, sklearn"  # which whoever wants them still finds
    environment = {name: value for name, value in os.environ.items() if name != "PRUNEFRONT_COMMAND"} | variable
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert ran.stdout.split() == ["True", str(bool(variable)), str(bool(variable))]
