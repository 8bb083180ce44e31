"""A network and its data, looked at together before anything is trained: what does not fit, and what may be meant."""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.params import TRAINED, Params
from prunefront.common.runtime import keras, set_up
from prunefront.common.sections import NO_FILE
from prunefront.data.batches import at_hand
from prunefront.data.pixels import BYTES, UNIT, range_text
from prunefront.data.splits import PixelRange, Split, channels_first, check_channels, scaled
from prunefront.models.build import as_model_input, build_model, of_teacher, starting_weights, teachers_own
from prunefront.models.layers import WeightInfo, describe_weights, no_kernel
from prunefront.models.outputs import find_outputs, forward
from prunefront.models.pinned import unpinned_doubt
from prunefront.models.scaling import scaling_layer
from prunefront.pruning.masks import Weights

HALF = 0.5
"""A smaller share of trainable weights is worth a line."""


@dataclass(frozen=True)
class FirstLook:
    """A network that takes the data.

    Attributes:
        params: of the run.
        model: with the weights that the run starts from.
        weights: what its weight arrays are.
        examples: a few, as the model takes them.
        classes: number of classes of the labels.
        takes: the range of images that the network takes, as far as that is known; None where the user feeds examples
            as they are.
        pixel_range: what uint8 images are scaled to: what the parameters say, or else what the network takes.
        doubts: what works but may be meant otherwise, a line each.
        brings_weights: whether a file or function of the user's gives the weights that the run starts from.
    """

    params: Params
    model: "keras.Model"
    weights: list[WeightInfo]
    examples: np.ndarray
    classes: int
    takes: PixelRange
    pixel_range: PixelRange
    doubts: tuple[str, ...]
    brings_weights: bool

    def refusals(self) -> Iterator[str]:
        """What the stages behind `prepare` would refuse, a line each."""
        params = self.params
        nothing = no_kernel(self.weights)
        if nothing is not None:
            yield f"nothing is prunable. {nothing}"
        try:
            find_outputs(self.model, self.classes, self.examples, params.model.outputs)
        except InputError as error:
            yield f"the output is no classification of the labels. {error}"
        trained = [stage for stage in TRAINED if params.levels(stage)]
        trained = [stage for stage in trained if getattr(params.section(stage), "epochs", 1) > 0]
        named = {stage: getattr(params.section(stage), "recipe", None) for stage in trained}
        for stage, recipe in named.items():
            if recipe is not None and params.recipes[recipe].augments and self.examples.ndim != 4:
                yield (
                    f"{stage}: expected images to flip and shift, of shape (height, width, channels); name a recipe "
                    f"with flip: false and shift: 0. Received: examples of shape {self.examples.shape[1:]}"
                )
                return


def first_look(params: Params, examples: np.ndarray, classes: int) -> FirstLook:
    """Builds the network with the weights that it starts from, and tries it on a few examples.

    Args:
        params: of the run.
        examples: a few, as the source gives them, among them those with the smallest and largest values.
        classes: number of classes of the labels, at least 2.

    Raises:
        InputError: the network cannot be made, or does not take the examples.
    """
    model, start, takes, pixel_range, tried, doubts = _tried(params, examples, classes)
    if params.has_teacher:
        doubts += _teacher_doubts(params, examples, classes, pixel_range, tried.shape)
    weights = describe_weights(model, params.prune.biases, params.prune.include, params.prune.exclude)
    sizes = [math.prod(weight.shape) for weight in weights]
    total, trained = sum(sizes), sum(n for n, weight in zip(sizes, weights, strict=True) if weight.trainable)
    if 0 < trained < HALF * total:
        doubts.append(f"only {trained:,} of {total:,} parameters are trainable, and sparsity is a share of those alone")
    return FirstLook(params, model, weights, tried, classes, takes, pixel_range, tuple(doubts), start is not None)


class _Tried(NamedTuple):
    """A network that has been called on a few examples; attributes as those of `FirstLook`."""

    model: "keras.Model"
    start: Weights | None
    takes: PixelRange
    pixel_range: PixelRange
    examples: np.ndarray
    doubts: list[str]


