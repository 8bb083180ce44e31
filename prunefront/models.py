"""The network of a run: the built-in one, a model file, a user's own function, or one of keras.applications."""

import contextlib
import hashlib
import importlib
import inspect
import json
import sys
import zipfile
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from prunefront.data import Split
from prunefront.errors import InputError, cause
from prunefront.masks import Weights
from prunefront.network import build_network
from prunefront.params import NO_FILE, Model
from prunefront.runtime import keras
from prunefront.weights import check_shapes, load_weights


def build_model(params: Model, input_shape: tuple[int, ...], classes: int, width: float = 1.0) -> "keras.Model":
    """A new, built network of the kind that the parameters name; its compiled state, if any, counts for nothing.

    Args:
        params: which network.
        input_shape: of one example.
        classes: number of classes, at least 2.
        width: of the built-in network, see `build_network`.

    Raises:
        InputError: the network cannot be made, is not built, or takes examples of another shape.
    """
    if params.path != NO_FILE:
        model, origin = load_model(params.path, params.trust), f"model.path ({params.path})"
    elif params.builder is not None:
        model, origin = _from_builder(params.builder, input_shape, classes), f"model.builder ({params.builder})"
    elif params.application is not None:
        model, origin = (
            _application(params.application, input_shape, classes),
            f"model.application {params.application}",
        )
    else:
        return build_network(input_shape, classes, width)
    if not model.built or not model.weights:
        raise InputError(
            f"{origin}: expected a built model with weights; give it a keras.Input, or call it on data once, before it "
            f"is saved or returned. Received: an unbuilt one"
        )
    return model


def load_model(path: Path, trust: bool) -> "keras.Model":
    """Loads a whole model, uncompiled, without running any code that the file carries unless it is trusted.

    Args:
        path: a `.keras` file, or a `.h5` file of a whole model.
        trust: runs Lambda layers of the file, and imports the modules that it names for custom objects.

    Raises:
        InputError: the file is missing, damaged, holds no whole model, or needs code and is not trusted.
    """
    if not path.is_file():
        raise InputError(f"model.path: expected a .keras or .h5 file. Received: {path}, which is no file")
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise InputError(f"model.path: expected a .keras or .h5 file. Received: {path}")
    config = _config(path)
    custom = list(_custom_objects(config))
    if custom and not trust:
        raise InputError(
            f"{path}: expected a model without code of its own. Received: {custom[0]['what']}; model.trust: true loads "
            f"it and runs that code"
        )
    try:
        objects = {name: found for one in custom for name, found in _imported(one)}
        return keras.saving.load_model(path, custom_objects=objects, compile=False, safe_mode=not trust)
    except InputError:
        raise
    except Exception as error:  # a damaged file, or a class that does not understand its configuration
        raise InputError(
            f"{path}: expected a model that this version of Keras ({keras.__version__}) can load. "
            f"Received: {cause(error)}"
        ) from None


def starting_weights(params: Model, model: "keras.Model") -> Weights | None:
    """The weights to start from, None for random ones.

    Those of `model.weights`; or else those of the file or function that the model comes from. For a network of
    keras.applications, the last layer may be missing in the file or be of another size; it starts from random values
    then.

    Args:
        params: which network and weights.
        model: a new one, see `build_model`.

    Raises:
        InputError: the file cannot be read or does not fit.
    """
    if params.weights == NO_FILE:
        return None if params.built_in or params.application else _checked(model.get_weights(), model, "the model")
    weights, origin = load_weights(params.weights), f"model.weights ({params.weights})"
    if params.application is not None:
        weights = _with_new_head(weights, model)
    return _checked(weights, model, origin)


def fitted(split: Split, model: "keras.Model") -> Split:
    """Examples in the shape and type that a model declares to take, as far as that changes no value.

    A channel axis of size one is added or dropped; whole numbers become the type of the model's input.

    Args:
        split: of the data.
        model: built; one that declares no input (a subclassed one) is given the examples as they are.

    Raises:
        InputError: the model has several inputs, or the examples do not fit.
    """
    try:
        inputs = keras.tree.flatten(model.inputs)
    except (AttributeError, ValueError):
        return split
    if not inputs:
        return split
    if len(inputs) > 1:
        raise InputError(f"Expected a model with one input. Received: {len(inputs)} inputs")
    wanted, shape = tuple(inputs[0].shape[1:]), split.x.shape[1:]
    if _matches(shape, wanted):
        new_shape = shape
    elif shape and shape[-1] == 1 and _matches(shape[:-1], wanted):
        new_shape = shape[:-1]
    elif _matches((*shape, 1), wanted):
        new_shape = (*shape, 1)
    else:
        images = len(wanted) == 3 and None not in wanted and len(shape) == 3
        hint = f"; set data.image_size to {list(wanted[:2])} and data.channels to {wanted[2]}" if images else ""
        raise InputError(f"Expected examples of shape {wanted}, which the model takes{hint}. Received: {shape}")
    whole_numbers = keras.backend.is_int_dtype(inputs[0].dtype)
    seen = split.x if isinstance(split.x, np.ndarray) else split.first(1)
    if whole_numbers and seen.dtype.kind == "f" and not np.array_equal(seen, np.floor(seen)):
        raise InputError(
            f"Expected whole numbers, the model takes {inputs[0].dtype}. Received: examples with fractions; "
            f"data.pixel_range: null leaves images as they are"
        )
    dtype = np.dtype(np.int32 if whole_numbers else np.float32)
    if new_shape == shape and split.x.dtype == dtype:
        return split
    return split.converted(lambda x: x.reshape(-1, *new_shape).astype(dtype))


