"""The parameters of a run: `params.yaml`, checked before anything is done."""

import difflib
import reprlib
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args, get_origin

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML

from prunefront.common.errors import InputError, cause
from prunefront.common.sections import (
    NO_FILE,
    Baseline,
    Data,
    Export,
    Format,
    Freeze,
    Gradual,
    Levels,
    Masked,
    Model,
    Pareto,
    Prune,
    RandomMasks,
    Recalibrate,
    Recipe,
    RecipeName,
    Regrow,
    Retraining,
    Runtime,
    Section,
    Seed,
    SmallDense,
    Teacher,
    Training,
)


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
    "regrow": Stage("regrow", "gradual with regrowth"),
    "random_global": Stage("random", "random masks, global", null_baseline=True),
    "random_layerwise": Stage("random", "random masks, layerwise", null_baseline=True),
    "small_dense": Stage("small_dense", "small dense network", null_baseline=True),
}
"""The stages of all methods, in the order of the pipeline and of the results."""
METHODS = tuple(stage for stage, known in STAGES.items() if not known.null_baseline)
NULL_BASELINES = tuple(stage for stage, known in STAGES.items() if known.null_baseline)
TRAINED = ("teacher", "baseline", *STAGES)
"""All stages that have rows of results, in the order of the pipeline."""


class Params(Section):
    """All parameters of a run; the comments in `params.yaml` give each one's meaning and unit."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    precision: Literal["float32", "mixed_bfloat16"]
    runtime: Runtime = Runtime()
    data: Data
    model: Model
    recipes: dict[RecipeName, Recipe]
    teacher: Teacher | None = None
    baseline: Baseline
    prune: Prune
    recalibrate: Recalibrate
    freeze: Freeze
    masked: Masked
    gradual: Gradual
    iterative: Retraining
    magnitude_rewind: Retraining | None = None
    regrow: Regrow | None = None
    random: RandomMasks
    small_dense: SmallDense
    pareto: Pareto
    export: Export = Export()

    @property
    def plain(self) -> bool:
        """Whether the network is prunefront's own, from random weights, may all be pruned, and has no teacher."""
        pruned = self.prune.include, self.prune.exclude
        own = self.model.built_in and self.model.weights == NO_FILE
        return own and pruned == (("*",), ()) and not self.has_teacher

    def section(self, stage: str) -> Any:
        """The parameters of a stage's own; None where a parameter file does not know the method yet."""
        return getattr(self, STAGES[stage].section if stage in STAGES else stage)

    def levels(self, stage: str) -> tuple[float, ...]:
        """The target sparsities of a stage of `STAGES` or of the baseline; none if the method is left out."""
        if stage == "baseline":
            return (0.0,)
        if stage == "teacher":
            return (0.0,) if self.has_teacher else ()
        if stage == "small_dense" and not self.model.built_in:  # nobody knows a narrower form of another network
            return ()
        section: Levels | None = self.section(stage)
        return () if section is None else section.levels

    def seeds_of(self, stage: str) -> tuple[int, ...]:
        """The replicates of a stage that has rows; the teacher is one for all seeds."""
        if stage != "teacher":
            return self.seeds
        return () if self.teacher is None else (self.teacher.seed,)

    def recipe(self, stage: str) -> Recipe | None:
        """How a stage trains; None if it does not."""
        return self.recipes.get(getattr(self.section(stage), "recipe", ""))

    def teachers(self, stage: str, seed: int) -> tuple[tuple[str, int], ...]:
        """The stages and seeds of the networks that a stage's fits imitate; none without distillation."""
        recipe = self.recipe(stage)
        if recipe is None or recipe.distillation == 0:
            return ()
        if recipe.needs_own_teacher:
            return tuple(("teacher", one) for one in self.seeds_of("teacher"))
        return tuple(("baseline", one) for one in (self.seeds if recipe.needs_all_seeds else (seed,)))

    @property
    def has_teacher(self) -> bool:
        """Whether the parameters name a network that others may imitate."""
        return self.teacher is not None and not self.teacher.built_in

    def with_teacher(self) -> "Params":
        """The same with the teacher in the place of the network; nothing of it is kept from pruning, or pruned."""
        prune = self.prune.model_copy(update={"include": ("*",), "exclude": ()})
        return self.model_copy(update={"model": self.teacher, "teacher": None, "prune": prune})

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
            if (
                isinstance(section, Training)
                and 0 < section.fewest_epochs <= self.recipes[section.recipe].warmup_epochs
            ):
                raise ValueError(
                    f"{name}.epochs: expected more than the warmup_epochs of its recipe, "
                    f"{self.recipes[section.recipe].warmup_epochs} (received {section.fewest_epochs})"
                )
        for name in (*["teacher"] * self.has_teacher, "baseline", "small_dense"):
            recipe = self.recipe(name)
            if recipe is not None and recipe.distillation > 0 and (name == "teacher" or recipe.teacher != "own"):
                other = "" if name == "teacher" else " or teacher: own"
                raise ValueError(
                    f"{name}.recipe: expected one with distillation: 0{other}, it is not of a sparse network"
                )
        recipes = {stage: self.recipe(stage) for stage in TRAINED if self.levels(stage)}
        taught = [stage for stage, recipe in recipes.items() if recipe is not None and recipe.needs_own_teacher]
        if taught and not self.has_teacher:
            raise ValueError(
                f"teacher: expected path, builder or application, such as builder: "
                f"prunefront.models.residual:build_residual, since {taught[0]} imitates that network (received none)"
            )
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
