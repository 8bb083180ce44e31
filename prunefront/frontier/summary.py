"""The result in a few numbers: what `metrics/pareto.json` holds."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from prunefront.common.files import read_json
from prunefront.common.params import Axis
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


class Summary(Part):
    """The result; `axis` is what `hypervolume` and the frontier are taken over, beside the accuracy.

    `warnings` are what was said of data, network and training when the results were made, a line each. Results of
    earlier versions have neither them nor `majority`.
    """

    submitted: Submitted
    baseline: Dense
    axis: Axis = "sparsity"
    hypervolume: dict[str, Share]
    majority: Majority | None = None
    warnings: list[str] = []


def read_summary() -> Summary:
    """Raises InputError if the file is missing or damaged."""
    return read_json(SUMMARY, Summary)
