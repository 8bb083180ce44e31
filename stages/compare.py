"""Put the frontiers of several runs side by side, as one table and one picture."""

from pathlib import Path
from typing import Annotated

import typer

from prunefront.common.commands import run

LEVELS = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995]


def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders with a frontier.csv, for example results/*/.")],
    picture: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("comparison.png"),
    level: Annotated[list[float] | None, typer.Option(help="Sparsities to tabulate, in [0, 1).")] = None,
) -> None:
    """Put the frontiers of several runs side by side, as one table and one picture.

    Prints, as Markdown, each method's validation / test accuracy in percent, the mean over its seeds, with 95 %
    intervals where a run has them, and says which runs' submitted points cannot be told apart by these.
    """
    from prunefront.tools.compare import ALIKE, draw, load_means, load_runs, overlaps, tabulate

    points, intervals = load_runs(folders), load_means(folders)
    table = tabulate(points, level or LEVELS, intervals).T
    print(f"| | {' | '.join(table.columns)} |\n|{'---|' * (len(table.columns) + 1)}")
    for name, cells in zip(table.index, table.to_numpy(), strict=True):
        print(f"| {name} | {' | '.join(cells)} |")
    if not intervals.empty:
        print(f"\n{ALIKE}: its validation accuracy cannot be told, at 95 %, from that of what its run submitted")
    for line in overlaps(folders):
        print(f"\n{line}")
    draw(points, picture, intervals)


if __name__ == "__main__":
    run(compare)
