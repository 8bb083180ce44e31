"""The result in a few numbers: what `metrics/pareto.json` holds."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from prunefront.common.files import read_json
from prunefront.pipeline.store import SUMMARY

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Zeros(Part):
    zeros: Count
    parameters: Count


class Submitted(Part):
    """The submitted point; `ledger` has its zeros among different kinds of weights, see `counts.Counts`."""

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


class Summary(Part):
    submitted: Submitted
    baseline: Dense
    hypervolume: dict[str, Share]


def read_summary() -> Summary:
    """Raises InputError if the file is missing or damaged."""
    return read_json(SUMMARY, Summary)
