"""Whole models from files: loaded without running anything that the file carries, unless that is allowed."""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from prunefront.common.errors import InputError, cause
from prunefront.common.files import check_fetched
from prunefront.common.patching import replaced
from prunefront.common.runtime import keras
from prunefront.common.sections import NO_FILE
from prunefront.models.archives import check_weights, open_archive


def load_model(path: Path, trust: bool, code: Path = NO_FILE) -> "keras.Model":
    """Loads a whole model, uncompiled, without running any code that the file carries unless it is trusted.

    Args:
        path: a `.keras` file, or a `.h5` file of a whole model.
        trust: runs Lambda layers of the file, and imports the modules that it names for custom objects.
        code: a Python file with custom objects that the file does not say the module of, imported if it is trusted; or
            a folder, the package of modules that it names.

    Raises:
        InputError: the file is missing, damaged, holds no whole model, or needs code and is not trusted.
    """
    if (path / "saved_model.pb").is_file():
        raise InputError(
            f"model.path: expected a .keras or .h5 file; load the model with the Keras that wrote it, and "
            f"model.save('model.h5') there. Received: {path}, a SavedModel"
        )
    if not path.is_file():
        raise InputError(f"model.path: expected a .keras or .h5 file. Received: {path}, which is no file")
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise InputError(f"model.path: expected a .keras or .h5 file. Received: {path}")
    check_fetched(path)
    custom = _custom_objects(path)
    if custom and not trust:
        raise InputError(
            f"{path}: expected a model without code of its own. Received: {custom[0]['what']}; model.trust: true loads "
            f"it and runs that code"
        )
    check_weights(path)
    try:
        objects = dict(_defined_in(code)) if trust and code != NO_FILE else {}
        objects |= {name: found for one in custom for name, found in _imported(one)}
        with _no_exit():
            return keras.saving.load_model(path, custom_objects=objects, compile=False, safe_mode=not trust)
    except (InputError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a damaged file, or a class that does not understand its configuration
        custom_hint = "; for layers of your own, set model.trust: true, and model.code to the file that defines them"
        hint = custom_hint if "Unknown" in str(error) or "locate" in str(error) else ""
        raise InputError(
            f"{path}: expected a model that this version of Keras ({keras.__version__}) can load{hint}. "
            f"Received: {cause(error)}"
        ) from None


def _custom_objects(path: Path) -> list[dict[str, str]]:
    """What the description of a model in a file, which is JSON, has that is not Keras's own."""
    try:
        if path.suffix == ".keras":
            with open_archive(path) as archive:
                return list(_not_keras(json.loads(archive.read("config.json"))))
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
        found = [] if text is None else list(_not_keras(json.loads(text)))
    except InputError:
        raise
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(
            f"{path}: expected a whole Keras model file. Received: a damaged one ({cause(error)})"
        ) from None
    if text is None:
        raise InputError(
            f"{path}: expected a whole model, as model.save writes it. Received: weights only, for model.weights"
        )
    return found


def _not_keras(config: Any) -> Iterator[dict[str, str]]:
    """Lambda layers, and classes and functions of other modules than Keras's."""
    if isinstance(config, list):
        for item in config:
            yield from _not_keras(item)
    if not isinstance(config, dict):
        return
    name, module = config.get("class_name"), str(config.get("module") or "")
    if name in ("Lambda", "__lambda__"):
        yield {"what": "a Lambda layer", "module": "", "name": "", "registered": ""}
    elif name and module and module.split(".")[0] not in ("keras", "builtins"):
        own_name = config.get("config") if name == "function" else name
        yield {
            "what": f"a custom object, {own_name} of {module}",
            "module": module,
            "name": str(own_name),
            "registered": str(config.get("registered_name") or own_name),
        }
    for key, value in config.items():
        if key != "compile_config":
            yield from _not_keras(value)


def _imported(custom: dict[str, str]) -> Iterator[tuple[str, Any]]:
    if custom["module"]:
        found = getattr(import_own(custom["module"], "model.path"), custom["name"], None)
        if found is None:
            raise InputError(
                f"model.path: expected {custom['name']} in {custom['module']}. Received: no such name there"
            )
        yield from ((custom["name"], found), (custom["registered"], found))


def _defined_in(code: Path) -> Iterator[tuple[str, Any]]:
    """The classes and functions of a Python file, by their names; those of a folder the model names by their module."""
    if code.is_dir():
        return
    if code.suffix != ".py" or not code.is_file():
        raise InputError(f"model.code: expected a Python file that defines a model's custom objects. Received: {code}")
    with _on_path(str(code.parent.resolve())):
        yield from (
            (name, found) for name, found in vars(import_own(code.stem, "model.code")).items() if callable(found)
        )


def import_own(module: str, origin: str) -> Any:
    """Imports a module of the user's own, from the folder that the command runs in."""
    expected = f"{origin}: expected a module {module} that can be imported from this folder"
    with _on_path(str(Path.cwd())), own_code(expected):
        return importlib.import_module(module)


@contextlib.contextmanager
def own_code(expected: str) -> Iterator[None]:
    """Runs code of the user's own: whatever it raises, or an end of the process, is an InputError that says `expected`.

    Only an interruption from the keyboard goes through.
    """
    try:
        with _no_exit():
            yield
    except (InputError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise InputError(f"{expected}. Received: {cause(error)}") from None


@contextlib.contextmanager
def _no_exit() -> Iterator[None]:
    """Makes `os._exit` an exception: a stage that wrote nothing must not end as if it had done its work."""
    us, leave = os.getpid(), os._exit

    def refuse(status: int) -> None:
        if os.getpid() != us:  # a child of this process, which ends that way
            leave(status)
        raise SystemExit(f"os._exit({status})")

    with replaced(os, "_exit", refuse):
        yield


@contextlib.contextmanager
def _on_path(folder: str) -> Iterator[None]:
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        yield
    finally:
        if added:
            sys.path.remove(folder)
