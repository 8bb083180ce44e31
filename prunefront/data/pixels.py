"""What images look like in an array, and what is no image although it is taken for one."""

from collections.abc import Iterator

import numpy as np

from prunefront.common.errors import InputError
from prunefront.data.splits import COLOURS, SMALLEST, PixelRange

UNIT = (0.0, 1.0)
BYTES = (0.0, 255.0)
BRIGHT = 16
"""No image that has been scaled for a network has values above it; scikit-learn's digits go up to it unscaled."""


def check_pixels(x: np.ndarray, takes: PixelRange) -> None:
    """Raises InputError if float images go from 0 to 255 and the network would be given them unscaled.

    Args:
        x: all examples that are in memory, shape (n, ...).
        takes: the range of images that the network takes; None lets everything pass.
    """
    if takes is None or takes[1] > BRIGHT or x.ndim != 4 or x.dtype.kind != "f":
        return
    if x.shape[-1] in COLOURS and x.min() >= 0 and BRIGHT < x.max() <= 255:
        raise InputError(
            f"Expected uint8 images, which are scaled, or floats in {range_text(takes)}, which are not; "
            f"x.astype(numpy.uint8) makes them so, and data.pixel_range: null feeds them as they are. "
            f"Received: {x.dtype} images from {x.min():g} to {x.max():g}"
        )


def pixel_doubts(x: np.ndarray, takes: PixelRange) -> Iterator[str]:
    """What may be meant otherwise in the values of examples, a line each.

    Args:
        x: all examples that are in memory, shape (n, ...).
        takes: the range of images that the network takes; None leaves nothing to doubt.
    """
    if takes is None or x.dtype.kind not in "fiu" or x.size == 0:
        return
    low, high = x.min(), x.max()
    if x.ndim == 3 and min(x.shape[1:]) >= SMALLEST and low >= 0 and high > 128:
        yield (
            f"{x.dtype} examples of shape {x.shape[1:]} from {low:g} to {high:g} are fed as they are, as series; "
            f"save images as uint8, which is scaled"
        )
    if x.ndim != 4 or x.shape[-1] not in COLOURS:
        return
    if x.dtype == np.uint8 and high == 1:
        yield "the uint8 images have no value above 1 of 255; save masks as 0 and 255, or as floats"
    elif x.dtype.kind == "f" and takes == BYTES and low >= 0 and high <= 1:
        yield (
            f"the network takes images from 0 to 255, the {x.dtype} images go from {low:g} to {high:g} and are fed as "
            f"they are; save them as uint8"
        )
    elif x.dtype.kind == "f" and low >= 0 and high > 255:
        yield f"the {x.dtype} images go from {low:g} to {high:g} and are fed as they are"


def range_text(pixel_range: tuple[float, float]) -> str:
    """As in the parameters."""
    return f"[{pixel_range[0]:g}, {pixel_range[1]:g}]"
