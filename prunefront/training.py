"""Fitting and evaluating: the only place where models meet data."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from prunefront.data import Split
from prunefront.errors import InputError
from prunefront.masked_training import hold_masks
from prunefront.masks import Masks, Weights
from prunefront.network import freeze_layers
from prunefront.params import Training
from prunefront.progress import Progress
from prunefront.runtime import keras


@dataclass(frozen=True)
class Trainer:
    """Trains and evaluates fresh copies of one network on one data set.

    Attributes:
        make_model: builds the uncompiled network with random weights.
        train: the examples to fit.
        validation: the examples that choose the best epoch.
        seed: of weights, shuffling and dropout, set anew for each fit, so that no fit depends on those before it.
        progress: where each epoch is reported.
    """

    make_model: Callable[[], "keras.Model"]
    train: Split
    validation: Split
    seed: int
    progress: Progress

    def fit(
        self,
        start: Weights | None,
        recipe: Training,
        *,
        masks: Masks | None = None,
        frozen: Collection[int] = (),
        label: str = "",
    ) -> Weights:
        """Trains and returns the weights of the epoch with the best validation accuracy (the first of equals).

        Args:
            start: weights in model order to start from; None starts from random ones.
            recipe: epochs, batch size, learning rate. The optimizer, Adam, is always a new one.
            masks: weights to hold at zero, see `hold_masks`.
            frozen: numbers of layers (see `network.owners`) that are not trained.
            label: what the fit is for, shown before each epoch's progress.

        Raises:
            InputError: the training diverged.
        """
        keras.utils.set_random_seed(self.seed)
        model = self.make_model()
        if start is not None:
            model.set_weights(start)
        if frozen:
            freeze_layers(model, frozen)
        if masks is not None:
            hold_masks(model, masks, allow_empty_layers=True)  # a high level may leave a layer nothing
        if recipe.epochs == 0 or not model.trainable_weights:
            return model.get_weights()
        compile_classifier(model, keras.optimizers.Adam(recipe.learning_rate))
        callbacks = [
            keras.callbacks.EarlyStopping(
                "val_accuracy", mode="max", patience=recipe.epochs, restore_best_weights=True
            ),
            keras.callbacks.TerminateOnNaN(raise_error=True),
            _Report(self.progress, f"{label} epoch" if label else "epoch", recipe.epochs),
        ]
        try:
            model.fit(
                self.train.x,
                self.train.y,
                batch_size=recipe.batch_size,
                epochs=recipe.epochs,
                validation_data=(self.validation.x, self.validation.y),
                callbacks=callbacks,
                verbose=0,
            )
        except RuntimeError as error:
            raise InputError(f"training diverged; expected a finite loss, lower the learning rate. {error}") from None
        return model.get_weights()


def evaluate(model: "keras.Model", split: Split) -> tuple[float, float]:
    """Accuracy, in [0, 1], and mean loss (cross-entropy in nats plus weight regularization) of a compiled model."""
    result = model.evaluate(split.x, split.y, batch_size=256, verbose=0, return_dict=True)
    # The exact share: Keras's float32 accuracy would put 0.61000001 for 0.61.
    return round(result["accuracy"] * len(split.y)) / len(split.y), float(result["loss"])


def compile_classifier(model: "keras.Model", optimizer: "keras.optimizers.Optimizer | None" = None) -> None:
    """Compiles a model from examples to logits with cross-entropy and accuracy; without an optimizer, to evaluate."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])


class _Report(keras.callbacks.Callback):
    def __init__(self, progress: Progress, label: str, epochs: int):
        super().__init__()
        self.progress, self.label, self.epochs = progress, label, epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        self.progress.advance(
            f"{self.label} {epoch + 1}/{self.epochs}, loss {logs['loss']:.4f}, accuracy {logs['accuracy']:.4f}, "
            f"validation accuracy {logs['val_accuracy']:.4f}"
        )
