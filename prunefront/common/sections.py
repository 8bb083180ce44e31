"""The sections of the parameters: what each may hold."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

NO_FILE = Path("inputs/none")
"""The path that means "no file of one's own": a DVC dependency cannot be empty."""

# strict: YAML's `true` is no number, and 1.0 would name other files than 1
Level = Annotated[float, Field(ge=0, lt=1, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Fraction = Annotated[float, Field(gt=0, lt=1, strict=True)]
Count = Annotated[int, Field(ge=1, le=10**6, strict=True)]
Epochs = Annotated[int, Field(ge=0, le=10**6, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Side = Annotated[int, Field(ge=1, le=4096, strict=True)]
Pixels = tuple[Side, Side]
Amount = Annotated[float, Field(ge=0, le=1000, strict=True)]
PixelValue = Annotated[float, Field(ge=-1000, le=1000, strict=True)]
Positive = Annotated[float, Field(gt=0, le=1000, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True)]
# DVC reads recipes.NAME as a path of keys
RecipeName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
BUILDER = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
Allocation = Literal["global", "uniform", "erk", "lamp"]
Axis = Literal["sparsity", "bytes", "multiply_adds"]
Rule = Literal["score", "one_standard_error"]
Format = Literal[
    "keras",
    "sparse",
    "sparse_bfloat16",
    "sparse_int8",
    "sparse_int6",
    "sparse_int5",
    "c",
    "litert",
    "litert_sparse",
    "litert_dynamic",
    "litert_int8",
    "litert_int8_sparse",
    "onnx",
]
FORMATS: tuple[Format, ...] = get_args(Format)
BROKEN = {
    "litert_float16_sparse": "LiteRT crashes on files that have both float16 and sparse tensors",
    "litert_dynamic_sparse": "LiteRT loads no file that has both dynamic range quantization and sparse tensors",
}
"""Formats that LiteRT's converter writes and its runtime cannot run, and what happens."""


def _not_empty(path: Path) -> Path:
    if path == Path() or "\0" in str(path):
        raise ValueError(f"expected a path; {NO_FILE} stands for none")
    return path


def _runs(name: object) -> object:
    if isinstance(name, str) and name in BROKEN:
        close = "litert_int8_sparse or litert_sparse"
        raise ValueError(f"expected a format whose files run, such as {close}: {BROKEN[name]}")
    return name


def _no_lookalike(value: object) -> object:
    if type(value) is not int:  # `true` and 1.0 equal 1
        raise ValueError("input should be 1 or 3")
    return value


OwnPath = Annotated[Path, AfterValidator(_not_empty)]
Channels = Annotated[Literal[1, 3], BeforeValidator(_no_lookalike)]


