"""Write a new project around your own model and data."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from prunefront.common.commands import run


def new(
    folder: Annotated[Path, typer.Argument(help="The project's folder; it must not exist or be empty.")],
    model: Annotated[Path | None, typer.Option(help="Your model: a .keras or .h5 file.", show_default=False)] = None,
    builder: Annotated[
        str | None, typer.Option(help="Or package.module:function, which builds it; its code is copied.")
    ] = None,
    application: Annotated[str | None, typer.Option(help="Or a network of keras.applications.")] = None,
    code: Annotated[
        Path | None,
        typer.Option(help="The file or folder of the builder, or of the model's custom objects; it is copied."),
    ] = None,
    outputs: Annotated[
        Literal["auto", "logits", "probabilities"], typer.Option(help="What the network gives.")
    ] = "auto",
    trust: Annotated[bool, typer.Option("--trust", help="Run code that the model file carries or asks for.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Your data: an .npz file or a folder of images (default: digits).")
    ] = None,
    image_size: Annotated[
        tuple[int, int] | None, typer.Option(help="Height and width that images are resized to.", show_default=False)
    ] = None,
) -> None:
    """Write a new project around your own model and data.

    It holds dvc.yaml, params.yaml, a README and what Git and DVC need; `dvc repro` runs it wherever prunefront is
    installed. Inside a Git repository it becomes a part of that one.
    """
    import shlex

    from prunefront.tools.new import Ingredients, write_project

    write_project(folder, Ingredients(model, builder, application, code, outputs, trust, data, image_size))
    print(f"wrote {folder}; next: cd {shlex.quote(str(folder))} && prunefront inspect && dvc repro")


if __name__ == "__main__":
    run(new)
