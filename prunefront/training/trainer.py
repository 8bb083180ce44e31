"""Fitting and evaluating: the only place where models meet data."""

import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np

from prunefront.common.errors import InputError
from prunefront.common.runtime import keras, tf
from prunefront.common.sections import Recipe, Training
from prunefront.data.batches import batch_size, evaluable, fingerprint, in_memory
from prunefront.data.splits import Split
from prunefront.models.layers import freeze_layers
from prunefront.models.outputs import LOGITS, Outputs
from prunefront.pruning.masks import Masks, Weights
from prunefront.pruning.regrowth import regrown_masks
from prunefront.pruning.schedules import Ramp
from prunefront.training.correctness import EachBatch, Right
from prunefront.training.curves import Curves, Epoch
from prunefront.training.gradients import gradients_of
from prunefront.training.hold import hold_masks, move_masks, prune_further
from prunefront.training.network import Network, Networks
from prunefront.training.progress import Progress
from prunefront.training.recipes import augmented, learning_rate, optimizer, scale_dropout, steps_per_epoch
from prunefront.training.resume import FinishedFits
from prunefront.training.teachers import Teachers, distil


@dataclass
class Cost:
    """What has been spent on training.

    Attributes:
        epochs: passes over the training data.
        images: examples seen.
        forward_passes: the work in passes of one example through the network; a training step is three for each
            example, forward and backward for activations and for weights, and distillation adds one of each teacher.
        seconds: of wall-clock time.
    """

    epochs: int = 0
    images: int = 0
    forward_passes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Trainer:
    """Trains and evaluates fresh copies of one network on one data set.

    Attributes:
        make_model: builds the uncompiled network with random weights.
        train: the examples to fit.
        validation: the examples that choose the best epoch.
        seed: of weights, shuffling and dropout, set anew for each fit, so that no fit depends on those before it.
        recipe: how to train.
        progress: where each epoch is reported.
        teachers: the networks that are imitated; None where the recipe does not ask for distillation.
        cost: adds up what the fits took.
        curves: adds up the epochs of the fits.
        finished: keeps the result of each fit, so that an interrupted stage goes on at the next; None keeps nothing.
        outputs: what the network's outputs mean.
        fingerprint: a digest of what the network is made from.
        networks: where the network of the last fit is kept for the next; it may be that of another seed.
    """

    make_model: Callable[[], "keras.Model"]
    train: Split
    validation: Split
    seed: int
    recipe: Recipe
    progress: Progress
    teachers: Teachers | None = None
    cost: Cost = field(default_factory=Cost)
    curves: Curves = field(default_factory=list)
    finished: FinishedFits | None = None
    outputs: Outputs = LOGITS
    fingerprint: str = ""
    networks: Networks = field(default_factory=Networks)

    def steps(self, settings: Training, epochs: int) -> int:
        """Training steps in so many epochs."""
        return epochs * steps_per_epoch(self.train, settings)

    def fit(
        self,
        start: Weights | None,
        settings: Training,
        *,
        masks: Masks | None = None,
        frozen: Collection[int] = (),
        ramp: Ramp | None = None,
        label: str = "",
        choose: bool = True,
    ) -> Weights:
        """Trains and returns the weights of the epoch with the best validation accuracy (the first of equals).

        Args:
            start: weights in model order to start from; None starts from random ones.
            settings: epochs, batch size, learning rate; where there is one, `patience`: after so many epochs without a
                better one the fit ends. The optimizer is always a new one.
            masks: weights to hold at zero, see `hold_masks`.
            frozen: numbers of layers (see `WeightInfo`) that are not trained.
            ramp: prunes the model further while it trains; the best epoch is one of those after it.
            label: what the fit is for, shown before each epoch's progress.
            choose: whether the best epoch is chosen; else it is the last, and no label of the validation split counts.

        Raises:
            InputError: the training diverged.
        """
        return self._trained(start, settings, masks, frozen, ramp, label, choose=choose)[0]

    def fit_keeping(self, start: Weights | None, settings: Training, epoch: int) -> tuple[Weights, Weights]:
        """As `fit`, with the weights after an early epoch beside the best ones.

        Args:
            start, settings: see `fit`.
            epoch: counted from 1, at most `settings.epochs`.
        """
        best, early = self._trained(start, settings, keep=epoch)
        return best, early

    def _trained(
        self,
        start: Weights | None,
        settings: Training,
        masks: Masks | None = None,
        frozen: Collection[int] = (),
        ramp: Ramp | None = None,
        label: str = "",
        keep: int = 0,
        choose: bool = True,
    ) -> list[Weights]:
        """The best weights, or the last ones, and those after epoch `keep` if there is one."""
        keras.utils.set_random_seed(self.seed)
        new = self.make_model()
        key = ""
        if self.finished is not None and settings.epochs > 0:
            shapes = [list(v.shape) for v in new.weights]
            depends_on: list[object] = [settings.model_dump(mode="json"), sorted(frozen), label, keep, choose, shapes]
            depends_on.append(None if ramp is None else asdict(ramp))
            key = self._key(self.finished, depends_on, start, masks)
            found = self.finished.load(key)
            if found is not None:
                results, seconds, curve = found
                self._spent(len(curve), seconds, self._looked_at(settings, ramp))
                self.curves.append((label or "dense", curve))
                self.progress.advance(f"{label}: trained before the stage was interrupted", settings.epochs)
                return results
        network = self._network(new, settings, frozen, masks is not None)
        del new
        model = network.model
        if start is not None:
            model.set_weights(start)
        if masks is not None:  # a high level may leave a layer nothing
            prune_further(model, masks, allow_empty_layers=True)
        if settings.epochs == 0 or not model.trainable_weights:
            return [model.get_weights()] * (2 if keep else 1)
        if self.teachers is not None:
            self.teachers.teach(network.teachers)
        kept = _Kept(keep)
        keras.utils.set_random_seed(self.seed)  # anew: a network that is compiled for the fit draws numbers before it
        begun = time.monotonic()
        self._fit(model, settings, ramp, kept, label, choose)
        seconds = time.monotonic() - begun
        epochs = len(kept.curve)
        if epochs < settings.epochs:
            self.progress.advance(f"{label}: no better epoch any more", settings.epochs - epochs)
        self._spent(epochs, seconds, self._looked_at(settings, ramp))
        self.curves.append((label or "dense", kept.curve))
        results = [model.get_weights(), *kept.weights]
        if self.finished is not None:
            self.finished.save(key, results, seconds, kept.curve)
        return results

    def _network(self, new: "keras.Model", settings: Training, frozen: Collection[int], held: bool) -> Network:
        """The network to train, in the state of a new one; under masks that keep all, where it will be held."""
        rate = learning_rate(self.recipe, settings, steps_per_epoch(self.train, settings))

        def compiled(model: "keras.Model") -> Network:
            scale_dropout(model, self.recipe.dropout if settings.dropout is None else settings.dropout)
            freeze_layers(model, frozen)
            if held:
                hold_masks(model, [np.ones(v.shape, bool) for v in model.weights], adjustable=True)
            models: list[keras.Model] = []
            if self.teachers is not None:
                models, recipe = self.teachers.models(), self.recipe
                distil(model, self.outputs, models, self.teachers.outputs, recipe.distillation, recipe.temperature)
            compile_classifier(model, optimizer(self.recipe, rate), self.outputs, self.recipe.label_smoothing)
            if model.trainable_weights:  # metrics make their variables now: in the step it would be traced twice
                x, y = self.train.x[:1], self.train.y[:1]
                model.compute_metrics(x, y, model(x, training=False))
            return Network(model, models)

        step = [
            self.recipe.model_dump(),
            settings.model_dump(mode="json"),
            sorted(frozen),
            held,
            keras.config.dtype_policy().name,
        ]
        taught = None if self.teachers is None else self.teachers.identity
        return self.networks.get(new, [*step, self.fingerprint, taught], compiled)

    def _key(self, finished: FinishedFits, depends_on: list[object], start: Weights | None, masks: Masks | None) -> str:
        """The name of a fit among those finished: a digest of all that it depends on."""
        policy = keras.config.dtype_policy().name
        taught, arrays = (None, ()) if self.teachers is None else (self.teachers.identity, self.teachers.arrays())
        return finished.key(
            [*depends_on, self.recipe.model_dump(), self.seed, policy, self.fingerprint, taught, self._data],
            [*(start or []), *(masks or []), *arrays],
        )

    @cached_property
    def _data(self) -> list[str]:
        return [fingerprint(self.train), fingerprint(self.validation)]

    def _spent(self, epochs: int, seconds: float, looked_at: int) -> None:
        self.cost.epochs += epochs
        images = epochs * len(self.train.y)
        self.cost.images += images
        taught = 0 if self.teachers is None else round(images * self.teachers.work)
        self.cost.forward_passes += 3 * images + taught + 3 * looked_at
        self.cost.seconds += seconds

    def _looked_at(self, settings: Training, ramp: Ramp | None) -> int:
        """Examples whose gradient says which weights come back."""
        if ramp is None:
            return 0
        steps = self.steps(settings, ramp.epochs)
        return settings.batch_size * sum(ramp.moving(step, steps) > 0 for step in ramp.updates(steps))

    def _batch(self, settings: Training) -> Callable[[int], Split]:
        """Gives for the number of a training step a batch of examples, drawn by the seed."""

        def batch(step: int) -> Split:
            drawn = np.random.default_rng([self.seed, step]).permutation(len(self.train.y))[: settings.batch_size]
            rows = np.sort(drawn)
            return Split(self.train.x[rows], self.train.y[rows])

        return batch

    def _fit(
        self,
        model: "keras.Model",
        settings: Training,
        ramp: Ramp | None,
        kept: "_Kept",
        label: str,
        choose: bool,
    ) -> None:
        best = keras.callbacks.EarlyStopping(
            "val_accuracy",
            mode="max",
            patience=getattr(settings, "patience", 0) or settings.epochs,
            restore_best_weights=True,
            start_from_epoch=0 if ramp is None else ramp.epochs,
        )
        choosing = [best] if choose else []
        ramping = [] if ramp is None else [_Ramping(ramp, self.steps(settings, ramp.epochs), self._batch(settings))]
        # first of all: the others see, and the best epoch is that of, the averages
        averaging = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if self.recipe.averaged else []
        report = _Report(self.progress, f"{label} epoch" if label else "epoch", settings.epochs)
        if self.recipe.augments or not in_memory(self.train):
            data = {"x": augmented(self.train, self.recipe, settings.batch_size, self.seed), "shuffle": False}
        else:
            data = {"x": self.train.x, "y": self.train.y, "batch_size": settings.batch_size}
        try:
            model.fit(
                **data,
                epochs=settings.epochs,
                validation_data=evaluable(self.validation),
                callbacks=[
                    *averaging,
                    *ramping,
                    kept,
                    *choosing,
                    keras.callbacks.TerminateOnNaN(raise_error=True),
                    report,
                ],
                verbose=0,
            )
        except RuntimeError as error:
            raise InputError(f"training diverged; expected a finite loss, lower the learning rate. {error}") from None
        except tf.errors.OpError as error:
            raise _unfit(error) from None


