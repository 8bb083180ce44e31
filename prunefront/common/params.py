"""The parameters of a run: `params.yaml`, checked before anything is done."""

import difflib
import reprlib
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args, get_origin

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
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML

from prunefront.common.errors import InputError, cause

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
        return self.builder is not None and self.code == NO_FILE

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

    @property
    def augments(self) -> bool:
        return self.flip or self.shift > 0


class Training(Section):
    epochs: Epochs
    batch_size: Count
    learning_rate: Positive
    recipe: Text


class Baseline(Training):
    keep_epoch: Epochs = 0

    @property
    def keeps(self) -> bool:
        """Whether the weights of an early epoch are kept, for methods that rewind to them."""
        return 1 <= self.keep_epoch <= self.epochs


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


class Retraining(Levels, Training):
    allocation: Allocation


class Freeze(Retraining):
    frozen_share: Share


class Gradual(Retraining):
    ramp_epochs: Count
    ramp_steps: Count

    @model_validator(mode="after")
    def _time_to_retrain(self) -> Self:
        if self.levels and self.ramp_epochs >= self.epochs:
            raise ValueError(
                f"expected ramp_epochs below epochs, so that each level is retrained when it is reached "
                f"(received {self.ramp_epochs} of {self.epochs})"
            )
        return self


class RandomMasks(Levels, Training):
    pass


class SmallDense(Levels, Training):
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


class Stage(NamedTuple):
    """What is known of a method's stage.

    Attributes:
        section: the name of its section of the parameters.
        name: what people call the method, in pictures and reports; lower case, unlike any other's.
        null_baseline: whether it is shown but never submitted.
        rewinds: whether it needs the weights that the baseline keeps of an early epoch.
    """

    section: str
    name: str
    null_baseline: bool = False
    rewinds: bool = False


STAGES = {
    "prune_global": Stage("prune", "global magnitude"),
    "prune_layerwise": Stage("prune", "layerwise magnitude"),
    "recalibrated_global": Stage("recalibrate", "global magnitude, recalibrated"),
    "recalibrated_layerwise": Stage("recalibrate", "layerwise magnitude, recalibrated"),
    "freeze": Stage("freeze", "freeze and retrain"),
    "masked": Stage("masked", "masked retraining"),
    "gradual": Stage("gradual", "gradual magnitude"),
    "iterative": Stage("iterative", "iterative magnitude"),
    "magnitude_rewind": Stage("magnitude_rewind", "magnitude rewinding", rewinds=True),
    "random_global": Stage("random", "random masks, global", null_baseline=True),
    "random_layerwise": Stage("random", "random masks, layerwise", null_baseline=True),
    "small_dense": Stage("small_dense", "small dense network", null_baseline=True),
}
"""The stages of all methods, in the order of the pipeline and of the results."""
METHODS = tuple(stage for stage, known in STAGES.items() if not known.null_baseline)
NULL_BASELINES = tuple(stage for stage, known in STAGES.items() if known.null_baseline)


