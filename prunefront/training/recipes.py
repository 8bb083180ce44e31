"""What a training recipe means: learning rate, augmentation, dropout; made of Keras's own parts."""

import math

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras, tf
from prunefront.common.sections import Recipe, Training
from prunefront.data.batches import shuffled
from prunefront.data.splits import Split
from prunefront.models.layers import layers_of


def learning_rate(
    recipe: Recipe, settings: Training, steps_per_epoch: int
) -> "float | keras.optimizers.schedules.LearningRateSchedule":
    """The learning rate of a fit: constant, or half a cosine down to 0, after a linear rise from 0."""
    if recipe.schedule == "constant" and recipe.warmup_epochs == 0:
        return settings.learning_rate
    warmup = min(recipe.warmup_epochs, settings.epochs) * steps_per_epoch
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else settings.learning_rate,
        decay_steps=max(1, settings.epochs * steps_per_epoch - warmup),
        alpha=1.0 if recipe.schedule == "constant" else 0.0,  # the share that is left at the end
        warmup_target=settings.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def optimizer(recipe: Recipe, rate: "float | keras.optimizers.schedules.LearningRateSchedule") -> "keras.Optimizer":
    """Adam, with decoupled weight decay (AdamW) and moving averages of the weights where the recipe has some."""
    averaged = {"use_ema": True, "ema_momentum": recipe.averaged} if recipe.averaged else {}
    return keras.optimizers.Adam(rate, weight_decay=recipe.weight_decay or None, **averaged)


def augmented(train: Split, recipe: Recipe, batch_size: int, seed: int) -> "tf.data.Dataset":
    """Batches of the training split, shuffled anew each epoch, with each image flipped and shifted at random.

    Args:
        train: images of shape (n, height, width, channels), or any examples if the recipe neither flips nor shifts.
        recipe: `flip` (left to right, every second image) and `shift` (up to so many pixels each way; what comes in
            from outside is black).
        batch_size: images a batch.
        seed: in [0, 2**32).

    Raises:
        InputError: the recipe flips or shifts, and the examples are no images.
    """
    if not recipe.augments:
        return shuffled(train, batch_size, seed)
    if train.x.ndim != 4:
        raise InputError(
            f"Expected images to flip and shift, of shape (height, width, channels); name a recipe with flip: false "
            f"and shift: 0. Received: examples of shape {train.x.shape[1:]}"
        )
    height, width = train.x.shape[1:3]
    layers = []
    if recipe.flip:
        layers.append(keras.layers.RandomFlip("horizontal", seed=seed, dtype="float32"))
    if recipe.shift:
        factors = min(1.0, recipe.shift / height), min(1.0, recipe.shift / width)
        layers.append(
            keras.layers.RandomTranslation(
                *factors, fill_mode="constant", interpolation="nearest", seed=seed, dtype="float32"
            )
        )

    def augment(x: "tf.Tensor", y: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        for layer in layers:
            x = layer(x, training=True)
        return x, y

    return shuffled(train, batch_size, seed).map(augment).prefetch(4)


def scale_dropout(model: "keras.Model", factor: float) -> None:
    """Multiplies the rates of all dropout layers, kept below 1. Call it before the model is compiled."""
    dropout = (
        keras.layers.Dropout,
        keras.layers.SpatialDropout1D,
        keras.layers.SpatialDropout2D,
        keras.layers.SpatialDropout3D,
        keras.layers.GaussianDropout,
        keras.layers.AlphaDropout,
    )
    for _, layer in layers_of(model):
        if isinstance(layer, dropout):
            layer.rate = float(np.clip(layer.rate * factor, 0, 0.95))


def steps_per_epoch(train: Split, settings: Training) -> int:
    """Training steps of one pass over the data."""
    return math.ceil(len(train.y) / settings.batch_size)