def _tried(params: Params, examples: np.ndarray, classes: int) -> _Tried:
    shape, doubts = examples.shape[1:], []
    if channels_first(shape) and params.model.path == NO_FILE and params.data.pixel_range is not None:
        if examples.dtype == np.uint8:  # a network made for such a shape would take 3 rows of many channels
            check_channels(shape, "x")
        doubts.append(f"examples of shape {shape} look like images with the channels in front")
    set_up(params.precision, params.seeds[0])
    model = build_model(params.model, shape, classes)
    start = starting_weights(params.model, model)
    if start is not None:
        model.set_weights(start)

    def fed(pixel_range: PixelRange) -> np.ndarray:
        split = Split(scaled(examples, pixel_range), np.zeros(len(examples), np.int64))
        return at_hand(as_model_input(split, model))

    takes, contradictions = _taken(params, model, examples, fed(BYTES))
    doubts += contradictions
    said = params.data.pixel_range
    pixel_range = takes if said == "auto" else said
    if params.runtime.portable:
        doubts += filter(None, [unpinned_doubt(model)])
    if params.model.unwatched:
        doubts.append("DVC will not notice a change in the builder's code; set model.code to its file or folder")
    tried = fed(pixel_range)
    forward(model, tried)
    return _Tried(model, start, takes, pixel_range, tried, doubts)


def _taken(params: Params, model: "keras.Model", examples: np.ndarray, fed: np.ndarray) -> tuple[PixelRange, list[str]]:
    """The range of images that the network takes, and whether what the parameters say of it may be wrong.

    Args:
        params: of the run.
        model: with the weights that it starts from.
        examples: as the source gives them.
        fed: the same, images from 0 to 255, in the shape and type that the model takes.
    """
    said, application, why = params.data.pixel_range, params.model.application, ""
    if said is None or examples.ndim != 4:
        return UNIT if said == "auto" else said, []
    takes = UNIT if said == "auto" else said
    if fed.dtype.kind in "iu":
        takes, why = BYTES, f"the network takes {fed.dtype}"
    elif (layer := scaling_layer(model, fed.shape)) is not None:
        takes, why = BYTES, f"{layer} scales images from 0 to 255 inside the network"
    elif application is not None and params.model.weights != NO_FILE:
        published = _published_range(application)
        if published is None:
            return takes, [
                f"{application} was published with weights for images whose channels are shifted and scaled one by "
                f"one, which no data.pixel_range does; if model.weights are those, it begins with less than they reach"
            ]
        takes, why = published, f"the published weights of {application} take images in {range_text(published)}"
    if why and isinstance(said, tuple) and said != takes and examples.dtype == np.uint8:
        return takes, [f"{why}, and data.pixel_range is {range_text(said)}; say auto or {range_text(takes)} there"]
    return takes, []


def _teacher_doubts(
    params: Params, examples: np.ndarray, classes: int, pixel_range: PixelRange, shape: tuple[int, ...]
) -> list[str]:
    """What may be meant otherwise in the teacher, a line each.

    Args:
        params, examples, classes: see `first_look`.
        pixel_range: what images are scaled to.
        shape: of the examples as the network to prune takes them.

    Raises:
        InputError: the teacher cannot be made, or does not take what the network to prune takes.
    """
    data = params.data.model_copy(update={"pixel_range": pixel_range})
    with of_teacher():
        tried = _tried(params.with_teacher().model_copy(update={"data": data}), examples, classes)
        find_outputs(tried.model, classes, tried.examples, params.with_teacher().model.outputs)
    if tried.examples.shape != shape:
        raise InputError(
            f"teacher: expected a network that takes examples of shape {shape[1:]}, as the network to prune does. "
            f"Received: {tried.examples.shape[1:]}"
        )
    if tried.takes and pixel_range and tried.takes != pixel_range and examples.dtype == np.uint8:
        raise InputError(
            f"teacher: expected a network that takes images in {range_text(pixel_range)}, like the network to prune; a "
            f"builder can put keras.layers.Rescaling in front. Received: one that takes {range_text(tried.takes)}"
        )
    return [f"teacher: {teachers_own(doubt)}" for doubt in tried.doubts]


def _published_range(application: str) -> tuple[float, float] | None:
    """The range of images that a network of keras.applications was published for, None if channels have their own."""
    module = sys.modules[getattr(keras.applications, application).__module__]
    ends = (module.preprocess_input(np.full((1, 1, 1, 3), value, np.float32)) for value in (0, 255))
    low, high = (np.unique(end) for end in ends)
    return (float(low[0]), float(high[0])) if len(low) == len(high) == 1 else None
