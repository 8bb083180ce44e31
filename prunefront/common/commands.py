"""What all commands share: their options, how they fail, and the one command that holds them all."""

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

ParamsOption = Annotated[Path, typer.Option("--params", help="The parameter file.")]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="The replicate to run (default: all of `seeds`).")
]
PARAMS = Path("params.yaml")


def run(command: Callable[..., None]) -> None:
    """Runs one function as a Typer command; bad input ends in one line and exit status 1."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(_guarded(command))
    app()


def run_all(panels: Mapping[str, Iterable[Callable[..., None]]]) -> None:
    """Runs one command that holds others, each with the name of its function, listed under the panels' titles."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_about)
    for title, commands in panels.items():
        for command in commands:
            app.command(command.__name__, rich_help_panel=title)(_guarded(command))
    sys.path.append(str(Path.cwd()))  # for the user's own code, as `python -m` does, but behind what is installed
    app(prog_name="prunefront")


def _show_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(importlib.metadata.version("prunefront"))
        raise typer.Exit


def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Make a Keras model sparse, and see what it costs: accuracy over sparsity, and the weights at the best point.

    `dvc repro` runs all stages in turn; each command has --help.
    """


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    def guarded(*args: object, **kwargs: object) -> None:
        from prunefront.common.errors import InputError, cause
        from prunefront.common.machine import COMMAND, pin

        warnings.showwarning = _show_warning
        if any(action == "error" for action, *_ in warnings.filters):  # PYTHONWARNINGS: libraries warn of much
            warnings.resetwarnings()
            for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
                warnings.simplefilter("ignore", category)
        try:
            if isinstance(params := kwargs.get("params"), Path):  # before the command imports what it computes with
                from prunefront.common.params import load_params

                doubt = pin(load_params(params).runtime)
                if doubt is not None and COMMAND not in os.environ:  # else the command that started this one said it
                    warnings.warn(doubt, stacklevel=1)
            os.environ[COMMAND] = "1"
            command(*args, **kwargs)
        except InputError as error:
            _fail(str(error))
        except MemoryError:
            _fail("expected data that fit into memory. Received: more; make data.image_size smaller")
        except RecursionError:
            _fail("expected files and models that are nested less deeply. Received: more than Python's stack holds")
        except UnicodeEncodeError as error:
            name = ascii(error.object[error.start :][:40])
            _fail(f"expected a locale that can write every name; set LC_ALL=C.UTF-8 or PYTHONUTF8=1. Received: {name}")
        except OSError as error:
            _fail(f"expected to read and write files here. Received: {cause(error)}")

    return guarded


def _fail(message: str) -> None:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    raise typer.Exit(1) from None


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    typer.echo(f"warning: {' '.join(str(message).split())}", err=True)
