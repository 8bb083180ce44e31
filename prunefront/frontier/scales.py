"""Axes of shares, logarithmic in what is missing to the whole: the weights that are left, the cost, the errors."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axis import Axis, XAxis
from matplotlib.scale import FuncScale
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

Tick = tuple[float, str]
"""A share, and what is written there."""
TINY = 1e-9
"""What is missing to a share that is the whole but for rounding."""
DECADES = range(1, 9)
NARROWEST = 0.1
"""The least length of an axis, in decades, around points that are all the same."""
MARGIN = 0.03
"""Of the length of an axis, at either end."""
FURTHER = 0.12
"""How far beyond the last point a tick may be, as a share of the length of an axis."""
ENOUGH = 4
"""Ticks on an axis."""
FONT_SIZE = 10
"""Of the labels at ticks, in points."""


class Ends(NamedTuple):
    """What an axis shows.

    Attributes:
        low: the first share.
        high: the last one; 1 only if a point is there.
        least: what is missing at least, above 0, where a share of 1 is drawn.
        open: whether something goes on beyond `high`, out of the picture.
    """

    low: float
    high: float
    least: float
    open: bool = False


def position(share: Any, least: float = 1e-6) -> Any:
    """The position of a share on an axis: 0 at 0 %, 1 at 90 %, 2 at 99 %.

    Args:
        share: at most 1; a number or an array.
        least: what is missing at least, above 0.
    """
    return -np.log10(np.maximum(1 - np.asarray(share), least))


def share_at(where: Any) -> Any:
    """The share at a position."""
    return 1 - 10.0 ** -np.asarray(where)


def ends(shares: Iterable[float], levels: Iterable[float] = (), bounds: Iterable[float] = ()) -> Ends:
    """The ends of an axis.

    Args:
        shares: of the points; whole ones are drawn as if half of what others miss were missing.
        levels: of lines, shown too.
        bounds: of the points' intervals, shown to that place at most, since many are 1. NaN among them is left aside.
    """
    points, lines, around = (np.array(list(numbers), float) for numbers in (shares, levels, bounds))
    drawn, around = np.concatenate([points, lines]), around[~np.isnan(around)]
    least = min([*(1 - drawn)[1 - drawn > TINY], 1 if (points < 1 - TINY).any() else 0.01]) / 2
    low, high = min([*drawn, *around]), max(drawn)
    wanted, most = max([high, *around]), max(high, 1 - least)
    return Ends(float(low), float(min(wanted, most)), float(least), bool(wanted > most))


def set_scale(axis: Axis, shown: Ends, families: Sequence[Sequence[Tick]], length: float, last: str = "") -> None:
    """Gives an axis its scale, its limits and as many ticks as there is room for.

    Args:
        axis: the horizontal or the vertical one.
        shown: its ends.
        families: lists of ticks that go together, the best first; of those whose labels do not touch, the first is
            taken that has `ENOUGH`, else the one with most.
        length: of the axis, in points.
        last: what is written at the last point where no tick is near; empty if that point needs none.
    """
    place, share_of = _scale(shown.least)
    low, high = place(shown.low), place(shown.high)
    if high - low < NARROWEST:
        low, high = (low + high - NARROWEST) / 2, (low + high + NARROWEST) / 2
    sideways = isinstance(axis, XAxis)

    def fit(one: Tick, other: Tick) -> bool:
        taken = (_width(one[1]) + _width(other[1])) / 2 if sideways else 1.3 * FONT_SIZE
        return abs(place(one[0]) - place(other[0])) / (high - low) * length >= taken

    def usable(family: Sequence[Tick]) -> list[Tick]:
        tolerance = 0.004 * (high - low)
        by_place = {round(place(share), 9): (share, text) for share, text in family if share < 1 - shown.least + TINY}
        if shown.high > 1 - TINY:
            by_place[round(place(1), 9)] = (1, "100%")
        places = [where for where in sorted(by_place) if where >= low - TINY]
        ticks = [by_place[where] for where in places if where <= high + tolerance]
        if not ticks or place(ticks[-1][0]) < place(shown.high) - tolerance:
            beyond = [by_place[where] for where in places if high < where <= high + FURTHER * (high - low)][:1]
            ticks += beyond or ([(shown.high, last)] if last else [])
        ticks = [*(tick for tick in ticks[:-1] if fit(tick, ticks[-1])), *ticks[-1:]]
        return ticks if all(map(fit, ticks, ticks[1:])) else []

    found = [usable(family) for family in families]
    ticks = next((ticks for ticks in found if len(ticks) >= ENOUGH), max(found, key=len))
    high = max([high, *(place(share) for share, _ in ticks)])
    margin = MARGIN * (high - low)
    limits = share_of(low - margin), share_of(high if shown.open else high + margin)
    scale = FuncScale(axis, (place, share_of))
    axis.axes.set(**({"xscale": scale, "xlim": limits} if sideways else {"yscale": scale, "ylim": limits}))
    axis.set_major_locator(FixedLocator([share for share, _ in ticks]))
    axis.set_major_formatter(FixedFormatter([text for _, text in ticks]))
    axis.set_minor_locator(NullLocator())


def _scale(least: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Positions of shares, and shares at positions; "shares" above 1 are the margin beyond it."""
    top = -math.log10(least)

    def place(share: Any) -> Any:
        return position(share, least) + np.maximum(np.asarray(share) - 1, 0)

    def share_of(where: Any) -> Any:
        return np.where(np.asarray(where) <= top, share_at(where), 1 + np.asarray(where) - top)

    return place, share_of


