"""Check a weight file against its zero-hold certificate."""

from pathlib import Path
from typing import Annotated

import typer

from prunefront.common.commands import run


def verify(
    file: Annotated[Path, typer.Argument(help="The weight file: .weights.h5, .keras, .h5, .npz or .sparse.")],
    certificate: Annotated[
        Path | None, typer.Option(help="The certificate (default: FILE.certificate.json).", show_default=False)
    ] = None,
) -> None:
    """Check a weight file against its zero-hold certificate.

    Recounts the zeros from the file. If any came back, says in which array and how many, and exits with status 1.
    """
    from prunefront.models.certificate import verify as check

    held = check(file, certificate)
    print(f"{file}: all {held['zeros']:,} zeros of {held['values']:,} values hold, in {len(held['tensors'])} arrays")


if __name__ == "__main__":
    run(verify)
