"""Print the frontier as a table, the submitted point and where its files are."""

from prunefront.common.commands import run


def show() -> None:
    """Print the frontier as a table, the submitted point and where its files are.

    Reads metrics/frontier.csv and metrics/pareto.json.
    """
    from prunefront.tools.show import print_frontier

    print_frontier()


if __name__ == "__main__":
    run(show)
