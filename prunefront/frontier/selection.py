"""Which point is submitted, by a rule on the validation examples; and what that choice is worth: how often another
sample of examples would have led to it, and how much of its score it owes to being the highest of many."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from prunefront.common.sections import Rule
from prunefront.frontier.intervals import IMAGINED
from prunefront.frontier.pareto import highest
from prunefront.frontier.resampling import RESAMPLES, exact, resamples

NOBODY = -1
"""In the place of a point's number where no point is above the gate."""


@dataclass(frozen=True)
class Selection:
    """A rule among points that may be submitted.

    Attributes:
        right: which validation examples each point gets right, shape (points, n), bool.
        sparsity: of each point, shape (points,).
        gate: the accuracy that has to be exceeded, in [0, 1].
        rule: `score` takes the highest score, between equals the more accurate. `one_standard_error` takes the sparsest
            point that is behind the most accurate one by at most one standard error of the difference (after Breiman
            et al. 1984). The first of equals otherwise.
    """

    right: np.ndarray
    sparsity: np.ndarray
    gate: float
    rule: Rule = "score"

    def winner(self) -> int:
        """The number of the point to submit, or `NOBODY`."""
        return int(self.winners(np.ones((1, self.right.shape[1]), np.float32))[0])

    def winners(self, samples: np.ndarray) -> np.ndarray:
        """The number of the point that would be submitted by each sample of the examples, or `NOBODY`.

        Args:
            samples: how often each has each example, shape (samples, n); n in all, as floats.
        """
        sums = samples @ self._columns
        accuracy = sums.astype(np.float64) / self._examples
        above = accuracy > self.gate
        if self.rule == "score":
            return highest(np.where(above, (accuracy + self.sparsity) / 2, 0), sums)
        best = highest(np.where(above, sums, 0), np.broadcast_to(self.sparsity, sums.shape))
        chosen = np.full(len(sums), NOBODY)
        for leader in set(best.tolist()) - {NOBODY}:
            led = best == leader
            behind = sums[led][:, [leader]] - sums[led]
            discordant = samples[led] @ self._exact(self.right ^ self.right[leader])
            near = above[led] & within_one_standard_error(behind, discordant, self._examples)
            # 1 +: a dense point, of no sparsity, is one as well
            chosen[led] = highest(np.where(near, 1 + self.sparsity, 0), sums[led])
        return chosen

    @cached_property
    def _columns(self) -> np.ndarray:
        return self._exact(self.right)

    @property
    def _examples(self) -> int:
        return self.right.shape[1]

    def _exact(self, right: np.ndarray) -> np.ndarray:
        return exact(right.T, self._examples)


def within_one_standard_error(behind: np.ndarray, discordant: np.ndarray, examples: int) -> np.ndarray:
    """Whether a point is behind another by at most one standard error of that difference.

    The standard error is that of the paired difference with one imagined example more on either side, as in
    `intervals`: of b + c discordant examples among n, the variance of b - c is b + c + 2 - (b - c)**2 / (n + 4).

    Args:
        behind: b - c, how many more of the examples the other one gets right.
        discordant: b + c, how many only one of the two gets right.
        examples: n.
    """
    behind, discordant = behind.astype(np.float64), discordant.astype(np.float64)
    return behind**2 * (examples + IMAGINED + 1) <= (discordant + 2) * (examples + IMAGINED)


@dataclass(frozen=True)
class Outlook:
    """What a bootstrap of the whole selection says.

    Attributes:
        wins: for each point the share of the samples in which it would be submitted, shape (points,).
        nobody: that of the samples in which no point is above the gate.
        known, unseen: the mean score of the samples' winners, on all examples and on those that are not in the sample,
            0 where no point is above the gate; None where no sample leaves an example out.
    """

    wins: np.ndarray
    nobody: float
    known: float | None
    unseen: float | None

    def optimism(self, score: float, rule: Rule) -> float | None:
        """How much of a winner's score is luck: what it has on the examples that chose it, less what is to be expected.

        For the highest score that is `score - unseen` (Tsamardinos et al. 2018): other winners are also lower on all
        examples. A rule that takes no maximum has winners of other scores without luck: `known - unseen`.
        """
        if self.known is None or self.unseen is None:
            return None
        return (score if rule == "score" else self.known) - self.unseen


def outlook(selection: Selection, count: int = RESAMPLES) -> Outlook:
    """Repeats the selection on samples of the validation examples, and scores each winner on those left out.

    These scores are not held against the gate, which so few examples would miss by chance.
    """
    numbers, left, right = (np.concatenate(part) for part in zip(*_repeated(selection, count), strict=True))
    found = numbers != NOBODY
    wins = np.bincount(numbers[found], minlength=len(selection.right)) / count
    nobody = float(np.mean(~found))
    judged = left > 0  # else all examples are in the sample
    if not judged.any():
        return Outlook(wins, nobody, None, None)
    winners, above = numbers[judged], found[judged]
    accuracy = (selection.right.sum(axis=1) / selection.right.shape[1])[winners], right[judged] / left[judged]
    known, unseen = (float(np.where(above, (one + selection.sparsity[winners]) / 2, 0).mean()) for one in accuracy)
    return Outlook(wins, nobody, known, unseen)


def _repeated(selection: Selection, count: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For a few samples at a time their winners, how many examples each leaves out, and how many of these its winner
    gets right, shape (samples,)."""
    for samples in resamples(selection.right.shape[1], count):
        winners, out = selection.winners(samples), samples == 0
        yield winners, out.sum(axis=1), (out & selection.right[winners]).sum(axis=1)
