"""The result in a few numbers: what `metrics/pareto.json` holds."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from prunefront.common.files import read_json
from prunefront.common.machine import INSTRUCTIONS, is_portable
from prunefront.common.sections import Axis, Rule, Runtime
from prunefront.pipeline.store import SUMMARY

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Zeros(Part):
    zeros: Count
    parameters: Count


class Submitted(Part):
    """The submitted point.

    `ledger` has its zeros among different kinds of weights, see `counts.Counts`; `effective` counts the trainable
    weights that have no part in the function, too, see `costs.Costs`.
    """

    method: str
    seed: Count
    above_gate: bool
    target_sparsity: Share
    sparsity: Share
    nonzero: Count
    val_accuracy: Share
    score: Share
    test_accuracy: Share
    ledger: dict[str, Zeros]


class Dense(Part):
    """The dense network of the submitted point's seed."""

    seed: Count
    val_accuracy: Share
    test_accuracy: Share


class Majority(Part):
    """The null baseline that every network has to beat: always the commonest class of the training split."""

    name: str
    val_accuracy: Share
    test_accuracy: Share


class Optimism(Part):
    """What the submitted point's validation score owes to being chosen by it, see `selection.outlook`.

    `optimism` is how much of `score` is luck, and `expected` the rest, which a point chosen in this way can be expected
    to have on fresh examples; both are None where no sample of the examples leaves any out. `test_score` is that of the
    test split, which had no part in the choice.
    """

    score: Share
    expected: Annotated[float, Field(ge=-1, le=2)] | None
    optimism: Annotated[float, Field(ge=-1, le=1)] | None
    test_score: Share


class Point(Part):
    """An operating point, or a dense network, by its name and the numbers that it is chosen by."""

    method: str
    seed: Count
    target_sparsity: Share
    sparsity: Share
    val_accuracy: Share


class Win(Part):
    """A point, and the share of bootstrap samples of the validation examples in which it would be submitted."""

    point: Point
    share: Share


class Stretch(Part):
    """From `low` and below `high` this point would be submitted."""

    low: Share
    high: Share
    point: Point


class Sensitivity(Part):
    """How the submitted point changes: by the rule with the gate, and, at the gate of this run, with the weight w of
    w * accuracy + (1 - w) * sparsity."""

    gate: list[Stretch]
    weight: list[Stretch]


class Made(Part):
    """What the results were made with; `instructions` are None where they are the machine's own.

    They are portable if this was asked for, and no layer is `unpinned`, see `models/pinned.py`.
    """

    portable: bool
    threads: int | None
    instructions: str | None
    versions: dict[str, str]
    unpinned: list[str] = []

    @property
    def otherwise(self) -> str:
        """What is to be said of results that are not portable."""
        why = f", by its rounding in {', '.join(self.unpinned)}" if self.unpinned else ""
        return f"another kind of machine may give other results{why}"


def made_with(runtime: Runtime, unpinned: Sequence[str] = ()) -> Made:
    """What results of this process are made with: its settings, and nothing that would differ between machines.

    Args:
        runtime: its parameters.
        unpinned: the kinds of layers that another machine may compute otherwise all the same.
    """
    pinned = is_portable(runtime)
    return Made(
        portable=pinned and not unpinned,
        threads=runtime.threads,
        instructions=INSTRUCTIONS if pinned else None,
        unpinned=list(unpinned) if pinned else [],
        versions={package: version(package) for package in ("tensorflow", "keras", "numpy")},
    )


class Summary(Part):
    """The result; `axis` is what `hypervolume` and the frontier are taken over, beside the accuracy.

    `wins` are the points that most samples would submit. `warnings` is what was said of data, network and training when
    the results were made, a line each. Results of earlier versions lack `rule` and what is below; `optimism` is None,
    too, where no point is above the gate.
    """

    submitted: Submitted
    baseline: Dense
    axis: Axis = "sparsity"
    hypervolume: dict[str, Share]
    rule: Rule = "score"
    optimism: Optimism | None = None
    wins: list[Win] = []
    sensitivity: Sensitivity | None = None
    runtime: Made | None = None
    majority: Majority | None = None
    warnings: list[str] = []


def read_summary(path: Path = SUMMARY) -> Summary:
    """Raises InputError if the file is missing or damaged."""
    return read_json(path, Summary)
