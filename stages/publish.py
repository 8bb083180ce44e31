"""Copy a run's results to a folder that Git can hold: frontier, picture, parameters, cost, submitted weights."""

from pathlib import Path
from typing import Annotated

import typer

from prunefront.common.commands import PARAMS, ParamsOption, run


def publish(
    folder: Annotated[Path, typer.Argument(help="The folder to write, for example results/mine.")],
    params: ParamsOption = PARAMS,
) -> None:
    """Copy a run's results to a folder that Git can hold: frontier, picture, parameters, cost, submitted weights.

    Reads metrics/, models/ and costs/; replaces FOLDER as a whole. Sizes and speed of the exports come along
    if they are known.
    """
    from prunefront.common.params import load_params
    from prunefront.pipeline.run import open_run
    from prunefront.tools.publish import publish as write

    settings = load_params(params)
    write(open_run("publish", settings, settings.seeds[0]), params, folder)
    print(f"wrote {folder}")


if __name__ == "__main__":
    run(publish)
