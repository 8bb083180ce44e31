"""Training that cannot bring pruned weights back.

    hold_masks(model, magnitude_masks(model, 0.9))
    model.compile(...)
    model.fit(...)  # any arguments and callbacks; the zeros stay exactly zero
    model.save("sparse.keras")

After loading, in the same process or another, `hold_masks(model, implied_masks(model))` goes on.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras
from prunefront.models.layers import check_not_quantized, describe_weights, emptied_layer, layers_of
from prunefront.pruning.masks import (
    Masks,
    check_masks,
    count_false,
    count_zeros,
    global_masks,
    nonzero_masks,
)
from prunefront.pruning.saliency import Sparing, magnitude
from prunefront.training.held_step import Holder, holder_of
from prunefront.training.held_variables import hold_of


def magnitude_masks(
    model: "keras.Model",
    sparsity: float,
    make_masks: Callable[..., Masks] = global_masks,
    biases: bool = True,
    floor: int = 0,
) -> Masks:
    """Masks that prune a model's smallest magnitudes, to be given to `hold_masks`.

    Args:
        model: built; it is not changed.
        sparsity: target share of zeros among the prunable weights, in [0, 1).
        make_masks: the threshold rule, `global_masks` or `layerwise_masks`, or one of that signature.
        biases: whether biases are pruned.
        floor: weights that each array keeps whatever the sparsity; 1 leaves no layer without any.

    Returns:
        For each array of `model.get_weights()` a boolean array, True = kept.

    Raises:
        InputError: the model is quantized, it is already sparser than the target, or see `global_masks`.
    """
    _check_built(model)
    arrays, weights = model.get_weights(), describe_weights(model, biases)
    rule = partial(make_masks, score=Sparing(magnitude, floor)) if floor else make_masks
    masks = rule(arrays, sparsity, [weight.prunable for weight in weights])
    prunable = [(array, weight) for array, weight in zip(arrays, weights, strict=True) if weight.prunable]
    # The biases of a new model are zero: only kernels can tell that a model has been pruned.
    zeros = count_zeros([array for array, weight in prunable if weight.kernel])
    if zeros > count_false(masks):
        size = sum(array.size for array, _ in prunable)
        raise InputError(
            f"Expected a sparsity of at least {zeros / size:.6f}, which the model has already: pruning cannot bring "
            f"weights back. Received: sparsity={sparsity}"
        )
    return masks


def implied_masks(model: "keras.Model", biases: bool = True) -> Masks:
    """The masks of a pruned model, read off its weights: False where a kernel, embedding or bias is exactly zero.

    A new layer's bias is zero as well, although nobody has pruned it: a bias that is zero as a whole counts as pruned
    only if its layer's kernel has zeros. Layers that are frozen now count, since they may be thawed later.

    Args:
        model: built; it is not changed.
        biases: False keeps all biases, also those that are zero.
    """
    _check_built(model)
    arrays, weights = model.get_weights(), describe_weights(model, biases)
    pruned = {w.number for w, array in zip(weights, arrays, strict=True) if w.kernel and count_zeros([array])}
    read = [
        w.maskable and (w.kernel or w.number in pruned or bool(np.any(array)))
        for w, array in zip(weights, arrays, strict=True)
    ]
    return nonzero_masks(arrays, read)


def hold_masks(
    model: "keras.Model",
    masks: Sequence[np.ndarray],
    *,
    allow_empty_layers: bool = False,
    adjustable: bool = False,
) -> "keras.Model":
    """Prunes a model and overrides its `train_step` so that what is pruned stays exactly zero.

    Each step multiplies the gradient by the mask before the optimizer sees it (method 4 of the founding report). After
    the update the masked weights, and the optimizer's moving averages of them, are set to zero again: momentum from
    before, weight decay and optimizers that mix the entries of a matrix move weights whose gradient is zero. When `fit`
    ends, the zeros are checked. A step that makes the loss or a weight NaN or infinite is undone, and stops training
    with an InputError. Compile and `fit` as usual, before or after; what is saved is the plain model.

    The masks belong to the variables: every Keras optimizer that updates them, and whatever assigns to them, leaves the
    zeros, in a training step with several optimizers, in a loop of one's own and in another model around this one too.
    Only the model's own `train_step`, `fit` and `train_on_batch` look for NaN.

    Args:
        model: a built Keras model of any kind; changed in place. A held model can be held again by masks that prune
            more.
        masks: for each array of `model.get_weights()` a boolean array of its shape, True = kept.
        allow_empty_layers: whether masks may remove the whole kernel of a layer, which cuts the network there; if they
            do, there is a warning.
        adjustable: makes room for `prune_further` while `fit` runs; arrays that are kept whole cost a little then.

    Returns:
        The same model.

    Raises:
        InputError: the model is not built or is quantized, its weights are not finite, the masks do not fit them, they
            empty a layer, or they bring back what the model's present masks removed.
    """
    checked = _checked_masks(model, masks, allow_empty_layers)
    _warn_of_adapters(model, checked)
    for variable, weight in zip(model.weights, model.get_weights(), strict=True):
        if not np.all(np.isfinite(weight)):
            raise InputError(f"Expected finite weights. Received: NaN or infinity in {variable.path}")
    Holder(model, checked, adjustable).take_over()
    return model


def prune_further(model: "keras.Model", masks: Sequence[np.ndarray], *, allow_empty_layers: bool = False) -> None:
    """Exchanges the masks of a model held with `adjustable=True` for masks that prune more, also while `fit` runs.

    The compiled training step and the optimizer go on as they are. Arguments and errors are those of `hold_masks`; a
    model that is not held, or not adjustable, is an InputError too.
    """
    holder = _adjustable(model)
    holder.adjust(_checked_masks(model, masks, allow_empty_layers))


def move_masks(model: "keras.Model", masks: Sequence[np.ndarray], *, allow_empty_layers: bool = False) -> None:
    """`prune_further` by masks that may bring weights back: these begin at zero, and so do their moving averages."""
    holder = _adjustable(model)
    holder.adjust(_checked_masks(model, masks, allow_empty_layers, may_revive=True))


def _adjustable(model: "keras.Model") -> Holder:
    _check_model(model)
    holder = holder_of(model)
    if holder is None or not holder.adjustable:
        raise InputError("Expected a model under hold_masks(..., adjustable=True). Received: one that is not")
    holder.check_variables()
    return holder


def held_masks(model: "keras.Model") -> Masks | None:
    """Copies of the masks that a model is held by, None if it is not."""
    _check_model(model)
    holder = holder_of(model)
    return None if holder is None else [mask.copy() for mask in holder.masks]


def _check_model(model: object) -> None:
    if not isinstance(model, keras.Model):
        raise InputError(f"Expected a Keras model. Received: {type(model).__name__}")


def _check_built(model: "keras.Model") -> None:
    _check_model(model)
    if not model.built or not model.weights:
        raise InputError("Expected a built model; call it on data or model.build(...) first. Received: an unbuilt one")
    check_not_quantized(model, "the model")


def _checked_masks(
    model: "keras.Model", masks: Sequence[np.ndarray], allow_empty_layers: bool, may_revive: bool = False
) -> Masks:
    """The masks, after a check that they fit, bring nothing back unless they may, and leave something of each layer."""
    _check_built(model)
    checked = check_masks(masks, [tuple(v.shape) for v in model.weights])
    emptied = emptied_layer(describe_weights(model), checked)
    if emptied and not allow_empty_layers:
        raise InputError(
            f"Expected masks that leave something of each kernel (floor=1 of magnitude_masks does); "
            f"allow_empty_layers=True cuts the network there. Received: a mask that removes all of {emptied}"
        )
    if emptied:
        warnings.warn(f"the masks remove all of {emptied}: its output no longer depends on its input", stacklevel=3)
    for variable, mask in zip(model.weights, checked, strict=True):
        held = hold_of(variable)
        revived = 0 if held is None or may_revive else int(np.count_nonzero(mask & ~held.mask))
        if revived:
            raise InputError(
                f"Expected masks that prune more than the present ones; load an earlier model to prune less. Received: "
                f"masks that bring back {revived} weights of {variable.path}"
            )
    return checked


def _warn_of_adapters(model: "keras.Model", masks: Masks) -> None:
    """Says so where LoRA adds a dense product to a pruned kernel."""
    pruned = {id(variable) for variable, mask in zip(model.weights, masks, strict=True) if not mask.all()}
    for path, layer in layers_of(model):
        own = [*layer._trainable_variables, *layer._non_trainable_variables]
        if getattr(layer, "lora_enabled", False) and any(id(variable) in pruned for variable in own):
            warnings.warn(
                f"{path} adds LoRA's product to its kernel: the kernel's zeros hold, but the sum of the two, which is "
                f"what the layer computes with and what Keras saves, is dense",
                stacklevel=3,
            )
