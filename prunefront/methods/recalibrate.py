"""Methods 1 and 2 with the statistics of batch normalization computed anew, without labels and without training."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prunefront.common.sections import Recalibrate
from prunefront.pruning.masks import Weights

if TYPE_CHECKING:
    from prunefront.common.runtime import keras
    from prunefront.data.splits import Split


def recalibrate(
    pruned: Callable[[float], tuple[float, Weights]],
    make_model: "Callable[[], keras.Model]",
    train: "Split",
    settings: Recalibrate,
) -> Iterator[tuple[float, Weights]]:
    """Gives the pruned weights of each level the statistics that their own activations have.

    Pruning changes what reaches a BatchNormalization layer, while its moving mean and variance are still those of the
    dense network. Computing them anew is the adaptive batch normalization of Li et al., "EagleEye: fast sub-net
    evaluation for efficient neural network pruning" (2020). No weight but these changes, so every zero stays.

    Args:
        pruned: gives the pruned weights at a level, with that level.
        make_model: builds the network.
        train: training examples, whose labels are not looked at.
        settings: the levels, and how many examples go into a forward pass.

    Raises:
        InputError: the network has no BatchNormalization.
    """
    from prunefront.training.statistics import measure_statistics

    model = make_model()
    for level in settings.levels:
        _, weights = pruned(level)
        model.set_weights(weights)
        measure_statistics(model, train, settings.batch_size)
        yield level, model.get_weights()
