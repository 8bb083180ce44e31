"""Which point is submitted, by a rule on the validation examples; and what that choice is worth: how often another
sample of examples would have led to it, and how much of its score it owes to being the highest of many."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from prunefront.common.params import Rule
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
        expected: what is to be expected of the score on fresh examples, None where no sample leaves an example out.
    """

    wins: np.ndarray
    nobody: float
    expected: float | None


def outlook(selection: Selection, count: int = RESAMPLES) -> Outlook:
    """Repeats the selection on samples of the validation examples.

    The winner of each sample is scored on the examples that are not in it (Tsamardinos et al. 2018), so that what makes
    it win does not make its score: `expected` is the mean, with 0 where no point is above the gate. Scores on the
    examples left out are not held against the gate, which they, being few, would miss by chance.
    """
    wins, nobody = np.zeros(len(selection.right), np.int64), 0
    total, scored = 0.0, 0
    for samples in resamples(selection.right.shape[1], count):
        winners = selection.winners(samples)
        found = winners != NOBODY
        wins += np.bincount(winners[found], minlength=len(wins))
        nobody += int((~found).sum())
        out = samples == 0
        left = out.sum(axis=1)
        for winner, unseen, number in zip(winners, out, left, strict=True):
            if number:
                right = int((unseen & selection.right[winner]).sum())
                total += 0.0 if winner == NOBODY else (right / int(number) + float(selection.sparsity[winner])) / 2
                scored += 1
    return Outlook(wins / count, nobody / count, total / scored if scored else None)
