"""A new project around a user's model and data: pipeline and parameters; all code stays in the installed package."""

import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunefront.common.errors import InputError
from prunefront.common.params import load_params
from prunefront.common.sections import BUILDER, NO_FILE
from prunefront.report.vega import plots_template
from prunefront.tools.preset import render
from prunefront.tools.template import DEFAULT, PIPELINE, TEMPLATE, dumped, yaml

COPIED = (".gitignore", ".dvcignore", "models/.gitignore", str(NO_FILE))
MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
USED = ("data", "exports", "metrics", "requirements.txt", "README.md", "dvc.yaml", "params.yaml")
"""Names in a project that are no longer the user's."""
HEADER = """\
# The pipeline. `persist: true` keeps a stage's earlier results when a new run of it fails: stages replace their outputs
# as a whole and never continue from them. requirements.txt stands for the code: another version there runs all stages.
"""


@dataclass(frozen=True)
class Ingredients:
    """What a project is about; whatever is None is prunefront's own.

    Attributes:
        model: a .keras or .h5 file.
        builder: package.module:function.
        application: the name of a network of keras.applications.
        code: the file or folder that the builder, or custom objects of the model, are defined in.
        outputs: what the network gives, see `model.outputs` in params.yaml.
        trust: whether code that the model file carries or asks for may run.
        data: an .npz file or a folder of images.
        image_size: height and width in pixels.
    """

    model: Path | None = None
    builder: str | None = None
    application: str | None = None
    code: Path | None = None
    outputs: str = "auto"
    trust: bool = False
    data: Path | None = None
    image_size: tuple[int, int] | None = None


def write_project(folder: Path, subject: Ingredients) -> None:
    """Writes a project that runs by `dvc repro` wherever prunefront is installed.

    Model and data stay where they are, named by absolute paths, which DVC's temporary folders and clones find as well;
    code is copied. The project is a Git repository of its own unless it lies in one.

    Args:
        folder: must not exist, or be empty but for a Git repository.
        subject: what the project is about.

    Raises:
        InputError: the folder is not empty, the subject does not exist or contradicts itself, or Git or DVC cannot be
            run. Nothing is left behind then.
    """
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if present - {".git"} or (folder.exists() and not folder.is_dir()):
        raise InputError(f"Expected a new or empty folder. Received: {folder}, which holds something")
    if shutil.which("git") is None:
        raise InputError("Expected Git, which DVC works with; install it. Received: no command git")
    _check(subject)
    folder = folder.resolve()
    new_folders = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        with tempfile.TemporaryDirectory(prefix="prunefront-") as temporary:
            partial = Path(temporary)
            written = _write(partial, _text(folder.name), subject)
            try:
                load_params(partial / "params.yaml")
            except InputError as error:
                raise InputError(str(error).replace(f"{partial}{os.sep}", "")) from None
            folder.mkdir(parents=True, exist_ok=True)  # it may be where the user is
            for path in sorted(partial.iterdir()):
                shutil.move(path, folder / path.name)
        _put_under_version_control(folder, written)
    except BaseException:
        _remove(folder, present, new_folders)
        raise
    if not str(folder).isascii():  # DVC writes the place of its cache as ASCII
        warnings.warn(
            f"below a path with other characters than ASCII, {folder}, DVC's experiments in temporary folders (--temp, "
            f"--queue) fail, but with a cache elsewhere: dvc config --local cache.dir FOLDER",
            stacklevel=2,
        )


def _check(subject: Ingredients) -> None:
    named = [one for one in (subject.model, subject.builder, subject.application) if one is not None]
    if len(named) > 1:
        raise InputError("Expected one of --model, --builder and --application. Received: several")
    if not named and subject.outputs != "auto":
        raise InputError(f"Expected a model of yours with --outputs. Received: none, and outputs {subject.outputs}")
    if subject.trust and subject.model is None:
        raise InputError("Expected a model file with --trust. Received: none")
    if subject.code is not None and subject.model is None and subject.builder is None:
        raise InputError("Expected a model file or a builder with --code. Received: neither")
    if subject.code is not None and subject.model is not None and not subject.trust:
        raise InputError("Expected --trust beside --code, since a model's code runs only then. Received: no --trust")
    for path in (subject.model, subject.code, subject.data):
        if path is not None and not path.exists():
            raise InputError(f"Expected a file or folder of yours. Received: {path}, which does not exist")
    if subject.model is not None and not (subject.model.is_file() and subject.model.suffix in MODEL_SUFFIXES):
        saved = "; load a SavedModel with the Keras that wrote it, and model.save('model.h5') there"
        hint = saved if subject.model.is_dir() else ""
        raise InputError(f"Expected a model as a {', '.join(MODEL_SUFFIXES)} file{hint}. Received: {subject.model}")
    if subject.data is not None and subject.data.is_file() and subject.data.suffix != ".npz":
        raise InputError(f"Expected data as an .npz file or a folder of images. Received: {subject.data}")
    if subject.builder is not None and not re.fullmatch(BUILDER, subject.builder):
        raise InputError(f"Expected package.module:function as the builder. Received: {subject.builder}")
    if subject.application is not None:
        from prunefront.models.build import check_application

        check_application(subject.application)


