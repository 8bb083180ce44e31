"""A new project around a user's model and data: parameters, pipeline and thin stages; the core stays in the package."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from prunefront.common.errors import InputError, cause
from prunefront.common.params import BUILDER, NO_FILE, load_params

NOT_COPIED = {"new.py", "compare.py"}
IGNORED = """.venv/
__pycache__/
partial-*
previous-*
/dvc_plots/
/data/
/inputs/*
!/inputs/none
/costs/
/unfinished/
"""


@dataclass(frozen=True)
class Ingredients:
    """What a project is about; whatever is None is prunefront's own.

    Attributes:
        model: a .keras or .h5 file.
        builder: package.module:function.
        application: the name of a network of keras.applications.
        data: an .npz file or a folder of images.
        image_size: height and width in pixels.
    """

    model: Path | None = None
    builder: str | None = None
    application: str | None = None
    data: Path | None = None
    image_size: tuple[int, int] | None = None


def write_project(folder: Path, template: Path, subject: Ingredients) -> None:
    """Writes a project that runs by `dvc repro` wherever prunefront is installed.

    Model and data stay where they are, named by paths relative to the project; a builder's code is copied into it.

    Args:
        folder: must not exist, or be empty.
        template: a folder with `dvc.yaml`, `stages/` and `params.yaml` or `presets/digits.yaml`.
        subject: what the project is about.

    Raises:
        InputError: the folder is not empty, a file of the subject does not exist, or Git or DVC cannot be run.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"Expected a new or empty folder. Received: {folder}, which holds something")
    for path in (subject.model, subject.data):
        if path is not None and not path.exists():
            raise InputError(f"Expected a file or folder of yours. Received: {path}, which does not exist")
    if subject.data is not None and subject.data.is_file() and subject.data.suffix != ".npz":
        raise InputError(f"Expected data as an .npz file or a folder of images. Received: {subject.data}")
    if subject.builder is not None and not re.fullmatch(BUILDER, subject.builder):
        raise InputError(f"Expected package.module:function as the builder. Received: {subject.builder}")
    folder = folder.resolve()
    partial = folder.with_name(f"partial-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write(partial, folder, template, subject)
        load_params(partial / "params.yaml")
        folder.mkdir(parents=True, exist_ok=True)  # it may be where the user is
        for path in sorted(partial.iterdir()):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(project: Path, final: Path, template: Path, subject: Ingredients) -> None:
    (project / "stages").mkdir(parents=True)
    for path in sorted((template / "stages").glob("*.py")):
        if path.name not in NOT_COPIED:
            shutil.copyfile(path, project / "stages" / path.name)
    code = _copy_code(subject.builder, project) if subject.builder is not None else NO_FILE
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    presets = template / "presets" / "digits.yaml"
    params = yaml.load((presets if presets.exists() else template / "params.yaml").read_text(encoding="utf-8"))
    _about(params, final, subject, code)
    pipeline = yaml.load((template / "dvc.yaml").read_text(encoding="utf-8"))
    for stage in pipeline["stages"].values():
        # the package's files are none of the project's: a new version in requirements.txt makes all stages run again
        own = [d for d in stage["deps"] if not d.startswith("prunefront/") and d != "requirements.txt"]
        stage["deps"][:] = [*own, "requirements.txt"]
    for name, content in (("params.yaml", params), ("dvc.yaml", pipeline)):
        with (project / name).open("w", encoding="utf-8") as file:
            yaml.dump(content, file)
    (project / "inputs").mkdir()
    version = importlib.metadata.version("prunefront")
    texts = {
        NO_FILE: "Stands for no file: a DVC dependency cannot be empty.\n",
        Path("requirements.txt"): f"prunefront=={version}\n",
        Path(".gitignore"): IGNORED,
        Path(".dvcignore"): "partial-*\nprevious-*\n__pycache__\n",
        Path("README.md"): _readme(final.resolve().name),
    }
    for path, text in texts.items():
        (project / path).write_text(text, encoding="utf-8")
    _run(project, "git", "init", "-q")
    _run(project, sys.executable, "-m", "dvc", "init", "-q")


def _about(params: Any, final: Path, subject: Ingredients, code: Path) -> None:
    """Puts model and data into the parameters, in place, so that the comments stay."""
    model, data = params["model"], params["data"]
    if subject.model is not None:
        model["path"] = os.path.relpath(subject.model, final)
    model["builder"], model["application"], model["code"] = subject.builder, subject.application, str(code)
    if subject.data is not None:
        data["source"] = "folder" if subject.data.is_dir() else "npz"
        data["path"] = os.path.relpath(subject.data, final)
        data["image_size"] = None
    size: list[int] | None = list(subject.image_size) if subject.image_size is not None else None
    if subject.model is not None and (subject.data is None or subject.data.is_dir()):
        shape = _images_of(subject.model)
        size = size or shape[:2]
        data["channels"] = shape[2]
    elif data["source"] == "folder" and size is None:
        size = [64, 64]
    if size is not None:
        data["image_size"] = size


def _images_of(path: Path) -> list[int]:
    """Height, width and channels of the images that a model file takes."""
    from prunefront.common.runtime import keras
    from prunefront.models.model_files import load_model

    model = load_model(path, trust=False)
    inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
    shape = list(inputs[0].shape[1:]) if len(inputs) == 1 else []
    if len(shape) == 2:
        shape.append(1)
    if len(shape) != 3 or None in shape or shape[2] not in (1, 3):
        raise InputError(
            f"Expected a model of images with a fixed size, or data as an .npz file (--data). Received: {path}, "
            f"which takes {shape or 'something else'}"
        )
    return shape


def _copy_code(builder: str, project: Path) -> Path:
    """Copies the builder's module, or its whole package, out of this folder; returns the name of the copy."""
    top = Path(builder.partition(":")[0].partition(".")[0])
    if top.is_dir():
        shutil.copytree(top, project / top, ignore=shutil.ignore_patterns("__pycache__"))
        return top
    file = top.with_suffix(".py")
    if not file.is_file():
        raise InputError(f"--builder: expected package.module:function in this folder. Received: {builder}, no {file}")
    shutil.copyfile(file, project / file)
    return file


def _run(folder: Path, *command: str) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise InputError(f"Expected {command[0]} to be installed. Received: {cause(error)}") from None
    except subprocess.CalledProcessError as error:
        raise InputError(f"Expected {' '.join(command)} to work. Received: {error.stderr}") from None


def _readme(name: str) -> str:
    return f"""# {name}

Made sparse by prunefront: the accuracy-versus-sparsity frontier of a Keras model, and the weights at its best point.
With prunefront installed:

```sh
python -m stages.inspect          # the network, what is prunable, what may go wrong
dvc repro                         # everything that is out of date
python -m stages.show             # the frontier and the submitted weights
```

`params.yaml` says what is done; every line has a comment. After an upgrade of prunefront, put the new version into
`requirements.txt`: `dvc repro` then runs all stages again.
"""
