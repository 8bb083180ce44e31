"""One stage's work, the same for all methods: evaluate each operating point, write its weights and its row."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prunefront.common.errors import InputError
from prunefront.common.files import digest, replacing_folder
from prunefront.common.params import Params
from prunefront.common.provenance import write_provenance
from prunefront.common.runtime import keras, set_up
from prunefront.common.sections import LevelTraining, Model, Prune
from prunefront.data.splits import PREPARED, Split, read_class_names, read_split
from prunefront.models.build import as_model_input, build_model, fingerprint, of_teacher, starting_weights
from prunefront.models.certificate import certify_read
from prunefront.models.counts import count, describe
from prunefront.models.layers import WeightInfo, describe_weights, layers_of, no_kernel
from prunefront.models.multiply_adds import multiply_adds, uses
from prunefront.models.outputs import Outputs, find_outputs
from prunefront.models.weights import check_shapes, save_weights
from prunefront.pipeline.correct import correct_name, write_correct
from prunefront.pipeline.costs import measure, note
from prunefront.pipeline.points import COLUMNS
from prunefront.pipeline.store import (
    kept_file,
    level_name,
    load_kept,
    load_nearest,
    rows_file,
    unfinished_folder,
    weights_file,
    weights_folder,
    write_rows,
)
from prunefront.pruning.masks import Weights
from prunefront.pruning.saliency import ALLOCATIONS, Score, Sparing
from prunefront.training.curves import Curves, curves_file, write_curves
from prunefront.training.network import Networks
from prunefront.training.progress import Progress
from prunefront.training.resume import FinishedFits
from prunefront.training.teachers import Teachers
from prunefront.training.trainer import Cost, Trainer, compile_classifier, evaluate_each, share


@dataclass(frozen=True)
class Run:
    """What a stage works with, for one seed.

    Attributes:
        stage: the name of the stage, and of its method.
        params: the parameters of the run.
        network: where the network is from: the one to prune, or the teacher.
        seed: the replicate.
        make_model: builds a new network; the built-in one narrower if it is given a width in (0, 1].
        model: one network of the kind, compiled for evaluating and writing weights; it is never trained.
        weights: what its weight arrays are.
        outputs: what its outputs mean.
        validation: the split that everything is chosen by.
        cost: what the stage has spent on training.
        curves: the epochs of its fits.
        kept: further weights to be written, each to a folder of that name beside the stage's; None empties it.
        starts: digests of the weights of other stages that were read, by their paths.
        warnings: what is to be said of the results, a line each.
        networks: what its fits train, shared with the runs of other seeds.
    """

    stage: str
    params: Params
    network: Model
    seed: int
    make_model: Callable[..., "keras.Model"]
    model: "keras.Model"
    weights: list[WeightInfo]
    outputs: Outputs
    validation: Split
    cost: Cost = field(default_factory=Cost)
    curves: Curves = field(default_factory=list)
    kept: dict[str, Weights | None] = field(default_factory=dict)
    starts: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    networks: Networks = field(default_factory=Networks)

    @property
    def settings(self) -> Any:
        """The stage's section of the parameters."""
        return self.params.section(self.stage)

    @property
    def score(self) -> Score:
        """The saliency score that the settings name, which allocates the sparsity over the layers; or the magnitude."""
        return self.sparing(ALLOCATIONS[getattr(self.settings, "allocation", "global")])

    def sparing(self, score: Score) -> Score:
        """A score that keeps `prune.floor` weights of each array at every level."""
        floor = self.params.prune.floor
        return Sparing(score, floor) if floor else score  # magnitudes alone are read off the bits of the weights

    @property
    def prunable(self) -> list[bool]:
        """For each weight array whether it may be pruned."""
        return [weight.prunable for weight in self.weights]

    @property
    def prunable_kernels(self) -> list[bool]:
        """For each weight array whether it is a kernel, or embeddings, that may be pruned."""
        return [weight.prunable and weight.kernel for weight in self.weights]

    @property
    def layer_numbers(self) -> list[int]:
        """For each weight array the number of its layer."""
        return [weight.number for weight in self.weights]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each weight array."""
        return [weight.shape for weight in self.weights]

    @cached_property
    def uses(self) -> list[int]:
        """For each weight array how often one example multiplies with each of its entries."""
        times = uses(self.model, self.validation.x[:1])
        return [times.get(id(variable), 0) for variable in self.model.weights]

    @property
    def start(self) -> Weights | None:
        """The weights that the user brings, None for random ones. Raises InputError if they do not fit the network."""
        return starting_weights(self.network, self.model)

    @property
    def dense(self) -> Weights:
        """The baseline's weights."""
        return self.load("baseline", 0.0)[1]

    @property
    def early(self) -> Weights:
        """The weights of the early epoch that the baseline kept."""
        early = load_kept("baseline_early", self.seed)
        self._started_from(kept_file(weights_folder("baseline_early", self.seed)))
        return early

    @property
    def teachers(self) -> Teachers | None:
        """The networks that the fits imitate, see `Params.teachers`."""
        named = self.params.teachers(self.stage, self.seed)
        if not named:
            return None
        weights = [self._load(stage, 0.0, seed)[1] for stage, seed in named]
        if named[0][0] == "baseline":
            return Teachers(self.make_model, weights, self.outputs)
        return self._own_teacher(weights)

    def _own_teacher(self, weights: Sequence[Weights]) -> Teachers:
        params, example, classes = self.params.with_teacher().model, self.validation.x[:4], len(self.class_names)
        make_model = partial(build_model, params, example.shape[1:], classes)
        with of_teacher():
            model = make_model()
            check_shapes(weights[0], model, "the teacher's weights")
            outputs = find_outputs(model, classes, example, params.outputs)
        work, own = (multiply_adds(m, [np.ones(w.shape) for w in m.weights], example[:1]) for m in (model, self.model))
        return Teachers(make_model, weights, outputs, fingerprint(params), work / max(1, own))

    def load(self, stage: str, level: float) -> tuple[float, Weights]:
        """Another stage's point of the same seed, see `load_nearest`."""
        return self._load(stage, level, self.seed)

    def _load(self, stage: str, level: float, seed: int) -> tuple[float, Weights]:
        found, weights = load_nearest(stage, seed, level)
        self._started_from(weights_file(stage, seed, found))
        return found, weights

    def _started_from(self, path: Path) -> None:
        self.starts[path.as_posix()] = digest(path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of their numbers."""
        return read_class_names()

    def read(self, split: str) -> Split:
        """A prepared split as the network takes it."""
        return as_model_input(read_split(split), self.model)

    @cached_property
    def progress(self) -> Progress:
        """Of the whole stage: at each level its epochs and, as one step more, the evaluation."""
        levels, settings = self.params.levels(self.stage), self.settings
        each = [settings.at(level) if isinstance(settings, LevelTraining) else settings for level in levels]
        epochs = sum(getattr(one, "epochs", 0) for one in each)
        return Progress(f"{self.stage}, seed {self.seed}", epochs + len(levels))

    @cached_property
    def finished(self) -> FinishedFits:
        """The fits of this stage that an interrupted run completed."""
        return FinishedFits(unfinished_folder(self.stage, self.seed), self.stage)

    @cached_property
    def trainer(self) -> Trainer:
        """A trainer on the training split, by the recipe that the settings name."""
        recipe = self.params.recipes[self.settings.recipe]
        train = self.read("train")
        return Trainer(
            self.make_model,
            train,
            self.validation,
            self.seed,
            recipe,
            self.progress,
            teachers=self.teachers,
            cost=self.cost,
            curves=self.curves,
            finished=self.finished,
            outputs=self.outputs,
            fingerprint=fingerprint(self.network),
            networks=self.networks,
        )


def open_run(stage: str, params: Params, seed: int, networks: Networks | None = None) -> Run:
    """Seeds everything, reads the validation split and builds the network.

    Args:
        stage: its name.
        params: the parameters of the run.
        seed: the replicate.
        networks: see `Run`.

    Raises:
        InputError: the data are not prepared, or the network cannot be made or does not fit.
    """
    set_up(params.precision, seed)
    if stage != "teacher":
        return _opened(stage, params, params.model, params.prune, seed, networks or Networks())
    teacher = params.with_teacher()
    with of_teacher():
        return _opened(stage, params, teacher.model, teacher.prune, seed, networks or Networks())


def _opened(stage: str, params: Params, network: Model, prune: Prune, seed: int, networks: Networks) -> Run:
    validation = read_split("validation")
    classes = len(read_class_names())
    make_model = partial(build_model, network, validation.x.shape[1:], classes)
    model = make_model()
    if network.builder is not None:
        make_model = partial(_alike, make_model, _kind(model), network.builder)
    validation = as_model_input(validation, model)
    weights = describe_weights(model, prune.biases, prune.include, prune.exclude)
    nothing = no_kernel(weights)
    if nothing is not None:
        raise InputError(nothing)
    outputs = find_outputs(model, classes, validation.x[:4], network.outputs)
    compile_classifier(model, outputs=outputs)
    return Run(stage, params, network, seed, make_model, model, weights, outputs, validation, networks=networks)


def _alike(make_model: Callable[[], "keras.Model"], kind: object, builder: str) -> "keras.Model":
    """A new network of the user's function, after a check that it is like the first."""
    model = make_model()
    if _kind(model) != kind:
        raise InputError(f"model.builder: expected {builder} to build the same network each time. Received: another")
    return model


def _kind(model: "keras.Model") -> object:
    """What two networks of one builder have in common."""
    layers = [type(layer).__name__ for _, layer in layers_of(model)]
    return layers, [(tuple(weight.shape), weight.dtype, weight.trainable) for weight in model.weights]


def record(run: Run, points: Iterable[tuple[float, Weights]]) -> pd.DataFrame:
    """Evaluates each operating point, writes its weights and what it gets right to `models/`, its row to `metrics/`.

    Earlier results of the stage are replaced only after the last point. Sparsity is counted over all trainable
    parameters, in the weights as they are in the file.

    Args:
        run: see `Run`; its progress is advanced by one for each point.
        points: (target sparsity, weights in model order), lowest level first.

    Returns:
        The rows, with the columns of `points.COLUMNS`.

    Raises:
        InputError: weights or loss that are not finite.
    """
    rows, stage = [], run.stage
    if run.network is run.params.model:  # the teacher is not pruned
        print("\n".join(filter(None, (describe(run.weights), note(run.model)))), flush=True)
    with run.progress as progress, replacing_folder(weights_folder(stage, run.seed)) as folder:
        for level, weights in points:
            row = _record_point(run, level, weights, folder)
            rows.append(row)
            progress.advance(
                f"{level:.1%} -> sparsity {row['sparsity']:.4f}, validation accuracy {row['val_accuracy']:.4f}"
            )
        if run.curves:
            write_curves(curves_file(folder), run.curves)
        table = pd.DataFrame(rows, columns=COLUMNS)
        write_rows(stage, run.seed, table, asdict(run.cost))
    for name, kept in run.kept.items():
        with replacing_folder(weights_folder(name, run.seed)) as folder:
            if kept is not None:
                _write_weights(kept_file(folder), kept, run.model)
    write_provenance(stage, run.params, PREPARED, [rows_file(stage, run.seed)], run.starts, run.warnings)
    run.finished.forget()
    return table


def _write_weights(path: Path, weights: Weights, model: "keras.Model") -> tuple[Weights, str]:
    """Writes weights and their certificate; gives those read back and the digest of the file."""
    model.set_weights(weights)
    written = save_weights(path, model, like=next(path.parent.glob("s*.weights.h5"), None))
    return list(written.values()), certify_read(path, written).sha256


def _record_point(run: Run, level: float, weights: Weights, folder: Path) -> dict[str, object]:
    model, stage = run.model, run.stage
    check_shapes(weights, model, f"{stage} at {level}")
    written, weights_sha256 = _write_weights(folder / f"{level_name(level)}.weights.h5", weights, model)
    model.set_weights(written)
    right, loss = evaluate_each(model, run.validation)
    if not np.isfinite(loss):
        raise InputError(f"{stage} at {level}: expected a finite validation loss. Received: {loss}")
    counts = count(run.weights, written)
    total = counts.trainable_parameters
    write_correct(folder / correct_name(level), right[np.newaxis], run.validation.y, [weights_sha256])
    return {
        "method": stage,
        "seed": run.seed,
        "target_sparsity": level,
        "sparsity": counts.trainable_zeros / total,
        "nonzero": total - counts.trainable_zeros,
        "parameters": total,
        "val_accuracy": share(right),
        "val_loss": loss,
        "weights_sha256": weights_sha256,
        **asdict(counts),
        **asdict(measure(model, run.weights, run.uses, run.validation)),
    }
