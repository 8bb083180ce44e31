"""The network of a run: the built-in one, a model file, a user's own function, or one of keras.applications."""

import contextlib
import hashlib
import inspect
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from prunefront.common.errors import InputError, cause
from prunefront.common.runtime import keras
from prunefront.common.sections import NO_FILE, Model
from prunefront.data.batches import at_hand, converted
from prunefront.data.splits import Split
from prunefront.models.built_in import build_network
from prunefront.models.layers import check_not_quantized, layers_of
from prunefront.models.model_files import import_own, load_model, own_code
from prunefront.models.weights import check_shapes, layout, load_weights
from prunefront.pruning.masks import Weights

GIVEN = "_given_to_prunefront"
"""The attribute that marks a model which a user's function has returned before."""


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
        model, origin = load_model(params.path, params.trust, params.code), f"model.path ({params.path})"
    elif params.builder is not None:
        model, origin = _from_builder(params.builder, input_shape, classes), f"model.builder ({params.builder})"
    elif params.application is not None:
        model, origin = (
            _application(params.application, input_shape, classes),
            f"model.application {params.application}",
        )
    else:
        return build_network(input_shape, classes, width)
    if not model.built:
        raise InputError(
            f"{origin}: expected a built model; give it a keras.Input, or call it on data once, before it is saved or "
            f"returned. Received: an unbuilt one"
        )
    if not model.weights:
        raise InputError(f"{origin}: expected a model with weights. Received: one without")
    stateful = [layer.name for _, layer in layers_of(model) if getattr(layer, "stateful", False)]
    if stateful:
        raise InputError(
            f"{origin}: expected a model that takes batches of any size and order. Received: a stateful layer, "
            f"{stateful[0]}"
        )
    adapted = [path for path, layer in layers_of(model) if getattr(layer, "lora_enabled", False)]
    if adapted:
        raise InputError(
            f"{origin}: expected a network without LoRA, where no zero would hold; model.save_weights "
            f"merges the adapters into a file, which is model.weights for the same network without enable_lora and "
            f"lora_rank. Received: adapters in {adapted[0]}"
        )
    check_not_quantized(model, origin)
    return model


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
    origin = f"model.weights ({params.weights})"
    if layout(params.weights) != "ours":
        weights = _loaded_by_keras(params, model, origin)
    else:
        weights = load_weights(params.weights)
        if params.application is not None:
            weights = _with_new_head(weights, model)
    return _checked(weights, model, origin)


def as_model_input(split: Split, model: "keras.Model") -> Split:
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
    if inputs[0].shape[0] is not None:
        raise InputError(
            f"Expected a model that takes batches of any size; build it without batch_size or batch_shape. "
            f"Received: an input of shape {tuple(inputs[0].shape)}"
        )
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
        if len(shape) == 3 and _matches((*shape[1:], shape[0]), wanted):
            hint = "; x.transpose(0, 2, 3, 1) moves the channels to the end"
        raise InputError(f"Expected examples of shape {wanted}, which the model takes{hint}. Received: {shape}")
    whole_numbers = keras.backend.is_int_dtype(inputs[0].dtype)
    seen = at_hand(split)
    if whole_numbers and seen.dtype.kind == "f" and not np.array_equal(seen, np.floor(seen)):
        raise InputError(
            f"Expected whole numbers, the model takes {inputs[0].dtype}. Received: examples with fractions; "
            f"data.pixel_range: auto leaves images as they are"
        )
    dtype = np.dtype(np.int32 if whole_numbers else np.float32)
    if new_shape == shape and split.x.dtype == dtype:
        return split
    return converted(split, lambda x: x.reshape(-1, *new_shape).astype(dtype))


def fingerprint(params: Model) -> str:
    """A digest of what the network is made from: parameters and files, of which any change makes another network."""
    content = hashlib.sha256(params.model_dump_json().encode())
    sources = [params.path, params.code]
    if params.builder is not None:
        sources.append(Path(inspect.getsourcefile(import_own(params.builder.split(":")[0], "model.builder")) or ""))
    for source in sources:
        for file in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            content.update(file.read_bytes() if file.is_file() else b"")
    return content.hexdigest()


@contextlib.contextmanager
def of_teacher() -> Iterator[None]:
    """What is wrong with the teacher is said of its own section, not of `model`, whose keys it shares."""
    try:
        yield
    except InputError as error:
        raise InputError(teachers_own(str(error))) from None


