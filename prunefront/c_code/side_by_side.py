"""Weights of a sparse layer of few places, in the order of the kernels `single` and `few`: several outputs at once."""

from dataclasses import dataclass

import numpy as np

from prunefront.c_code.kernels import AT_ONCE
from prunefront.c_code.layer import Code, Place
from prunefront.c_code.text import numbers, positions


@dataclass(frozen=True)
class SideBySide:
    """Weights by groups of outputs with about as many weights each.

    Attributes:
        common: of each group, how many weights all of its outputs have; they come first, one of each output in turn.
        rest: how many more each output has; they come behind, output by output.
        to: the outputs of each group; the last of all is repeated until its group is full.
        start, weights: of each weight: the place of its input, its value.
    """

    common: np.ndarray
    rest: np.ndarray
    to: np.ndarray
    start: np.ndarray
    weights: np.ndarray

    @property
    def largest(self) -> int:
        """The largest number in the tables."""
        return int(max(part.max(initial=0) for part in (self.common, self.rest, self.to, self.start)))

    def tables(self, prefix: str) -> str:
        """The weights as C."""
        parts = {"common": self.common, "rest": self.rest, "to": self.to, "from": self.start}
        text = "".join(positions(f"{prefix}_{name}", part.ravel()) for name, part in parts.items())
        return text + numbers(f"{prefix}_weights", self.weights)

    def arguments(self, prefix: str) -> str:
        """What the kernels are called with."""
        names = ", ".join(f"{prefix}_{name}" for name in ("common", "rest", "to", "from", "weights", "bias"))
        return f"{len(self.common)},\n    {names}"


def side_by_side(start: np.ndarray, output: np.ndarray, weights: np.ndarray, outputs: int) -> SideBySide:
    """Groups weights.

    Args:
        start, output, weights: of each weight: the place of its input, the number of its output, its value; those of
            an output in the order of its sum.
        outputs: how many there are.
    """
    counts = np.bincount(output, minlength=outputs)
    ranked = np.argsort(-counts, kind="stable")
    to = np.append(ranked, np.repeat(ranked[-1:], -outputs % AT_ONCE)).reshape(-1, AT_ONCE)
    common = counts[to].min(axis=1)
    order, firsts = np.argsort(output, kind="stable"), np.cumsum(counts) - counts
    taken = []
    for group, shared in zip(to, common, strict=True):
        taken.append((firsts[group] + np.arange(shared)[:, None]).ravel())
        taken += [np.arange(firsts[unit] + shared, firsts[unit] + counts[unit]) for unit in group]
    order = order[np.concatenate(taken)]
    return SideBySide(common, counts[to] - common[:, None], to, start[order], weights[order])


def single(
    source: Place, target: Place, prefix: str, rectify: bool, groups: SideBySide, bias: np.ndarray, note: str
) -> Code:
    """The C of a sparse layer of one place.

    Args:
        source, target: input and output.
        prefix: of the names of tables.
        rectify: whether relu comes behind.
        groups: the weights.
        bias: of all outputs.
        note: for the comment.
    """
    body = f"single({source.name}, {target.name}, {groups.arguments(prefix)});"
    if rectify:
        body += "\n" + rectified(target.name, len(bias))
    return Code(body, groups.tables(prefix) + numbers(f"{prefix}_bias", bias), note, groups.largest)


def rectified(name: str, count: int) -> str:
    """The C of relu in place; NaN stays."""
    return f"for (int i = 0; i < {count}; i++)\n    {name}[i] = {name}[i] < 0 ? 0 : {name}[i];"