def evaluate(model: "keras.Model", split: Split) -> tuple[float, float]:
    """Accuracy, in [0, 1], and mean loss, see `evaluate_each`."""
    right, loss = evaluate_each(model, split)
    return share(right), loss


def share(right: np.ndarray) -> float:
    """The share of examples that are right, exactly: Keras's float32 accuracy would put 0.61000001 for 0.61."""
    return int(np.count_nonzero(right)) / len(right)


def evaluate_each(model: "keras.Model", split: Split) -> tuple[np.ndarray, float]:
    """For each example whether a model gets it right, and its mean loss, in one pass.

    Args:
        model: compiled to be evaluated only, see `compile_classifier`.
        split: n examples.

    Returns:
        Shape (n,), bool, and cross-entropy in nats plus weight regularization.

    Raises:
        InputError: the model cannot compute with the examples.
    """
    each = EachBatch(batch_size(split))
    try:
        result = model.evaluate(evaluable(split), verbose=0, return_dict=True, callbacks=[each])
    except tf.errors.OpError as error:
        raise _unfit(error) from None
    return each.right(len(split.y)), float(result["loss"])


def answers(model: "keras.Model", split: Split, outputs: Outputs) -> np.ndarray:
    """The class that a model takes each example for, shape (n,), int64; right ones are those that `evaluate` counts."""
    try:
        return outputs.answers(model.predict(evaluable(split), verbose=0))
    except tf.errors.OpError as error:
        raise _unfit(error) from None


