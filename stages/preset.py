"""Write params.yaml from a preset; edits of your own are overwritten only if you say so."""

from pathlib import Path
from typing import Annotated

import typer

from prunefront.common.commands import PARAMS, run


def _complete(beginning: str) -> list[str]:
    from prunefront.tools.preset import preset_names

    return [name for name in preset_names() if name.startswith(beginning)]


def preset(
    name: Annotated[
        str | None,
        typer.Argument(help="The preset; without one they are listed.", autocompletion=_complete, show_default=False),
    ] = None,
    path: Annotated[Path, typer.Option("--params", help="The parameter file.")] = PARAMS,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite edits without asking.")] = False,
) -> None:
    """Write params.yaml from a preset; edits of your own are overwritten only if you say so.

    A preset is the default with some values changed. Without a name, lists the presets.
    """
    from prunefront.tools.preset import describe, preset_names, render, write_preset

    if name is None:
        for known in preset_names():
            print(f"{known:24}{describe(known)}")
        return
    render(name)
    if not overwrite:
        _ask(path)
    write_preset(name, path)
    print(f"wrote {path}; next: dvc repro")


def _ask(path: Path) -> None:
    """Asks before edits are overwritten; where nobody can answer, that is an error."""
    import sys

    from prunefront.common.errors import InputError
    from prunefront.tools.preset import edits

    edited = edits(path)
    if not edited:
        return
    more = f" and {len(edited) - 5} more" if len(edited) > 5 else ""
    what = f"edits in {path}: {', '.join(edited[:5])}{more}"
    if sys.stdin is None or not sys.stdin.isatty():
        raise InputError(f"Expected leave to overwrite what no preset wrote; --overwrite gives it. Received: {what}")
    typer.confirm(f"{what}. Overwrite them?", abort=True)


if __name__ == "__main__":
    run(preset)
