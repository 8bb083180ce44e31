"""Write the results as one page to read: interactive charts, tables, a checklist."""

from pathlib import Path
from typing import Annotated

import typer

from prunefront.common.commands import PARAMS, ParamsOption, run


def report(
    output: Annotated[
        Path | None, typer.Option(help="A page by hand, with what is of this machine.", show_default=False)
    ] = None,
    params: ParamsOption = PARAMS,
) -> None:
    """Write the results as one page to read: interactive charts, tables, a checklist.

    Reads metrics/ and the certificates and curves in models/. Writes metrics/report.html, which needs no network and is
    the same wherever the results are. By hand: prunefront report --output FILE adds times, speeds and the machine.
    """
    from prunefront.common.params import load_params
    from prunefront.pipeline.store import REPORT
    from prunefront.report.page import look_around, write_report

    settings = load_params(params)
    write_report(settings, output or REPORT, None if output is None else look_around(settings))
    print(f"wrote {output or REPORT}")


if __name__ == "__main__":
    run(report)
