"""One stage's work, the same for all methods: evaluate each operating point, write its weights and its row."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from prunefront.common.errors import InputError
from prunefront.common.files import digest, replacing_folder
from prunefront.common.params import Params, Training, load_params
from prunefront.common.runtime import keras, set_up
from prunefront.data.splits import Split, read_class_names, read_split
from prunefront.models.build import build_model, fitted, identity, starting_weights
from prunefront.models.certificate import certify
from prunefront.models.counts import count, describe
from prunefront.models.layers import owners, prunable_by
from prunefront.models.outputs import Head, find_head
from prunefront.models.weights import check_shapes, load_weights, save_weights
from prunefront.pipeline.store import COLUMNS, level_name, load_nearest, unfinished_folder, weights_folder, write_rows
from prunefront.pruning.masks import Weights
from prunefront.training.progress import Progress
from prunefront.training.resume import FinishedFits
from prunefront.training.trainer import Cost, Trainer, compile_classifier, evaluate


@dataclass(frozen=True)
class Experiment:
    """What the stages of one seed share.

    Attributes:
        stage: the name of the stage, and of its method.
        params: the parameters of the run.
        seed: the replicate.
        make_model: builds a new network; the built-in one narrower if it is given a width in (0, 1].
        model: one network of the kind, compiled for evaluating and writing weights; it is never trained.
        head: what its outputs mean.
        validation: the split that everything is chosen by.
        finished: the fits of this stage that an interrupted run completed.
        cost: what the stage has spent on training.
    """

    stage: str
    params: Params
    seed: int
    make_model: Callable[..., "keras.Model"]
    model: "keras.Model"
    head: Head
    validation: Split
    finished: FinishedFits
    cost: Cost = field(default_factory=Cost)

    @cached_property
    def owners(self) -> list[int]:
        """For each weight array the number of its layer."""
        return owners(self.model)

    @cached_property
    def prunable(self) -> list[bool]:
        """For each weight array whether it may be pruned."""
        return prunable_by(self.params.prune, self.model)

    def starting_weights(self) -> Weights | None:
        """The weights that the user brings, None for random ones. Raises InputError if they do not fit the network."""
        return starting_weights(self.params.model, self.model)

    def read(self, split: str) -> Split:
        """A prepared split as the network takes it."""
        return fitted(read_split(split), self.model)

    def progress(self, levels: int, epochs: int = 0) -> Progress:
        """The progress of a stage: at each level its epochs and, as one step more, the evaluation."""
        return Progress(f"{self.stage}, seed {self.seed}", levels * (epochs + 1))

    def trainer(self, progress: Progress, training: Training) -> Trainer:
        """A trainer on the training split, by the recipe that `training` names."""
        recipe = self.params.recipes[training.recipe]
        train = self.read("train")
        teacher = None
        if recipe.distillation > 0:
            teacher = self.make_model()
            teacher.set_weights(self.dense_weights())
        return Trainer(
            self.make_model,
            train,
            self.validation,
            self.seed,
            recipe,
            progress,
            teacher=teacher,
            cost=self.cost,
            finished=self.finished,
            head=self.head,
            identity=identity(self.params.model),
        )

    def dense_weights(self) -> Weights:
        """The baseline's weights."""
        _, weights = load_nearest("baseline", self.seed, 0.0)
        return weights


def set_up_experiment(stage: str, params_file: Path, seed: int | None = None) -> Experiment:
    """Reads the parameters, seeds everything, reads the validation split and builds the network.

    Args:
        stage: its name.
        params_file: see `load_params`.
        seed: the replicate; None takes the first of the parameters' seeds.

    Raises:
        InputError: the parameters are wrong, the data are not prepared, or the network cannot be made or does not fit.
    """
    params = load_params(params_file)
    seed = params.seeds[0] if seed is None else seed
    set_up(params.precision, seed)
    validation = read_split("validation")
    classes = len(read_class_names())

    make_model = partial(build_model, params.model, validation.x.shape[1:], classes)
    model = make_model()
    validation = fitted(validation, model)
    if not any(prunable_by(params.prune, model)):
        raise InputError(
            "Expected a model with trainable kernels, embeddings or biases to prune (prune.biases, prune.include, "
            "prune.exclude). Received: one without; `python -m stages.inspect` lists its layers"
        )
    head = find_head(model, classes, validation.x[:4], params.model.outputs)
    compile_classifier(model, head=head)
    finished = FinishedFits(unfinished_folder(stage, seed))
    return Experiment(stage, params, seed, make_model, model, head, validation, finished)


def record(experiment: Experiment, points: Iterable[tuple[float, Weights]], progress: Progress) -> pd.DataFrame:
    """Evaluates each operating point, writes its weights to `models/` and its row to `metrics/`.

    Earlier results of the stage are replaced only after the last point. Sparsity is counted over all trainable
    parameters, in the weights as they are in the file.

    Args:
        experiment: see `Experiment`.
        points: (target sparsity, weights in model order), lowest level first.
        progress: advanced by one for each point.

    Returns:
        The rows, with the columns of `points.COLUMNS`.

    Raises:
        InputError: weights or loss that are not finite.
    """
    rows, stage = [], experiment.stage
    print(describe(experiment.model, experiment.prunable), flush=True)
    with replacing_folder(weights_folder(stage, experiment.seed)) as folder:
        for level, weights in points:
            row = _record_point(experiment, level, weights, folder)
            rows.append(row)
            progress.advance(
                f"{level:.1%} -> sparsity {row['sparsity']:.4f}, validation accuracy {row['val_accuracy']:.4f}"
            )
        table = pd.DataFrame(rows, columns=COLUMNS)
        write_rows(stage, experiment.seed, table, asdict(experiment.cost))
    experiment.finished.forget()
    return table


def _record_point(experiment: Experiment, level: float, weights: Weights, folder: Path) -> dict[str, object]:
    model, stage = experiment.model, experiment.stage
    check_shapes(weights, model, f"{stage} at {level}")
    path = folder / f"{level_name(level)}.weights.h5"
    model.set_weights(weights)
    save_weights(path, model)
    certify(path)
    model.set_weights(load_weights(path))
    accuracy, loss = evaluate(model, experiment.validation)
    if not np.isfinite(loss):
        raise InputError(f"{stage} at {level}: expected a finite validation loss. Received: {loss}")
    ledger = count(model, experiment.prunable)
    total = ledger.trainable_parameters
    return {
        "method": stage,
        "seed": experiment.seed,
        "target_sparsity": level,
        "sparsity": ledger.trainable_zeros / total,
        "nonzero": total - ledger.trainable_zeros,
        "parameters": total,
        "val_accuracy": accuracy,
        "val_loss": loss,
        "weights_sha256": digest(path),
        **asdict(ledger),
    }
