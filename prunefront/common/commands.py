"""What all stage commands share: their options, and how they fail."""

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

ParamsOption = Annotated[Path, typer.Option("--params", help="The parameter file.")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="The replicate to run (default: the first of `seeds`).")
]
PARAMS = Path("params.yaml")


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    typer.echo(f"warning: {message}", err=True)


def run(command: Callable[..., None]) -> None:
    """Runs a stage function as a Typer command; bad input ends in one line and exit status 1."""

    @functools.wraps(command)
    def guarded(*args: object, **kwargs: object) -> None:
        from prunefront.common.errors import InputError

        warnings.showwarning = _show_warning
        try:
            command(*args, **kwargs)
        except InputError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None
        except MemoryError:
            typer.echo(
                "error: expected data that fit into memory. Received: more; make data.image_size smaller", err=True
            )
            raise typer.Exit(1) from None
        except OSError as error:
            typer.echo(f"error: expected to read and write files here. Received: {error}", err=True)
            raise typer.Exit(1) from None

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(guarded)
    app()