def _write(project: Path, name: str, subject: Ingredients) -> list[str]:
    """Writes all files; returns the names of those that belong into Git."""
    for copied in COPIED:
        (project / copied).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(TEMPLATE / copied, project / copied)
    code = _copy_code(subject, project)
    version = importlib.metadata.version("prunefront")
    texts = {
        "params.yaml": _parameters(subject, code),
        "dvc.yaml": HEADER + _pipeline(),
        "requirements.txt": f"prunefront=={version}\n",
        "README.md": _readme(name),
    }
    for file, text in texts.items():
        (project / file).write_text(text, encoding="utf-8")
    return [*COPIED, *texts, *([] if code == NO_FILE else [str(code)])]


def _pipeline() -> str:
    """The pipeline as it calls the installed package."""
    _, begin, rest = PIPELINE.read_text(encoding="utf-8").partition("stages:\n")
    pipeline = yaml().load(begin + rest)
    for stage in pipeline["stages"].values():
        stage["cmd"] = stage["cmd"].replace("python -m stages.", "prunefront ")
        stage["deps"][:] = [d for d in stage["deps"] if not d.startswith(("prunefront/", "stages/"))]
        stage["deps"].append("requirements.txt")
    return dumped(pipeline)


def _parameters(subject: Ingredients, code: Path) -> str:
    """The default with model and data put in place; without any it is the default, word for word."""
    if subject == Ingredients():
        return render(DEFAULT)
    params = yaml().load(render(DEFAULT))
    _about(params, subject, code)
    return dumped(params)


def _about(params: Any, subject: Ingredients, code: Path) -> None:
    """Puts model and data into the parameters, in place, so that the comments stay."""
    model, data = params["model"], params["data"]
    if any((subject.model, subject.builder, subject.application, subject.data)):
        params["runtime"].update(portable=False, threads=None, processes=1)  # it may take hours: the whole machine,
        del params["seeds"][1:]  # and one seed at first
        for section in params.values():
            if "learning_rate" in section:
                section["learning_rate"] = 0.001  # Adam's own: the default's rates are those of a small network
    if subject.model is not None:
        model["path"] = _absolute(subject.model)
    model["builder"], model["application"], model["code"] = subject.builder, subject.application, str(code)
    model["outputs"], model["trust"] = subject.outputs, subject.trust
    if subject.data is not None:
        data["source"] = "folder" if subject.data.is_dir() else "npz"
        data["path"] = _absolute(subject.data)
        data["image_size"] = None
        data["channels"] = 3
    size: list[int] | None = list(subject.image_size) if subject.image_size is not None else None
    if subject.model is not None and (subject.data is None or subject.data.is_dir()):
        shape = _images_of(subject.model, subject)
        size = size or shape[:2]
        data["channels"] = shape[2]
    elif data["source"] == "folder" and size is None:
        size = [64, 64]
    if size is not None:
        data["image_size"] = size


def _absolute(path: Path) -> str:
    """A path that means the same in every folder; a link of the user's keeps its name."""
    return _text(os.path.abspath(path))  # noqa: PTH100


def _text(name: str) -> str:
    """A name of a file as text, also where the locale has no characters for it."""
    try:
        return os.fsencode(name).decode()
    except UnicodeDecodeError:
        raise InputError(f"Expected a name in UTF-8. Received: {name!a}") from None


def _images_of(path: Path, subject: Ingredients) -> list[int]:
    """Height, width and channels of the images that a model file takes."""
    from prunefront.common.runtime import keras
    from prunefront.models.model_files import load_model

    model = load_model(path, subject.trust, NO_FILE if subject.code is None else subject.code)
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


