"""Name the best point of the frontier under constraints."""

from typing import Annotated, Literal

import typer

from prunefront.common.commands import run


def pick(
    max_accuracy_drop: Annotated[
        float | None,
        typer.Option(help="Below the dense network's validation accuracy: 0.01 is a point.", show_default=False),
    ] = None,
    min_accuracy: Annotated[float | None, typer.Option(help="On validation data.", show_default=False)] = None,
    min_sparsity: Annotated[
        float | None, typer.Option(help="Zeros among all weights, to a hundredth of a percent.", show_default=False)
    ] = None,
    max_bytes: Annotated[
        float | None, typer.Option(help="Of the sparse file without loss, such as 30e3.", show_default=False)
    ] = None,
    max_multiply_adds: Annotated[
        float | None, typer.Option(help="With non-zero weights, per example, such as 2e6.", show_default=False)
    ] = None,
    by: Annotated[
        Literal["sparsity", "bytes", "multiply_adds"] | None,
        typer.Option(help="What is cheap (default: what is limited, or else pareto.axis).", show_default=False),
    ] = None,
) -> None:
    """Name the best point of the frontier under constraints.

    Where an accuracy is given, that is the cheapest point that has it, else the most accurate one. Prints it with its
    neighbours on the frontier, and where its weights are. It is chosen on validation data; null baselines never are.
    Reads metrics/frontier.csv and metrics/pareto.json.
    """
    bounds = {
        "max_accuracy_drop": max_accuracy_drop,
        "min_accuracy": min_accuracy,
        "min_sparsity": min_sparsity,
        "max_bytes": max_bytes,
        "max_multiply_adds": max_multiply_adds,
    }
    if all(bound is None for bound in bounds.values()):
        raise typer.BadParameter(f"expected at least one of --{', --'.join(bounds)}".replace("_", "-"))

    from prunefront.tools.pick import print_pick

    print_pick(by, **bounds)


if __name__ == "__main__":
    run(pick)
