"""A look at a network before anything is trained: its layers, what is prunable, and what may go wrong."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from prunefront.common.errors import InputError
from prunefront.common.params import METHODS, STAGES, Params, load_params
from prunefront.common.runtime import keras
from prunefront.data.pixels import range_text
from prunefront.models.counts import Counts, count
from prunefront.models.first_look import first_look
from prunefront.models.layers import WeightInfo, emptied_layer, layers_of
from prunefront.models.leakage import SAMPLE, leakage_doubt
from prunefront.models.multiply_adds import calls, uses
from prunefront.pruning.masks import (
    Masks,
    Weights,
    count_zeros,
    further_masks,
    layerwise_masks,
    pruned_count,
)
from prunefront.pruning.saliency import ALLOCATIONS, Sparing
from prunefront.pruning.walk import reachable
from prunefront.sources.read import load
from prunefront.sources.splits import doubts

FEW = 0.5
"""A smaller share of prunable weights among the trainable ones is worth a line."""

CHANCE = 1e-5
"""No larger share of many weights is zero by chance: float32 values drawn from [0, 1) are multiples of 2**-23."""


@dataclass(frozen=True)
class Subject:
    """What is inspected.

    Attributes:
        params: of the run.
        model: with the weights that the run starts from.
        weights: what its weight arrays are.
        example: a batch of one.
        images: what uint8 images are scaled to, as text; empty if the examples are none.
        found: what is wrong with network and data, or may be meant otherwise, a line each.
    """

    params: Params
    model: "keras.Model"
    weights: list[WeightInfo]
    example: np.ndarray
    images: str
    found: tuple[str, ...]

    @cached_property
    def arrays(self) -> Weights:
        """The model's weights, copied out of it once."""
        return self.model.get_weights()

    @property
    def prunable(self) -> list[bool]:
        """For each weight array whether it may be pruned."""
        return [weight.prunable for weight in self.weights]

    @cached_property
    def multiply_adds(self) -> list[int]:
        """For each weight array the multiply-adds of one example, while nothing is pruned."""
        times = uses(self.model, self.example)
        return [w.size * times.get(id(v), 0) for v, w in zip(self.model.weights, self.arrays, strict=True)]


def print_inspection(params_file: Path) -> None:
    """Prints the layers, the counts of zeros, the levels that each method can reach, and warnings.

    Raises:
        InputError: the parameters, the data or the network cannot be read or made.
    """
    subject = _subject(load_params(params_file))
    console = Console(width=max(140, Console().width), soft_wrap=True)  # a cut name helps nobody
    console.print(_layer_table(subject))
    counts = count(subject.weights, subject.arrays)
    console.print(
        f"prunable: {counts.prunable_parameters:,} of {counts.trainable_parameters:,} trainable parameters; kernels "
        f"{counts.kernel_parameters:,}; all {counts.all_parameters:,}; zeros now: {counts.trainable_zeros:,} of the "
        f"trainable\nmultiply-adds per example: {sum(subject.multiply_adds):,}"
        + (f"\nimages are scaled to {subject.images}" if subject.images else ""),
        highlight=False,
    )
    console.print(_level_table(subject, counts))
    found = list(_warnings(subject, counts))
    for text in found:
        console.print(f"warning: {text}", highlight=False, markup=False)
    if not found:
        console.print("no warnings")


def _subject(params: Params) -> Subject:
    dataset = load(params.data)
    look = first_look(params, dataset.telling(), len(dataset.class_names))
    dataset = replace(dataset, pixel_range=look.pixel_range)
    leaking = leakage_doubt(look, *dataset.sample(SAMPLE), dataset.carved)
    own = (*look.refusals(), *look.doubts, *filter(None, [leaking]))
    found = (*own, *doubts(dataset, look.takes, params.pareto.gate))
    images = "" if dataset.pixel_range is None or not dataset.images else range_text(dataset.pixel_range)
    return Subject(params, look.model, look.weights, look.examples[:1], images, found)


def _layer_table(subject: Subject) -> Table:
    """A row for each weight array: most questions about pruning are about arrays, not layers."""
    model = subject.model
    total = sum(w.size for w in subject.arrays)
    table = Table(title=f"{model.name}: {total:,} parameters", title_justify="left")
    for heading in ("layer", "type", "weight", "shape", "dtype"):
        table.add_column(heading)
    for heading in ("parameters", "share", "zeros", "multiply-adds"):
        table.add_column(heading, justify="right")
    table.add_column("pruned")
    for variable, weight, array, multiply_adds in zip(
        model.weights, subject.weights, subject.arrays, subject.multiply_adds, strict=True
    ):
        why = "yes" if weight.prunable else f"no, {weight.kept_since or 'not trainable'}"
        table.add_row(
            weight.layer,
            weight.layer_type,
            weight.path.rpartition("/")[2],
            "x".join(map(str, weight.shape)) or "scalar",
            str(variable.dtype),
            f"{array.size:,}",
            f"{array.size / total:.1%}",
            f"{count_zeros([array]):,}",
            f"{multiply_adds:,}" if multiply_adds else "",
            why,
        )
    return table


