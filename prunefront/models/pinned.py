"""Which layers give the same results on every machine where the process is pinned, see `common/machine.py`.

They are those that were tried with other caches, vendors and instruction sets (`docs/architecture.md`), and those that
add nothing up. Of the others some were seen to differ, and some were never tried.
"""

from collections.abc import Iterator

from prunefront.common.runtime import keras
from prunefront.models.layers import layers_of

PINNED = frozenset(
    (
        *("Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv2D"),
        *("Conv2DTranspose", "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout", "ELU", "Flatten", "Functional"),
        *("GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D"),
        *("GlobalMaxPooling2D", "Identity", "InputLayer", "LayerNormalization", "LeakyReLU", "Maximum"),
        *("MaxPooling2D", "Minimum", "Multiply", "Normalization", "PReLU", "Permute", "ReLU", "Rescaling", "Reshape"),
        *("SeparableConv2D", "Sequential", "Softmax", "SpatialDropout2D", "Subtract", "UpSampling2D", "ZeroPadding2D"),
    )
)
"""Classes of Keras's layers."""
PRODUCTS = frozenset(("Conv", "DepthwiseConv", "Dot", "Einsum", "Inner", "Matmul", "SeparableConv", "Tensordot"))
"""Classes of operations, of those that a network may hold beside its layers, that add products up."""


def unpinned(model: "keras.Model") -> list[str]:
    """The kinds of layers, in order and each once, whose results another kind of machine may round otherwise.

    Of a layer that is one of them, those inside of it are not told.
    """
    found: dict[str, list[str]] = {}
    for path, layer in layers_of(model):
        if not any(path.startswith(f"{outer}/") for outer in found):
            kinds = list(_kinds(layer))
            if kinds:
                found[path] = kinds
    return list(dict.fromkeys(kind for kinds in found.values() for kind in kinds))


def unpinned_doubt(model: "keras.Model") -> str | None:
    """What is to be said of a network whose results are asked for as portable; None if they are."""
    kinds = unpinned(model)
    if not kinds:
        return None
    return f"runtime.portable: another kind of machine may give other results, by its rounding in {', '.join(kinds)}"


def _kinds(layer: "keras.Layer") -> Iterator[str]:
    name = type(layer).__name__
    if type(layer).__module__.partition(".")[0] != "keras":
        yield f"{name}, a layer of your own"
    elif "Conv" in name and getattr(layer, "groups", 1) != 1:
        yield f"{name} with groups"
    elif any(rate != 1 for rate in getattr(layer, "dilation_rate", ())):
        yield f"{name} with dilation"
    elif name not in PINNED:
        yield name
    if isinstance(layer, keras.Model):
        names = [type(operation).__name__ for operation in getattr(layer, "operations", ())]
        yield from (name for name in names if name in PRODUCTS)