def teachers_own(text: str) -> str:
    """A text about the keys of `model` as one about those of `teacher`."""
    return re.sub(rf"\bmodel\.(?=({'|'.join(Model.model_fields)})\b)", "teacher.", text)


def _matches(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(w in (None, s) for s, w in zip(shape, wanted, strict=True))


def _loaded_by_keras(params: Model, model: "keras.Model", origin: str) -> Weights:
    """What `model.load_weights` gives: only Keras knows the order of its files, for which it needs the model.

    Args:
        params: for a network of keras.applications, the last layer may be missing or of another size.
        model: takes the weights.
        origin: of the file, for errors.
    """
    try:
        _load_into(model, params.weights)
        return model.get_weights()
    except Exception as error:  # Keras raises what it comes upon
        refusal = InputError(f"{origin}: expected weights of this network. Received: {cause(error)}")
    if any(array.dtype == np.int8 for array in load_weights(params.weights)):
        raise InputError(
            f"{origin}: expected kernels of floats; save the weights before they are quantized. Received: int8"
        )
    if params.application is None:
        raise refusal from None
    body = keras.Model(model.inputs, head(model).input)
    with contextlib.suppress(Exception):
        _load_into(body, params.weights)
        return model.get_weights()
    with contextlib.suppress(Exception):
        _load_into(model, params.weights, skip_mismatch=True)
    given = Counter(_values(array) for array in load_weights(params.weights))
    missing = Counter(map(_values, body.get_weights())) - given
    if missing:
        raise InputError(
            f"{origin}: expected weights for all layers of {params.application} but the last. "
            f"Received: none for {missing.total()} arrays"
        )
    return model.get_weights()


def _load_into(model: "keras.Model", path: Path, skip_mismatch: bool = False) -> None:
    """Calls `model.load_weights`, under a name that tells Keras the layout that the file is in."""
    suffix = ".keras" if path.suffix == ".keras" else ".h5" if layout(path) == "legacy" else ".weights.h5"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Skipping nested container")  # which would stay random
        given = Path(folder) / f"given{suffix}"
        given.symlink_to(path.resolve())
        model.load_weights(given, skip_mismatch=skip_mismatch)


def _values(array: np.ndarray) -> bytes:
    return array.astype(np.float32).tobytes()


def head(model: "keras.Model") -> "keras.Layer":
    """The last layer that has weights."""
    return next(layer for layer in reversed(model.layers) if layer.weights)


def _checked(weights: Weights, model: "keras.Model", origin: str) -> Weights:
    check_shapes(weights, model, origin)
    return weights


def _from_builder(builder: str, input_shape: tuple[int, ...], classes: int) -> "keras.Model":
    module, _, name = builder.partition(":")
    function = getattr(import_own(module, "model.builder"), name, None)
    if not callable(function):
        received = "none of that name" if function is None else repr(function)
        raise InputError(f"model.builder: expected a function {name} in {module}. Received: {received}")
    with own_code(f"model.builder: expected {builder}({tuple(input_shape)}, {classes}) to return a Keras model"):
        model = function(tuple(input_shape), classes)
    if not isinstance(model, keras.Model):
        raise InputError(
            f"model.builder: expected {builder} to return a keras.Model. Received: {type(model).__module__}."
            f"{type(model).__name__}"
        )
    if getattr(model, GIVEN, False):
        raise InputError(f"model.builder: expected {builder} to build a new model on each call. Received: the same one")
    setattr(model, GIVEN, True)
    return model


def check_application(name: str) -> None:
    """Raises InputError unless keras.applications has a network of that name."""
    known = [n for n in dir(keras.applications) if n[0].isupper() and callable(getattr(keras.applications, n))]
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"such as {', '.join(known[:3])}."
        raise InputError(f"model.application: expected a network of keras.applications; {hint} Received: {name}")


def _application(name: str, input_shape: tuple[int, ...], classes: int) -> "keras.Model":
    check_application(name)
    if len(input_shape) != 3:
        raise InputError(f"model.application: expected images for {name}. Received: examples of shape {input_shape}")
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
    body = len(own) - len(head(model).weights)
    fits = len(weights) in (body, len(own)) and all(
        given.shape == mine.shape for given, mine in zip(weights[:body], own[:body], strict=True)
    )
    return weights[:body] + own[body:] if fits and list(map(np.shape, weights)) != list(map(np.shape, own)) else weights