def _level_table(subject: Subject, counts: Counts) -> Table:
    """What each method's levels come to, over all trainable parameters."""
    table = Table(title="Levels, as shares of the trainable parameters", title_justify="left")
    table.add_column("method")
    for heading in ("levels", "sparsity from", "to", "at most"):
        table.add_column(heading, justify="right")
    table.add_column("cannot be reached")
    present = counts.prunable_zeros if _has_been_pruned(subject) else 0
    room = sum(_room(subject))
    most = max(0, min(room, counts.prunable_parameters - 1))
    for method in STAGES:
        levels = subject.params.levels(method)
        if not levels:
            table.add_row(method, "none", "", "", "", "left out")
            continue
        zeros = [_count(subject, method, level) for level in levels]
        first, last = (max(present, z) / max(1, counts.trainable_parameters) for z in (zeros[0], zeros[-1]))
        below = [f"{level:g}" for level, z in zip(levels, zeros, strict=True) if z < present]
        above = [f"{level:g}" for level, z in zip(levels, zeros, strict=True) if z > room]
        why = [f"{', '.join(below)}: there are {present:,} zeros already"] if below else []
        why += [f"{', '.join(above)}: prune.floor keeps more"] if above else []
        capped = [f"{level:g}" for level, z in zip(levels, zeros, strict=True) if z > _walk(subject, method, room)]
        why += [f"{', '.join(capped)}: freeze.caps keep more"] if capped and not above else []
        limit = most / max(1, counts.trainable_parameters)
        table.add_row(method, str(len(levels)), f"{first:.4%}", f"{last:.4%}", f"{limit:.4%}", "; ".join(why))
    return table


def _has_been_pruned(subject: Subject) -> bool:
    """Whether the zeros that there are come from pruning, and not from the beginning of a new network.

    There biases are zero, so are some kernels as a whole, and one weight of millions is by chance.
    """
    kernels = [array for array, weight in zip(subject.arrays, subject.weights, strict=True) if weight.kernel]
    begun = [array for array in kernels if array.any()]
    return count_zeros(begun) > 1 + CHANCE * sum(array.size for array in begun)


def _count(subject: Subject, method: str, level: float) -> int:
    """How many weights a method removes at a level."""
    sizes = [math.prod(weight.shape) for weight in subject.weights if weight.prunable]
    if method.endswith("layerwise"):
        return sum(min(pruned_count(level, n), room) for n, room in zip(sizes, _room(subject), strict=True))
    return pruned_count(level, sum(sizes))


def _room(subject: Subject) -> list[int]:
    """How many weights of each prunable array may go, once it is trained."""
    floor = subject.params.prune.floor
    return [max(0, math.prod(weight.shape) - floor) for weight in subject.weights if weight.prunable]


def _walk(subject: Subject, method: str, room: int) -> int:
    """How many weights a method that walks the layers may remove; of any other so many as there is room for."""
    settings = subject.params.freeze
    if method != "freeze" or settings.order != "layers":
        return room
    sizes: dict[int, int] = {}
    for weight in subject.weights:
        if weight.prunable and weight.kernel:
            size = max(0, math.prod(weight.shape) - subject.params.prune.floor)
            sizes[weight.number] = sizes.get(weight.number, 0) + size
    return reachable(sizes, settings)


def _warnings(subject: Subject, counts: Counts) -> Iterator[str]:
    model = subject.model
    yield from subject.found
    if counts.prunable_parameters == 0:
        return
    if counts.prunable_parameters < FEW * counts.trainable_parameters:
        kept = [weight for weight in subject.weights if weight.trainable and not weight.prunable]
        largest = max(kept, key=lambda weight: math.prod(weight.shape))
        yield (
            f"only {counts.prunable_parameters:,} of {counts.trainable_parameters:,} trainable parameters are "
            f"prunable; the largest array that is not: {largest.path} ({largest.kept_since})"
        )
    called = calls(model, subject.example)
    own = Counter(id(variable) for _, layer in layers_of(model) for variable in _own_weights(layer))
    for path, layer in layers_of(model):
        if called.get(id(layer), 0) > 1 and layer.weights:
            yield f"{path} is used {called[id(layer)]} times with the same weights, which are counted and pruned once"
        if any(own[id(variable)] > 1 for variable in _own_weights(layer)):
            yield f"{path} shares weights with another layer; they are counted and pruned once"
    for method in METHODS:
        yield from _emptied(subject, method)


def _own_weights(layer: "keras.Layer") -> list[object]:
    if isinstance(layer, keras.layers.Wrapper):  # some refer to weights of the layer that they wrap
        return []
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _emptied(subject: Subject, method: str) -> Iterator[str]:
    """The first level at which a method's rule takes a layer's whole kernel, on the weights that there are now."""
    levels = subject.params.levels(method)
    arrays = subject.arrays

    def emptied(level: float) -> str:
        try:
            masks = _masks(subject, method, arrays, level)
        except InputError:  # prune.floor leaves no such level; the table says so
            return ""
        return emptied_layer(subject.weights, masks) or ""

    # the masks of a rule nest, so what is empty at one level is so at all higher ones
    first = bisect_left(levels, True, key=lambda level: bool(emptied(level)))
    if first < len(levels):
        yield (
            f"{method} at {levels[first]:g} removes all of {emptied(levels[first])}, by the weights that it has now: "
            f"nothing passes there any more. prune.floor: 1 keeps a weight of each array, allocation: lamp spreads the "
            f"zeros"
        )


def _masks(subject: Subject, method: str, weights: Weights, level: float) -> Masks:
    allocation = getattr(subject.params.section(method), "allocation", "global")
    score = Sparing(ALLOCATIONS[allocation], subject.params.prune.floor)
    make_masks = layerwise_masks if method.endswith("layerwise") else further_masks
    return make_masks(weights, level, subject.prunable, score)
