"""Write the submitted model for other runtimes, and try each file by its own."""

from pathlib import Path
from typing import Annotated

import typer

from prunefront.common.commands import PARAMS, ParamsOption, run


def export(
    weights: Annotated[
        Path | None, typer.Argument(help="A weight file (default: the stage's work).", show_default=False)
    ] = None,
    further: Annotated[
        list[str] | None, typer.Argument(metavar="[FORMAT]...", help="More formats.", show_default=False)
    ] = None,
    to: Annotated[list[str] | None, typer.Option(help="A format, such as c or litert.", show_default=False)] = None,
    output: Annotated[Path, typer.Option(help="The folder for the files by hand.")] = Path("exported"),
    params: ParamsOption = PARAMS,
) -> None:
    """Write the submitted model for other runtimes, and try each file by its own.

    Reads models/submitted.weights.h5 and all prepared data. Writes exports/, a file for each of export.formats, and
    metrics/exports.csv. By hand: prunefront export WEIGHTS --to FORMAT... writes other weights of the same network to
    the folder --output.
    """
    from prunefront.common.errors import InputError
    from prunefront.common.params import load_params
    from prunefront.common.provenance import write_provenance
    from prunefront.data.splits import PREPARED
    from prunefront.export.results import TABLE, described, write_no_exports

    settings = load_params(params)
    chosen = [*(to or []), *(further or [])]
    if (weights is None) != (not chosen):
        raise InputError("Expected a weight file and --to FORMAT, or neither, for the stage. Received: one of them")
    if weights is None and not settings.export.formats:
        write_no_exports()
        write_provenance("export", settings, PREPARED, [TABLE])
        print("export: left out, no formats")
        return
    from prunefront.export.stage import export_by_hand, export_submitted

    table = export_submitted(settings) if weights is None else export_by_hand(settings, weights, chosen, output)
    print("\n".join(described(table)))


if __name__ == "__main__":
    run(export)
