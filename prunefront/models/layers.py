"""What the methods need to know of any Keras model: its layers, and what each of its weight arrays is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.pruning.masks import Masks


@dataclass(frozen=True)
class WeightInfo:
    """What a weight array is.

    Attributes:
        path: its own, such as `network/dense1/kernel`.
        layer: the path of the layer that owns it, such as `encoder/query`.
        layer_type: the name of that layer's class.
        number: that layer's number, counted in model order.
        shape: of the array.
        kernel: whether it is a kernel or a table of embeddings, see `is_kernel`.
        trainable: whether training changes it.
        kept_since: why the methods never prune it, in a few words; empty if they may as soon as it is trained.
    """

    path: str
    layer: str
    layer_type: str
    number: int
    shape: tuple[int, ...]
    kernel: bool
    trainable: bool
    kept_since: str

    @property
    def maskable(self) -> bool:
        """Whether the methods may prune it as soon as it is trained."""
        return not self.kept_since

    @property
    def prunable(self) -> bool:
        """Whether the methods may prune it now, see `prunable`."""
        return self.maskable and self.trainable


def prunable(
    model: "keras.Model", biases: bool = True, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()
) -> list[bool]:
    """For each array of `model.get_weights()`, whether the methods may prune it; arguments as `describe_weights`."""
    return [weight.prunable for weight in describe_weights(model, biases, include, exclude)]


def describe_weights(
    model: "keras.Model", biases: bool = True, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()
) -> list[WeightInfo]:
    """What each array of `model.get_weights()` is. Call it before layers are frozen.

    Prunable are the trainable kernels, embeddings and biases outside normalization layers, in layers whose name or path
    matches a pattern of `include` and none of `exclude`.

    Args:
        model: built.
        biases: False leaves out the biases.
        include, exclude: names of layers, with `*` and `?` as wildcards, such as `conv*` or `encoder/*`. A pattern that
            is the name of a layer stands for all layers inside of it too.

    Raises:
        InputError: a pattern matches no layer with weights.
    """
    normalization = (
        keras.layers.BatchNormalization,
        keras.layers.GroupNormalization,
        keras.layers.LayerNormalization,
        keras.layers.RMSNormalization,
        keras.layers.UnitNormalization,
    )
    # the innermost layer comes last and owns
    place = {id(variable): (path, layer) for path, layer in layers_of(model) for variable in layer.weights}
    excluded = {
        id(variable) for _, layer in layers_of(model) if isinstance(layer, normalization) for variable in layer.weights
    }
    trainable = {id(variable) for variable in model.trainable_weights}
    _check_patterns((*include, *exclude), [place[id(variable)][0] for variable in model.weights])
    numbers: dict[int, int] = {}
    described = []
    for variable in model.weights:
        path, layer = place[id(variable)]
        kernel = is_kernel(variable, layer)
        bias = "bias" in variable.path.rpartition("/")[2]
        if id(variable) in excluded:
            kept_since = "normalization"
        elif not keras.backend.is_float_dtype(variable.dtype):
            kept_since = f"{variable.dtype} is no floating point"
        elif not kernel and not bias:
            kept_since = "neither kernel nor bias"
        elif bias and not biases:
            kept_since = "prune.biases is false"
        elif not any(_named(path, pattern) for pattern in include):
            kept_since = "not in prune.include"
        else:
            kept_since = "in prune.exclude" if any(_named(path, pattern) for pattern in exclude) else ""
        described.append(
            WeightInfo(
                path=variable.path,
                layer=path,
                layer_type=type(layer).__name__,
                number=numbers.setdefault(id(layer), len(numbers)),
                shape=tuple(variable.shape),
                kernel=kernel,
                trainable=id(variable) in trainable,
                kept_since=kept_since,
            )
        )
    return described


def is_kernel(variable: Any, owner: "keras.Layer") -> bool:
    """Whether a weight array is a kernel or a table of embeddings, by the name that Keras gives it.

    In a layer that is not Keras's own, any array of two or more dimensions. LoRA's factors and the scales of quantized
    kernels are none: what the layer computes with is not sparse where they are.
    """
    name = variable.path.rpartition("/")[2]
    if name.endswith(("kernel", "embeddings")):
        return True
    others = name.startswith("lora_") or "bias" in name or type(owner).__module__.startswith("keras.")
    return len(variable.shape) > 1 and not others


def check_not_quantized(model: "keras.Model", origin: str) -> None:
    """Raises InputError if a kernel is no longer one of floats that training can change, by Keras's modes or otherwise.

    Of an int8, int4, GPTQ or AWQ layer only the bias would be pruned and trained, and a share of zeros among the
    trainable weights would say nothing of the kernels; those of a float8 layer are rounded whenever it computes.

    Args:
        model: built.
        origin: of the model, for the error.
    """
    for path, layer in layers_of(model):
        mode = getattr(layer, "quantization_mode", None)
        own = [*layer._trainable_variables, *layer._non_trainable_variables]
        whole = [v for v in own if is_kernel(v, layer) and not keras.backend.is_float_dtype(v.dtype)]
        if mode is not None or whole:
            raise InputError(
                f"{origin}: expected kernels of floats, which can be trained; prune first, quantize then. Received: a "
                f"quantized layer, {path} ({mode or f'a kernel of {whole[0].dtype}'})"
            )


def no_kernel(weights: Sequence[WeightInfo]) -> str | None:
    """Why nothing worth it can be pruned, None if a kernel can: else a share of zeros would be one of biases."""
    if any(weight.prunable and weight.kernel for weight in weights):
        return None
    received = "biases alone" if any(weight.prunable for weight in weights) else "none"
    return (
        "Expected trainable kernels or embeddings that prune.include and prune.exclude leave. "
        f"Received: {received}; `prunefront inspect` lists the layers"
    )


def emptied_layer(weights: Sequence[WeightInfo], masks: Masks) -> str | None:
    """The first kernel of a layer of which the masks remove every kernel, None if all layers keep something."""
    names: dict[int, list[str]] = {}
    alive: set[int] = set()
    for weight, mask in zip(weights, masks, strict=True):
        if weight.kernel and mask.size:
            names.setdefault(weight.number, []).append(weight.path)
            if mask.any():
                alive.add(weight.number)
    return next((paths[0] for number, paths in names.items() if number not in alive), None)


def freeze_layers(model: "keras.Model", frozen: Collection[int]) -> None:
    """Makes the weights of the layers with the numbers `frozen`, as in `WeightInfo`, untrainable.

    What the user's model has frozen stays so. The layers themselves go on as before: statistics of BatchNormalization
    are updated, since no weight of it is pruned.
    """
    for variable, weight in zip(model.weights, describe_weights(model), strict=True):
        if weight.number in frozen:
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


def _check_patterns(patterns: Sequence[str], paths: Sequence[str]) -> None:
    for pattern in patterns:
        if not any(_named(path, pattern) for path in paths):
            close = get_close_matches(pattern, set(paths), n=1)
            hint = f"did you mean {close[0]}?" if close else f"such as {', '.join(dict.fromkeys(paths[:3]))}."
            raise InputError(
                f"prune.include and prune.exclude: expected names of layers with weights, {hint} "
                f"Received: {pattern!r}, which no layer has"
            )


def _named(path: str, pattern: str) -> bool:
    """Whether a layer, or one that it lies in, goes by the pattern, by its path or by its name alone."""
    parts = path.split("/")
    outer = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    return any(fnmatchcase(name, pattern) for name in (*outer, *parts))