def identity(params: Model) -> str:
    """A digest of what the network is made from: parameters and files, of which any change makes another network."""
    content = hashlib.sha256(params.model_dump_json().encode())
    sources = [params.path, params.code]
    if params.builder is not None:
        sources.append(Path(inspect.getsourcefile(_import(params.builder.split(":")[0], "model.builder")) or ""))
    for source in sources:
        for file in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            content.update(file.read_bytes() if file.is_file() else b"")
    return content.hexdigest()


def _matches(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(w in (None, s) for s, w in zip(shape, wanted, strict=True))


def _checked(weights: Weights, model: "keras.Model", origin: str) -> Weights:
    check_shapes(weights, model, origin)
    return weights


def _config(path: Path) -> Any:
    """The description of the model in a file, as JSON."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read("config.json"))
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(
            f"{path}: expected a whole Keras model file. Received: a damaged one ({cause(error)})"
        ) from None
    if text is None:
        raise InputError(
            f"{path}: expected a whole model, as model.save writes it. Received: weights only, for model.weights"
        )
    return json.loads(text)


def _custom_objects(config: Any) -> Iterator[dict[str, str]]:
    """What in a model's description is not Keras's own: Lambda layers, and classes and functions of other modules."""
    if isinstance(config, list):
        for item in config:
            yield from _custom_objects(item)
    if not isinstance(config, dict):
        return
    name, module = config.get("class_name"), config.get("module") or ""
    if name in ("Lambda", "__lambda__"):
        yield {"what": "a Lambda layer", "module": "", "name": "", "registered": ""}
    elif name and module and module.split(".")[0] not in ("keras", "builtins"):
        own_name = config["config"] if name == "function" else name
        yield {
            "what": f"a custom object, {own_name} of {module}",
            "module": module,
            "name": str(own_name),
            "registered": str(config.get("registered_name") or own_name),
        }
    for key, value in config.items():
        if key != "compile_config":
            yield from _custom_objects(value)


def _imported(custom: dict[str, str]) -> Iterator[tuple[str, Any]]:
    if custom["module"]:
        found = getattr(_import(custom["module"], "model.path"), custom["name"], None)
        if found is None:
            raise InputError(
                f"model.path: expected {custom['name']} in {custom['module']}. Received: no such name there"
            )
        yield from ((custom["name"], found), (custom["registered"], found))


def _import(module: str, origin: str) -> Any:
    """Imports a module of the user's own, from the folder that the command runs in."""
    with _on_path(str(Path.cwd())):
        try:
            return importlib.import_module(module)
        except Exception as error:  # whatever the module does
            raise InputError(
                f"{origin}: expected a module {module} that can be imported from this folder. Received: {cause(error)}"
            ) from None


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


def _from_builder(builder: str, input_shape: tuple[int, ...], classes: int) -> "keras.Model":
    module, _, name = builder.partition(":")
    function = getattr(_import(module, "model.builder"), name, None)
    if not callable(function):
        raise InputError(f"model.builder: expected a function {name} in {module}. Received: {function!r}")
    try:
        model = function(tuple(input_shape), classes)
    except Exception as error:  # whatever the function does
        raise InputError(
            f"model.builder: expected {builder}({tuple(input_shape)}, {classes}) to return a Keras model. "
            f"Received: {cause(error)}"
        ) from None
    if not isinstance(model, keras.Model):
        raise InputError(
            f"model.builder: expected {builder} to return a keras.Model. Received: {type(model).__module__}."
            f"{type(model).__name__}"
        )
    return model


def _application(name: str, input_shape: tuple[int, ...], classes: int) -> "keras.Model":
    known = [n for n in dir(keras.applications) if n[0].isupper() and callable(getattr(keras.applications, n))]
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"such as {', '.join(known[:3])}"
        raise InputError(f"model.application: expected a network of keras.applications, {hint}. Received: {name}")
    try:
        return getattr(keras.applications, name)(
            weights=None, input_shape=input_shape, classes=classes, classifier_activation=None
        )
    except Exception as error:  # images that are too small for it, for the most part
        raise InputError(
            f"model.application: expected {name} to take examples of shape {tuple(input_shape)}. "
            f"Received: {cause(error)}"
        ) from None


def _with_new_head(weights: Weights, model: "keras.Model") -> Weights:
    """The weights of a file, with the model's own for the last layer where the file has none or others."""
    own = model.get_weights()
    body = len(own) - len(model.layers[-1].weights)
    fits = len(weights) in (body, len(own)) and all(
        given.shape == mine.shape for given, mine in zip(weights[:body], own[:body], strict=True)
    )
    return weights[:body] + own[body:] if fits and list(map(np.shape, weights)) != list(map(np.shape, own)) else weights
