"""One stage's work, the same for all methods: evaluate each operating point, write its weights and its row."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from prunefront.certificate import certify
from prunefront.data import Split, read_class_names, read_split
from prunefront.errors import InputError
from prunefront.files import digest, replacing, replacing_folder, write_json
from prunefront.masks import Weights
from prunefront.network import build_network, count_trainable, owners, prunable
from prunefront.params import NO_FILE, Params, Training, load_params
from prunefront.points import COLUMNS, cost_file, level_name, load_nearest, rows_file, unfinished_folder, weights_folder
from prunefront.progress import Progress
from prunefront.resume import FinishedFits
from prunefront.runtime import keras, set_up
from prunefront.training import Cost, Trainer, compile_classifier, evaluate
from prunefront.weights import check_shapes, load_weights, save_weights


@dataclass(frozen=True)
class Experiment:
    """What the stages of one seed share.

    Attributes:
        stage: the name of the stage, and of its method.
        params: the parameters of the run.
        seed: the replicate.
        make_model: builds the uncompiled network, narrower if it is given a width in (0, 1].
        model: one network of the kind, compiled for evaluating and writing weights; it is never trained.
        validation: the split that everything is chosen by.
        finished: the fits of this stage that an interrupted run completed.
        cost: what the stage has spent on training.
    """

    stage: str
    params: Params
    seed: int
    make_model: Callable[..., "keras.Model"]
    model: "keras.Model"
    validation: Split
    finished: FinishedFits
    cost: Cost = field(default_factory=Cost)

    @property
    def owners(self) -> list[int]:
        """For each weight array the number of its layer."""
        return owners(self.model)

    @property
    def prunable(self) -> list[bool]:
        """For each weight array whether it may be pruned."""
        return prunable(self.model, self.params.prune.biases)

    def starting_weights(self) -> Weights | None:
        """The weights of `model.weights`, None for random ones. Raises InputError if they do not fit the network."""
        path = self.params.model.weights
        if path == NO_FILE:
            return None
        weights = load_weights(path)
        check_shapes(weights, self.model, f"model.weights ({path})")
        return weights

    def progress(self, levels: int, epochs: int = 0) -> Progress:
        """The progress of a stage: at each level its epochs and, as one step more, the evaluation."""
        return Progress(f"{self.stage}, seed {self.seed}", levels * (epochs + 1))

    def trainer(self, progress: Progress, training: Training) -> Trainer:
        """A trainer on the training split, by the recipe that `training` names."""
        recipe = self.params.recipes[training.recipe]
        train = read_split("train")
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
        InputError: the parameters are wrong, or the data are not prepared or do not fit the network.
    """
    params = load_params(params_file)
    seed = params.seeds[0] if seed is None else seed
    set_up(params.precision, seed)
    validation = read_split("validation")
    classes = len(read_class_names())

    make_model = partial(build_network, validation.x.shape[1:], classes)
    model = make_model()
    compile_classifier(model)
    return Experiment(stage, params, seed, make_model, model, validation, FinishedFits(unfinished_folder(stage, seed)))


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
    with replacing_folder(weights_folder(stage, experiment.seed)) as folder:
        for level, weights in points:
            row = _record_point(experiment, level, weights, folder)
            rows.append(row)
            progress.advance(
                f"{level:.1%} -> sparsity {row['sparsity']:.4f}, validation accuracy {row['val_accuracy']:.4f}"
            )
        table = pd.DataFrame(rows, columns=COLUMNS)
        table_path = rows_file(stage, experiment.seed)
        with replacing(table_path) as partial:
            table.to_csv(partial, index=False, lineterminator="\n")
        write_json(table_path.with_suffix(".json"), summary(table))
        write_json(cost_file(stage, experiment.seed), {"rows_sha256": digest(table_path), **asdict(experiment.cost)})
    experiment.finished.forget()
    return table


def summary(rows: pd.DataFrame) -> dict[str, object]:
    """A stage's rows as a few scalars for `dvc metrics`; the rows themselves are in the CSV file beside them."""
    if rows.empty:
        return {"points": 0}
    sparsest = rows.iloc[int(rows["sparsity"].argmax())]
    return {
        "points": len(rows),
        "val_accuracy_best": float(rows["val_accuracy"].max()),
        "val_accuracy_mean": float(rows["val_accuracy"].mean()),
        "val_accuracy_sparsest": float(sparsest["val_accuracy"]),
        "sparsity_max": float(sparsest["sparsity"]),
    }


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
    nonzero, total = count_trainable(model)
    return {
        "method": stage,
        "seed": experiment.seed,
        "target_sparsity": level,
        "sparsity": (total - nonzero) / total,
        "nonzero": nonzero,
        "parameters": total,
        "val_accuracy": accuracy,
        "val_loss": loss,
        "weights_sha256": digest(path),
    }
