"""One command for all stages and tools: `prunefront` where the package is installed, `python -m stages` here."""

import importlib
from collections.abc import Callable

from prunefront.common.commands import run_all
from prunefront.common.params import TRAINED

TOOLS = ("new", "preset", "inspect", "show", "pick", "compare", "publish", "verify", "bench")


def main() -> None:
    """Runs the command that the arguments name."""
    panels = {
        "Stages, in the order of the pipeline": ("prepare", *TRAINED, "pareto", "export", "report"),
        "Tools": TOOLS,
    }
    run_all({title: map(_command, names) for title, names in panels.items()})


def _command(name: str) -> Callable[..., None]:
    """The function of the file of that name beside this one."""
    command: Callable[..., None] = getattr(importlib.import_module(f"{__package__}.{name}"), name)
    return command


if __name__ == "__main__":
    main()