def _width(label: str) -> float:
    """Of a label, with the gap to the next, in points: matplotlib's own font, a little more than its digits need."""
    return FONT_SIZE * (0.64 * len(label) + 1.2)


def share_ticks(shown: Ends) -> list[list[Tick]]:
    """Families of ticks at round shares, for `set_scale`."""
    fine = _shares(range(10, 1, -1), [])
    logarithmic = [
        _shares((10, 5, 3, 2), [0, 0.25, 0.5, 0.75]),
        _shares((10, 5, 3, 2), [0, 0.5, 0.75]),
        _shares((10, 5), [0, 0.5]),
        _shares((10,), [0]),
        fine,
    ]
    wide = _widened(shown)
    linear = [[share for share in _even(*wide, count) if 0 <= share < 1] for count in range(2, 9)]
    families = [[(share, written(share)) for share in family] for family in (*logarithmic, *linear)]
    return [*families, [(share, rounded(share)) for share in (shown.low, shown.high)]]


def _shares(digits: Iterable[int], first: list[float]) -> list[float]:
    """Shares to which some digits of each decade are missing, and of the first decade those given, if any."""
    powers = range(1, 7) if first else range(7)
    return [*first, *(1 - digit / 10 ** (power + 1) for power in powers for digit in digits)]


def cost_ticks(shown: Ends, whole: float, unit: float) -> list[list[Tick]]:
    """Families of ticks at round costs, for `set_scale`.

    Args:
        shown: the ends of the axis of what is saved.
        whole: the cost of the dense network.
        unit: that costs are given in.
    """
    low, high = _widened(shown)
    most, least = whole * (1 - low), whole * (1 - high)
    powers = range(math.floor(math.log10(max(least, 1))) - 1, math.ceil(math.log10(max(most, 1))) + 1)
    logarithmic = [
        [digit * 10.0**power for power in powers for digit in digits]
        for digits in ((1, 2, 5), (1,), (1, 3), range(1, 10))
    ]
    linear = [[cost for cost in _even(least, most, count) if cost > 0] for count in range(2, 9)]
    families = (*logarithmic, *linear, [most, least])
    return [[(1 - cost / whole, amount(cost / unit)) for cost in family] for family in families]


def _widened(shown: Ends) -> tuple[float, float]:
    low, high = position(shown.low, shown.least), position(shown.high, shown.least)
    middle, half = (low + high) / 2, max(NARROWEST, high - low) / 2
    return float(share_at(middle - half)), float(share_at(middle + half))


def _even(low: float, high: float, count: int) -> list[float]:
    return [float(value) for value in MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]


def written(share: float) -> str:
    """A round share in percent, in full: 0.9995 is `99.95%`."""
    return f"{round(100 * share, 9):.10g}%"


def rounded(share: float) -> str:
    """Any share in percent, with a decimal and two digits of what is missing to the whole: 0.99383 is `99.38%`."""
    if 1 - share <= TINY:
        return "100%"
    return written(round(float(share), 2 + max(1, 1 - math.floor(math.log10(100 * (1 - share))))))


def amount(value: float) -> str:
    """A number with three digits, or all of those before the point: 1234.5 is `1,234`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