def _copy_code(subject: Ingredients, project: Path) -> Path:
    """Copies the user's code into the project, where it belongs to the version; returns the name of the copy."""
    source = subject.code
    top = "" if subject.builder is None else subject.builder.partition(":")[0].partition(".")[0]
    if source is None and top:
        source = Path(top) if Path(top).is_dir() else Path(f"{top}.py")
        if not source.exists():
            raise InputError(
                f"--builder: expected package.module:function in this folder, or --code with its file or folder. "
                f"Received: {subject.builder}, no {source}"
            )
    if source is None:
        return NO_FILE
    copy = project / Path(os.path.abspath(source)).name  # noqa: PTH100, a link goes by its own name
    if top and copy.stem != top:
        raise InputError(f"--code: expected the file or folder that defines {top}. Received: {source}")
    if copy.exists() or copy.name in USED:
        raise InputError(f"--code: expected a name that the project does not use itself. Received: {source}")
    if source.is_dir():
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", ".git", ".venv"))
    else:
        shutil.copyfile(source, copy)
    return Path(copy.name)


def _put_under_version_control(folder: Path, written: Sequence[str]) -> None:
    """Initialises DVC, and Git unless the folder belongs to a repository already, which must not ignore its files.

    The pages of `dvc plots show` get Vega inside, so that they need no network.
    """
    asked = _git(folder, "rev-parse", "--show-toplevel")
    if asked.returncode and "not a git repository" not in asked.stderr:
        raise InputError(f"Expected Git to say which repository this is. Received: {asked.stderr.strip()}")
    outer = None if asked.returncode else Path(asked.stdout.rstrip("\n")).resolve()
    if outer is None or _git(folder, "check-ignore", "-q", ".").returncode == 0:
        _done(_git(folder, "init", "-q"))  # what a repository ignores can only be one of its own
        outer = folder
    ignored = _git(folder, "check-ignore", "--", *written).stdout.split("\n")[0]
    if ignored:
        raise InputError(f"Expected files that Git does not ignore, see the .gitignore above. Received: {ignored}")
    subdir = [] if outer == folder else ["--subdir"]
    _done(_run(folder, sys.executable, "-m", "dvc", "init", *subdir))
    (folder / ".dvc" / "plots.html").write_text(plots_template(), encoding="utf-8")
    with (folder / ".dvc" / "config").open("a", encoding="utf-8") as config:
        config.write("[plots]\n    html_template = plots.html\n")


def _git(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return _run(folder, "git", "-c", "core.quotePath=false", *arguments)


def _run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command in a folder, in English, whatever repository the caller's environment names."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {"LANGUAGE": "C"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )


def _done(result: "subprocess.CompletedProcess[str]") -> None:
    """Raises InputError if a command failed, with what it said of the error."""
    if result.returncode:
        said = [line for line in (result.stdout + result.stderr).splitlines() if re.match("error|fatal", line, re.I)]
        command = shlex.join(["dvc" if word == sys.executable else word for word in result.args if word != "-m"])
        raise InputError(f"Expected {command} to work. Received: {said[0] if said else result.stderr}")


def _remove(folder: Path, present: Collection[str], new_folders: Sequence[Path]) -> None:
    """Takes back what was written into a folder that held `present`, and the folders that were made for it."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in present:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for made in new_folders:
        if made.is_dir():
            made.rmdir()


def _readme(name: str) -> str:
    return f"""# {name}

Made sparse by prunefront: the accuracy-versus-sparsity frontier of a Keras model, and the weights at its best point.
With prunefront installed:

```sh
prunefront inspect    # the network, what is prunable, what may go wrong
dvc repro             # everything that is out of date
prunefront show       # the frontier, the submitted weights and their exports
prunefront pick --max-accuracy-drop 0.01  # another point: the sparsest that loses at most a point of accuracy
```

`params.yaml` says what is done; every line has a comment. Model and data are named there by absolute paths. To take
them into the project, so that `dvc push` and `dvc pull` carry them to other machines, copy a file to `inputs/`, call
`dvc add inputs/FILE`, and name `inputs/FILE` in `params.yaml`. After an upgrade of prunefront, put the new version
into `requirements.txt`: `dvc repro` then runs all stages again.
"""
