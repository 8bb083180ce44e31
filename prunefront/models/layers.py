"""The built-in network, and what the methods need to know of any Keras model."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from prunefront.common.errors import InputError
from prunefront.common.params import Prune
from prunefront.common.runtime import keras
from prunefront.pruning.masks import Masks


def is_kernel(variable: Any, owner: "keras.Layer") -> bool:
    """Whether a weight array is a kernel or a table of embeddings, by the name that Keras gives it.

    In a layer that is not Keras's own, any array of two or more dimensions.
    """
    name = variable.path.rpartition("/")[2]
    if "kernel" in name or "embeddings" in name:
        return True
    return len(variable.shape) > 1 and "bias" not in name and not type(owner).__module__.startswith("keras.")


def kernels(model: "keras.Model") -> list[bool]:
    """For each array of `model.get_weights()`, whether it is a kernel or a table of embeddings, see `is_kernel`."""
    layer_of = owning_layers(model)
    return [is_kernel(variable, layer_of[id(variable)]) for variable in model.weights]


def owners(model: "keras.Model") -> list[int]:
    """For each array of `model.get_weights()`, the number of the layer that owns it, counted in model order."""
    layer_of = owning_layers(model)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(id(layer_of[id(v)]), len(numbers)) for v in model.weights]


def layer_paths(model: "keras.Model") -> list[str]:
    """For each array of `model.get_weights()`, the path of the layer that owns it, such as `encoder/query`."""
    path_of = {id(variable): path for path, layer in layers_of(model) for variable in layer.weights}
    return [path_of[id(variable)] for variable in model.weights]


def freeze_layers(model: "keras.Model", frozen: Collection[int]) -> None:
    """Makes the weights of the layers with the numbers `frozen`, as `owners` counts them, untrainable.

    What the user's model has frozen stays so. The layers themselves go on as before: statistics of BatchNormalization
    are updated, since no weight of it is pruned.
    """
    for variable, owner in zip(model.weights, owners(model), strict=True):
        if owner in frozen:
            variable.trainable = False


def owning_layers(model: "keras.Model") -> dict[int, "keras.Layer"]:
    """The innermost layer of each weight, keyed by the weight's id."""
    return {id(variable): layer for _, layer in layers_of(model) for variable in layer.weights}


def layers_of(model: "keras.Layer") -> list[tuple[str, "keras.Layer"]]:
    """A model or layer and all layers in it with their paths, parents before children; shared ones once, at the first.

    The outermost goes by its name; the paths of the others begin below it.
    """
    found: dict[int, tuple[str, keras.Layer]] = {id(model): (model.name, model)}

    def visit(layer: "keras.Layer", prefix: str) -> None:
        for child in layer._layers:
            if id(child) not in found:
                found[id(child)] = (prefix + child.name, child)
                visit(child, f"{prefix}{child.name}/")

    visit(model, "")
    return list(found.values())


def prunable(
    model: "keras.Model", biases: bool = True, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()
) -> list[bool]:
    """For each array of `model.get_weights()`, whether the methods may prune it.

    Prunable are the trainable kernels, embeddings and biases outside normalization layers, in layers whose name or path
    matches a pattern of `include` and none of `exclude`. Call it before layers are frozen.

    Args:
        model: built.
        biases: False leaves out the biases.
        include, exclude: names of layers, with `*` and `?` as wildcards, such as `conv*` or `encoder/*`. A pattern that
            is the name of a layer stands for all layers inside of it too.

    Raises:
        InputError: a pattern matches no layer with weights.
    """
    layer_of = owning_layers(model)
    normalization = (
        keras.layers.BatchNormalization,
        keras.layers.GroupNormalization,
        keras.layers.LayerNormalization,
        keras.layers.RMSNormalization,
        keras.layers.SpectralNormalization,
        keras.layers.UnitNormalization,
    )
    excluded = {
        id(variable) for _, layer in layers_of(model) if isinstance(layer, normalization) for variable in layer.weights
    }
    trainable = {id(variable) for variable in model.trainable_weights}
    paths = layer_paths(model)
    for pattern in (*include, *exclude):
        if not any(_named(path, pattern) for path in paths):
            close = get_close_matches(pattern, set(paths), n=1)
            hint = f"did you mean {close[0]}?" if close else f"such as {', '.join(dict.fromkeys(paths[:3]))}."
            raise InputError(
                f"prune.include and prune.exclude: expected names of layers with weights, {hint} "
                f"Received: {pattern!r}, which no layer has"
            )

    def allowed(variable: Any, path: str) -> bool:
        bias = "bias" in variable.path.rpartition("/")[2]
        return (
            id(variable) in trainable
            and id(variable) not in excluded
            and (biases if bias else is_kernel(variable, layer_of[id(variable)]))
            and any(_named(path, pattern) for pattern in include)
            and not any(_named(path, pattern) for pattern in exclude)
        )

    return [allowed(variable, path) for variable, path in zip(model.weights, paths, strict=True)]


def prunable_by(settings: Prune, model: "keras.Model") -> list[bool]:
    """`prunable` by the parameters."""
    return prunable(model, settings.biases, settings.include, settings.exclude)


def emptied_layer(model: "keras.Model", masks: Masks) -> str | None:
    """The first kernel of a layer of which the masks remove every kernel, None if all layers keep something."""
    names: dict[int, list[str]] = {}
    alive: set[int] = set()
    for variable, mask, kernel, owner in zip(model.weights, masks, kernels(model), owners(model), strict=True):
        if kernel and mask.size:
            names.setdefault(owner, []).append(variable.path)
            if mask.any():
                alive.add(owner)
    return next((paths[0] for owner, paths in names.items() if owner not in alive), None)


def _named(path: str, pattern: str) -> bool:
    """Whether a layer, or one that it lies in, goes by the pattern, by its path or by its name alone."""
    parts = path.split("/")
    outer = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    return any(fnmatchcase(name, pattern) for name in (*outer, *parts))
