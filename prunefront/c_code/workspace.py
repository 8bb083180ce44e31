"""Where each tensor lies in the workspace: tensors that are never needed at the same time share numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from prunefront.c_code.planes import LINE, rounded


@dataclass
class Storage:
    """Room for a tensor, or for several that take each other's place.

    Attributes:
        size: in numbers.
        first, last: the numbers of the nodes between which it is needed.
    """

    size: int
    first: int
    last: int


def placed(storages: Sequence[Storage]) -> tuple[list[int], int]:
    """The first number of each, and the size of the workspace.

    The largest are placed first, each at the lowest place where no other lies that is needed at the same time.
    """
    starts = [0] * len(storages)
    done: list[int] = []
    for number in sorted(range(len(storages)), key=lambda n: (-storages[n].size, n)):
        own = storages[number]
        taken = sorted(
            (starts[n], starts[n] + rounded(storages[n].size, LINE))
            for n in done
            if storages[n].first <= own.last and own.first <= storages[n].last
        )
        start = 0
        for begin, end in taken:
            if start + own.size <= begin:
                break
            start = max(start, end)
        starts[number] = start
        done.append(number)
    size = max((start + rounded(s.size, LINE) for start, s in zip(starts, storages, strict=True)), default=0)
    return starts, max(size, LINE)