class Params(Section):
    """All parameters of a run; the comments in `params.yaml` give each one's meaning and unit."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    precision: Literal["float32", "mixed_bfloat16"]
    runtime: Runtime = Runtime()
    data: Data
    model: Model
    recipes: dict[RecipeName, Recipe]
    baseline: Baseline
    prune: Prune
    recalibrate: Recalibrate
    freeze: Freeze
    masked: Retraining
    gradual: Gradual
    iterative: Retraining
    magnitude_rewind: Retraining | None = None
    random: RandomMasks
    small_dense: SmallDense
    pareto: Pareto
    export: Export = Export()

    @property
    def plain(self) -> bool:
        """Whether the network is prunefront's own, from random weights, and all of it may be pruned."""
        pruned = self.prune.include, self.prune.exclude
        return self.model.built_in and self.model.weights == NO_FILE and pruned == (("*",), ())

    def section(self, stage: str) -> Any:
        """The parameters of a stage's own; None where a parameter file does not know the method yet."""
        return getattr(self, STAGES[stage].section if stage in STAGES else stage)

    def levels(self, stage: str) -> tuple[float, ...]:
        """The target sparsities of a stage of `STAGES` or of the baseline; none if the method is left out."""
        if stage == "baseline":
            return (0.0,)
        if stage == "small_dense" and not self.model.built_in:  # nobody knows a narrower form of another network
            return ()
        section: Levels | None = self.section(stage)
        return () if section is None else section.levels

    @model_validator(mode="after")
    def _portable_in_float32(self) -> Self:
        # AVX2 has no bfloat16, and what stands in for it goes by the processor's caches
        if self.runtime.portable and self.precision != "float32":
            raise ValueError(f"runtime.portable: expected precision: float32, or false (received {self.precision})")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: expected each seed once")
        for name, section in self:
            if isinstance(section, Training) and section.recipe not in self.recipes:
                raise ValueError(
                    f"{name}.recipe: expected one of recipes, {', '.join(self.recipes)} (received {section.recipe})"
                )
            if isinstance(section, Training) and 0 < section.epochs <= self.recipes[section.recipe].warmup_epochs:
                raise ValueError(
                    f"{name}.epochs: expected more than the warmup_epochs of its recipe, "
                    f"{self.recipes[section.recipe].warmup_epochs} (received {section.epochs})"
                )
        for name in ("baseline", "small_dense"):
            if self.recipes[getattr(self, name).recipe].distillation > 0:
                raise ValueError(f"{name}.recipe: expected one with distillation: 0, a dense network has no teacher")
        if not self.prune.levels:
            raise ValueError("prune.levels: expected at least one level")
        if self.masked.levels and not self.freeze.levels:
            raise ValueError("freeze.levels: expected at least one, since method 4 starts from method 3's weights")
        if self.masked.levels and self.masked.levels[0] < self.freeze.levels[0]:
            raise ValueError(
                f"masked.levels: expected no level below the first of freeze.levels, {self.freeze.levels[0]}, "
                f"since method 4 starts from method 3's weights (received {self.masked.levels[0]})"
            )
        rewinding = [stage for stage, known in STAGES.items() if known.rewinds and self.levels(stage)]
        if rewinding and not self.baseline.keeps:
            raise ValueError(
                f"baseline.keep_epoch: expected an epoch from 1 to baseline.epochs, {self.baseline.epochs}, since "
                f"{rewinding[0]} goes back to its weights (received {self.baseline.keep_epoch})"
            )
        absent = [level for level in self.recalibrate.levels if level not in self.prune.levels]
        if absent:
            raise ValueError(f"recalibrate.levels: expected some of prune.levels (received {absent[0]})")
        if self.freeze.levels and self.freeze.levels[0] < self.prune.levels[0]:
            raise ValueError(
                f"freeze.levels: expected no level below the first of prune.levels, {self.prune.levels[0]}, since "
                f"method 3 starts from method 1's weights (received {self.freeze.levels[0]})"
            )
        return self


def load_params(path: Path) -> Params:
    """Reads and checks a parameter file.

    Args:
        path: a YAML file with exactly the keys of `Params`.

    Raises:
        InputError: the file is missing, is not YAML, or a key or value is wrong (the first one is named).
    """
    try:
        content = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"Expected a parameter file, run the command in the project's folder. Received: {path}, which "
            "does not exist"
        ) from None
    except Exception as error:  # a date that does not exist, a number of 5,000 digits, lists 5,000 deep
        raise InputError(f"{path}: expected a readable YAML file. Received: {cause(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected sections such as `data:` and `masked:`. Received: {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_explain(error)}") from None


def check_formats(names: Sequence[str]) -> tuple[Format, ...]:
    """Names of formats, each known and given once. Raises InputError otherwise."""
    try:
        return Export(formats=tuple(names)).formats  # type: ignore[arg-type]
    except ValidationError as error:
        raise InputError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    # A misspelt parameter is missing as well: the unknown name tells more.
    errors: list[ErrorDetails] = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first, count = errors[0], len(errors)
    where = ".".join(str(part)[:80] for part in first["loc"])
    more = f" (and {count - 1} more)" if count > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"expected one of {', '.join(known)}"
        return f"unknown parameter '{where}': {hint}{more}"
    if first["type"] == "missing":
        every = "`prunefront preset default --params default.yaml` writes every one"
        return f"missing parameter '{where}': add it, {every}{more}"
    message = first["msg"].removeprefix("Value error, ")
    received = "" if isinstance(first["input"], dict) else f" Received: {_shown(first['input'])}"
    return f"{where + ': ' if where else ''}{message[0].lower() + message[1:]}.{received}{more}"


def _shown(value: object) -> str:
    """A value as text, however long or deep it is."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    try:
        return short.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    section: Any = Params
    for part in location:
        named = get_origin(section) is dict  # recipes, by names of the user's own
        section = get_args(section)[1] if named else section.model_fields[part].annotation
        if isinstance(section, UnionType):  # with None, where older files lack the section
            section = next(kind for kind in get_args(section) if kind is not NoneType)
    return list(section.model_fields)