def compile_classifier(
    model: "keras.Model",
    optimizer: "keras.optimizers.Optimizer | None" = None,
    outputs: Outputs = LOGITS,
    label_smoothing: float = 0.0,
) -> None:
    """Compiles a classifier of integer labels with cross-entropy and accuracy.

    Args:
        model: changed in place.
        optimizer: None to evaluate only, example by example.
        outputs: what they mean; by default a logit for each class.
        label_smoothing: see `Outputs.loss`.
    """
    metrics = [outputs.accuracy()] if optimizer is not None else [outputs.accuracy(), Right(outputs)]
    model.compile(optimizer, outputs.loss(label_smoothing), metrics=metrics)


def _unfit(error: Exception) -> InputError:
    """An operation failed on values that no check of shapes finds, for example a token that an embedding lacks."""
    lines = [line for line in str(error).splitlines() if line.strip() and "defined at" not in line]
    said = [line for line in lines if "Node:" not in line and not line.lstrip().startswith("File")]
    return InputError(f"Expected examples that the model can compute with. Received: {' '.join(said)[:300]}")


class _Ramping(keras.callbacks.Callback):
    """Prunes the model in training further, every so many steps and, to the full level, at the end of the ramp.

    Where the ramp says so, masks also move, by the gradient of a batch of its own at each update.
    """

    def __init__(self, ramp: Ramp, steps: int, batch: Callable[[int], Split]):
        super().__init__()
        self.ramp, self.steps, self.batch, self.step = ramp, steps, batch, 0
        self.updates = frozenset(ramp.updates(steps))

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        if self.step in self.updates:
            weights = self.model.get_weights()
            masks = self.ramp.masks(weights, self.step, self.steps)
            prune_further(self.model, masks, allow_empty_layers=True)
            share = self.ramp.moving(self.step, self.steps)
            if share > 0:  # after the pruning: the gradient is that of the network without what has left
                gradients = gradients_of(self.model, self.batch(self.step))
                moved = regrown_masks(weights, masks, gradients, share, self.ramp.prunable, self.ramp.score)
                move_masks(self.model, moved, allow_empty_layers=True)
        self.step += 1


class _Kept(keras.callbacks.Callback):
    """Keeps what each epoch came to, and the weights after one of them, counted from 1; 0 keeps no weights."""

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch
        self.weights: list[Weights] = []
        self.curve: list[Epoch] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        self.curve.append(Epoch(**{name: (logs or {})[name] for name in Epoch._fields[:-1]}, learning_rate=rate))
        if epoch + 1 == self.epoch:
            self.weights.append(self.model.get_weights())


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
