"""The result in a few numbers: what `metrics/pareto.json` holds."""

from importlib.metadata import version
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from prunefront.common.files import read_json
from prunefront.common.machine import INSTRUCTIONS, is_portable
from prunefront.common.params import Axis, Runtime
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


class Made(Part):
    """What the results were made with; `instructions` are None where they are the machine's own."""

    portable: bool
    threads: int | None
    instructions: str | None
    versions: dict[str, str]


def made_with(runtime: Runtime) -> Made:
    """What results of this process are made with: its settings, and nothing that would differ between machines."""
    portable = is_portable(runtime)
    return Made(
        portable=portable,
        threads=runtime.threads,
        instructions=INSTRUCTIONS if portable else None,
        versions={package: version(package) for package in ("tensorflow", "keras", "numpy")},
    )


class Summary(Part):
    """The result; `axis` is what `hypervolume` and the frontier are taken over, beside the accuracy."""

    submitted: Submitted
    baseline: Dense
    axis: Axis = "sparsity"
    hypervolume: dict[str, Share]
    runtime: Made | None = None


def read_summary() -> Summary:
    """Raises InputError if the file is missing or damaged."""
    return read_json(SUMMARY, Summary)