def _one_of_three(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError:  # which would say what is wrong with the value as each of the three
        raise ValueError("expected auto, [low, high] with numbers from -1000 to 1000, or null") from None


AutoRange = Annotated[Literal["auto"] | tuple[PixelValue, PixelValue] | None, WrapValidator(_one_of_three)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class Cifar10(Section):
    classes: tuple[Annotated[int, Field(ge=0, le=9, strict=True)], ...] | None
    crop: Pixels | None

    @model_validator(mode="after")
    def _enough_distinct_classes(self) -> Self:
        if self.classes is not None and (len(set(self.classes)) != len(self.classes) or len(self.classes) < 2):
            raise ValueError("expected at least two different classes")
        return self


class Data(Section):
    source: Literal["digits", "cifar10", "npz", "folder"]
    path: OwnPath
    cifar10: Cifar10
    image_size: Pixels | None
    channels: Channels
    pixel_range: AutoRange
    validation_fraction: Fraction
    test_fraction: Fraction
    seed: Seed

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("expected validation_fraction + test_fraction below 1, so that training data remain")
        if isinstance(self.pixel_range, tuple) and self.pixel_range[0] >= self.pixel_range[1]:
            raise ValueError(f"expected pixel_range upwards, for example [0, 1] (received {list(self.pixel_range)})")
        return self


class Model(Section):
    path: OwnPath
    builder: Annotated[str, Field(pattern=BUILDER)] | None
    code: OwnPath
    application: Text | None
    weights: OwnPath
    outputs: Literal["auto", "logits", "probabilities"]
    trust: Flag

    @property
    def built_in(self) -> bool:
        """Whether the network is prunefront's own."""
        return self.path == NO_FILE and self.builder is None and self.application is None

    @property
    def unwatched(self) -> bool:
        """Whether DVC will miss a change in the code that builds the network."""
        own = self.builder is not None and not self.builder.startswith("prunefront.")
        return own and self.code == NO_FILE

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if (self.path != NO_FILE) + (self.builder is not None) + (self.application is not None) > 1:
            raise ValueError("expected at most one of path, builder and application")
        return self


class Recipe(Section):
    schedule: Literal["constant", "cosine"]
    warmup_epochs: Epochs
    weight_decay: Amount
    label_smoothing: Level
    flip: Flag
    shift: Annotated[int, Field(ge=0, le=4096, strict=True)]
    dropout: Amount
    distillation: Share
    temperature: Annotated[float, Field(gt=0, le=1000, strict=True)]
    averaged: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    teacher: Literal["baseline", "ensemble", "own"] = "baseline"

    @property
    def augments(self) -> bool:
        return self.flip or self.shift > 0

    @property
    def needs_all_seeds(self) -> bool:
        """Whether results of one seed follow from the dense networks of all."""
        return self.distillation > 0 and self.teacher == "ensemble"

    @property
    def needs_own_teacher(self) -> bool:
        """Whether a network that is not pruned, the teacher, is imitated."""
        return self.distillation > 0 and self.teacher == "own"


class Training(Section):
    epochs: Epochs
    batch_size: Count
    learning_rate: Positive
    recipe: Text

    @property
    def dropout(self) -> float | None:
        """The factor on dropout rates in the place of the recipe's; None leaves that."""
        return None

    @property
    def fewest_epochs(self) -> int:
        """Of any of its fits."""
        return self.epochs


class Baseline(Training):
    keep_epoch: Epochs = 0

    @property
    def keeps(self) -> bool:
        """Whether the weights of an early epoch are kept, for methods that rewind to them."""
        return 1 <= self.keep_epoch <= self.epochs


class Teacher(Model, Training):
    """A network of another kind to imitate: where it is from, as in `Model`, and how it is trained."""

    seed: Seed


class Levels(Section):
    levels: tuple[Level, ...]

    @model_validator(mode="after")
    def _upwards(self) -> Self:
        if any(low >= high for low, high in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError("expected levels in increasing order, each once")
        if any(round(level, 8) != level for level in self.levels):
            raise ValueError("expected levels with at most 8 decimals")
        return self


class Prune(Levels):
    biases: Flag
    include: tuple[Text, ...]
    exclude: tuple[Text, ...]
    floor: Annotated[int, Field(ge=0, le=10**6, strict=True)] = 0


class Recalibrate(Levels):
    batch_size: Count


class LevelTraining(Levels, Training):
    """Training at each level; the lists have a number for each of the levels, or none, and then all are alike."""

    level_epochs: tuple[Annotated[int, Field(ge=1, le=10**6, strict=True)], ...] = ()
    level_learning_rates: tuple[Positive, ...] = ()
    level_dropouts: tuple[Amount, ...] = ()

    @model_validator(mode="after")
    def _for_each_level(self) -> Self:
        for key in ("level_epochs", "level_learning_rates", "level_dropouts"):
            given = len(getattr(self, key))
            if given not in (0, len(self.levels)):
                raise ValueError(f"expected {key} for each of {len(self.levels)} levels, or [] (received {given})")
        return self

    @property
    def fewest_epochs(self) -> int:
        """Of any of its levels."""
        return min(self.level_epochs, default=self.epochs)

    @property
    def dropout(self) -> float | None:
        """See `Training`; of the settings of one level."""
        return self.level_dropouts[0] if len(self.level_dropouts) == 1 else None

    def at(self, level: float) -> Self:
        """The settings of one of the levels."""
        index = self.levels.index(level)
        epochs, rates = self.level_epochs, self.level_learning_rates
        return self.model_copy(
            update={
                "epochs": epochs[index] if epochs else self.epochs,
                "learning_rate": rates[index] if rates else self.learning_rate,
                "level_epochs": (),
                "level_learning_rates": (),
                "level_dropouts": self.level_dropouts[index : index + 1],
            }
        )


class Retraining(LevelTraining):
    allocation: Allocation


class Freeze(Retraining):
    frozen_share: Share
    order: Literal["global", "layers"] = "global"
    step: Fraction = 0.1
    caps: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (0.99, 0.95, 0.7)


class Masked(Retraining):
    patience: Epochs = 0


class Gradual(Retraining):
    ramp_epochs: Count
    ramp_steps: Count

    @model_validator(mode="after")
    def _time_to_retrain(self) -> Self:
        if self.levels and self.ramp_epochs >= self.fewest_epochs:
            raise ValueError(
                f"expected ramp_epochs below epochs, so that each level is retrained when it is reached "
                f"(received {self.ramp_epochs} of {self.fewest_epochs})"
            )
        return self


class Regrow(Gradual):
    share: Share = 0.3


class RandomMasks(LevelTraining):
    pass


class SmallDense(LevelTraining):
    pass


class Runtime(Section):
    portable: Flag = False
    threads: Annotated[int, Field(ge=1, le=1024, strict=True)] | None = None
    processes: Annotated[int, Field(ge=1, le=1024, strict=True)] = 1

    @model_validator(mode="after")
    def _threads_said(self) -> Self:
        if self.portable and self.threads is None:
            raise ValueError("expected a number of threads, since it changes results, or portable: false")
        return self


class Pareto(Section):
    gate: Share
    axis: Axis = "sparsity"
    rule: Rule = "score"


class Export(Section):
    formats: tuple[Annotated[Format, BeforeValidator(_runs)], ...] = ()
    tolerance: Share = 0.02

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.formats)) != len(self.formats):
            raise ValueError("expected formats, each once")
        return self
