"""Write a new project around your own model and data."""

from pathlib import Path
from typing import Annotated

import typer

from prunefront.common.commands import run


def new(
    folder: Annotated[Path, typer.Argument(help="The project's folder; it must not exist or be empty.")],
    model: Annotated[Path | None, typer.Option(help="Your model: a .keras or .h5 file.", show_default=False)] = None,
    builder: Annotated[
        str | None, typer.Option(help="Or package.module:function, which builds it; its code is copied.")
    ] = None,
    application: Annotated[str | None, typer.Option(help="Or a network of keras.applications.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Your data: an .npz file or a folder of images (default: digits).")
    ] = None,
    image_size: Annotated[
        tuple[int, int] | None, typer.Option(help="Height and width that images are resized to.", show_default=False)
    ] = None,
) -> None:
    """Write a new project around your own model and data.

    It holds dvc.yaml, params.yaml, the stages, a README and initialised Git and DVC repositories; `dvc repro` runs it
    wherever prunefront is installed.
    """
    from prunefront.tools.new import Ingredients, write_project

    root = Path(__file__).parent.parent
    write_project(folder, root, Ingredients(model, builder, application, data, image_size))
    print(f"wrote {folder}; next: cd {folder} && python -m stages.inspect && dvc repro")


if __name__ == "__main__":
    run(new)
