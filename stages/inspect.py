"""Show the network, what is prunable, which levels can be reached, and what may go wrong, before any training."""

from prunefront.common.commands import PARAMS, ParamsOption, run


def inspect(params: ParamsOption = PARAMS) -> None:
    """Show the network, what is prunable, which levels can be reached, and what may go wrong, before any training.

    Reads the parameters, the data and the network that they name; writes nothing.
    """
    from prunefront.tools.inspection import print_inspection

    print_inspection(params)


if __name__ == "__main__":
    run(inspect)
