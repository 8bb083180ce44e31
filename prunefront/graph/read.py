"""A Keras model read as a graph: sequential and functional models, nested ones flattened."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.graph.builder import MASK, Builder, Source, Value
from prunefront.graph.keras_layers import LAYERS
from prunefront.graph.keras_ops import read_operation
from prunefront.graph.operations import Graph, Input, Node

SHAPING = ("Embedding", "ExpandDims", "Flatten", "Identity", "InputLayer", "Reshape")
"""What takes a single number."""


def read_graph(model: "keras.Model", weights: Sequence[np.ndarray] | None = None) -> Graph:
    """A model's operations in inference, with its weights as float32.

    Args:
        model: sequential or functional, of one input of a fixed size and one output.
        weights: in model order, to be taken instead of the model's own.

    Raises:
        InputError: a layer that no operation stands for, a model of another kind, NaN or infinity in the weights.
    """
    return read_with_sources(model, weights)[0]


def read_with_sources(
    model: "keras.Model", weights: Sequence[np.ndarray] | None = None
) -> tuple[Graph, tuple[Source, ...]]:
    """A model's graph, as `read_graph`, and where its weight arrays stand in it: those of shared layers, in several."""
    if len(getattr(model, "inputs", None) or ()) != 1 or len(getattr(model, "outputs", None) or ()) != 1:
        if getattr(model, "inputs", None):
            counts = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
            raise InputError(f"Expected a model with one input and one output. Received: {counts}")
        raise InputError(
            f"Expected a sequential or functional model that knows its input's shape. Received: {model.name}, "
            f"a {type(model).__name__}"
        )
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(f"Expected an input of a fixed size. Received: ({sizes})")
    builder = Builder(model, weights, _layer)
    given = _model(builder, model, Value(builder.put(Node("input", Input(), (), shape)), shape), "")
    if keras.tree.flatten(given) == [MASK]:
        builder.refuse(model, "that gives a comparison")
    return Graph(model.name, tuple(builder.nodes)), tuple(builder.sources)


def _layer(builder: Builder, layer: Any, *args: Any, **kwargs: Any) -> Any:
    """What a layer, a nested model or an operation of `keras.ops` makes of its arguments: a value, or several."""
    values = [x for x in keras.tree.flatten(args) if isinstance(x, Value)]
    if any(x.shape == () and x != MASK for x in values) and type(layer).__name__ not in SHAPING:
        builder.refuse(layer, "of a single number, which has no channels")
    if not isinstance(layer, keras.Layer):
        if MASK in values or type(layer).__name__ == "NotEqual":
            return MASK  # Keras writes masks out as operations, which matter where a layer takes one
        return read_operation(builder, layer, args, kwargs)
    said = [name for name, value in kwargs.items() if value is not None and value is not False and name != "mask"]
    if len(args) != 1 or said:
        builder.refuse(layer, f"that is called with {', '.join(said) or f'{len(args)} inputs'}")
    if MASK in values:
        builder.refuse(layer, "of a comparison")
    masked = any(x.masked for x in values)
    if not masked and any(x is not None for x in keras.tree.flatten(kwargs.get("mask"))):
        args, masked = keras.tree.map_structure(lambda x: replace(x, masked=True), args), True
    if isinstance(layer, keras.Model):
        return _model(builder, layer, args[0], f"{builder.path}/")
    if type(layer) not in LAYERS:
        builder.refuse(layer)
    if getattr(layer, "data_format", None) == "channels_first":
        builder.refuse(layer, "with channels first")
    if getattr(layer, "quantization_mode", None) is not None:
        builder.refuse(layer, "with quantized weights")
    if getattr(layer, "lora_enabled", False):
        builder.refuse(layer, "with LoRA beside its weights")
    given = LAYERS[type(layer)](builder, layer, args[0])
    keeps = getattr(layer, "mask_zero", False) or (masked and layer.supports_masking)
    return Value(given.node, given.shape, bool(keeps))


def _model(builder: Builder, model: "keras.Model", given: Any, prefix: str) -> Any:
    """What a sequential or functional model makes of a value, or of several.

    Args:
        builder: of the graph.
        model: at any depth.
        given: to its inputs, in their structure.
        prefix: of the paths of its layers.
    """
    if not type(model).call.__module__.startswith("keras.") or not getattr(model, "inputs", None):
        builder.refuse(model, "whose layers are called by code of its own")
    outer = builder.path

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        builder.path = prefix + operation.name
        return _layer(builder, operation, *args, **kwargs)

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            given = call(layer, given)
    else:
        given = model._run_through_graph(given, call_fn=call)
    builder.path = outer
    return given
