"""Blalock, Gonzalez Ortiz, Frankle and Guttag's checklist for evaluations of pruning, answered from a run's results.

"What is the state of neural network pruning?" (MLSys 2020), appendix B, in words of our own. Each answer is found in
the results at hand: the same page of another run answers otherwise.
"""

from collections.abc import Sequence
from importlib.metadata import metadata
from typing import Literal, NamedTuple

import pandas as pd

from prunefront.common.params import NULL_BASELINES
from prunefront.common.sections import NO_FILE
from prunefront.frontier.names import method_name
from prunefront.report.results import Results

Verdict = Literal["yes", "partly", "no"]
EXTREME = 0.05
"""The validation accuracy that has to be lost at the sparsest point for a range of sparsities to reach its end."""
ALIKE = 0.01
"""Sparsities of a layer that differ by no more count as the same."""


class Answer(NamedTuple):
    """An item of the checklist under its heading, and what the results say of it."""

    heading: str
    question: str
    verdict: Verdict
    evidence: str


def answers(results: Results, hardware: str | None) -> list[Answer]:
    """The checklist, in its order.

    Args:
        results: of the run.
        hardware: the machine, where the page says it.
    """
    method, experiment = "The technique", "Every experiment"
    figures, compared = "Every result", "Comparisons"
    return [
        Answer(
            method, "Set beside magnitude pruning, recent techniques and those from before 2010?", *_context(results)
        ),
        Answer(
            method, "Algorithm, its parts and hyperparameters given in enough detail to be repeated?", *_detail(results)
        ),
        Answer(method, "Claims restricted to the experiments that were made?", *_claims(results)),
        Answer(method, "A link to the source code?", *_source()),
        Answer(experiment, "Architecture and its hyperparameters given in enough detail?", *_architecture(results)),
        Answer(experiment, "A known architecture cited, or what differs from it described?", *_citation(results)),
        Answer(experiment, "Data set, batch size and augmentation given in enough detail?", *_data(results)),
        Answer(experiment, "Library and hardware described?", *_hardware(results, hardware)),
        Answer(figures, "A range of sparsities, up to where the accuracy falls off?", *_range(results)),
        Answer(figures, "The accuracy itself given at each point?", *_raw(results)),
        Answer(figures, "Several runs with their own initial weights and seeds?", *_seeds(results)),
        Answer(figures, "Means with error bars, and what these are?", *_bars(results)),
        Answer(figures, "Multiply-adds counted?", *_operations(results)),
        Answer(compared, "A random pruning baseline over all weights?", *_baseline(results, ["random_global"])),
        Answer(
            compared,
            "A random pruning baseline with the technique's own sparsity in each layer?",
            *_same_layers(results, ["random_layerwise", "random_global"]),
        ),
        Answer(
            compared,
            "A magnitude baseline, global or with one sparsity for all layers?",
            *_baseline(results, ["prune_global", "prune_layerwise"]),
        ),
        Answer(
            compared,
            "A magnitude baseline with the technique's own sparsity in each layer?",
            *_same_layers(results, ["prune_global", "prune_layerwise"]),
        ),
        Answer(compared, "Other techniques, and how their numbers were made?", *_others(results)),
    ]


Found = tuple[Verdict, str]


def _context(results: Results) -> Found:
    """Magnitude pruning is from before 2010 (Janowsky 1989); the others' years are those of their papers."""
    ran = set(results.points["method"])
    magnitude = _named(ran & {"prune_global", "prune_layerwise"})
    years = {"gradual": 2017, "iterative": 2020, "magnitude_rewind": 2020, "regrow": 2021}
    recent = [f"{method_name(stage)} ({year})" for stage, year in years.items() if stage in ran]
    found = [*([f"magnitude: {magnitude}"] if magnitude else []), *([f"later: {', '.join(recent)}"] if recent else [])]
    if not found:
        return "no", "Neither is among the methods of this run."
    said = f"{'; '.join(found)}."
    return "partly", f"{said} Magnitude is the one criterion here from before 2010; none uses second derivatives."


def _detail(results: Results) -> Found:
    stages = [stage for stage in dict.fromkeys(results.points["method"]) if results.params.section(stage) is not None]
    return "yes", (
        f"All parameters of the {len(stages)} methods are below, and the version of the code; seeds "
        f"{', '.join(map(str, results.params.seeds))}, weights of each point by their SHA-256 in metrics/frontier.csv."
    )


def _claims(results: Results) -> Found:
    data, model = results.params.data, results.params.model
    network = "the built-in network" if model.built_in else _network(results)
    return "yes", f"This page speaks of one network ({network}) on one data set ({data.source}) and of nothing else."


def _source() -> Found:
    about = metadata("prunefront")
    links = [link.partition(",")[2].strip() for link in about.get_all("Project-URL") or []]
    if links:
        return "yes", f"prunefront {about['Version']}: {', '.join(links)}."
    return "partly", f"prunefront {about['Version']}; the installed package names no address of its source."


def _network(results: Results) -> str:
    model = results.params.model
    if model.built_in:
        return "prunefront's built-in network"
    return str(model.builder or model.application or model.path)


def _architecture(results: Results) -> Found:
    parameters = int(results.dense["all_parameters"])
    layers = results.layers["layer"].nunique()
    counted = f"{layers} layers with kernels" if layers else "no weight files here to list its layers"
    said = f"{_network(results)}: {parameters:,} parameters, {counted}."
    if results.params.model.builder or results.params.model.path != NO_FILE:
        return "partly", f"{said} The model is the user's own file or code, which this page does not hold."
    return ("yes" if layers else "partly"), said


def _citation(results: Results) -> Found:
    model = results.params.model
    if model.application:
        return "yes", f"keras.applications.{model.application}, as Keras documents it."
    if model.built_in:
        return "yes", "It is no published architecture but prunefront's own, described in its documentation."
    return "no", f"The results do not say where {_network(results)} is from."


def _data(results: Results) -> Found:
    prepared, params = results.prepared, results.params
    trained = [*(["baseline"] if params.baseline.epochs else []), *dict.fromkeys(results.points["method"])]
    named = {section.recipe for stage in trained if hasattr(section := params.section(stage), "recipe")}
    recipes = ", ".join(sorted(named)) or "none"
    if prepared is None:
        return "partly", f"Source {params.data.source}, recipes {recipes}, all below; metrics/prepare.json is not here."
    return "yes", (
        f"{params.data.source}: {prepared.train:,} training, {prepared.validation:,} validation and {prepared.test:,} "
        f"test examples of {prepared.classes} classes, split by seed {params.data.seed}; batch size of the dense "
        f"network {params.baseline.batch_size}; augmentation by the recipes {recipes}, all below."
    )


def _hardware(results: Results, hardware: str | None) -> Found:
    made, described = results.summary.runtime, "Versions are below"
    if made is not None:
        versions = ", ".join(f"{package} {number}" for package, number in made.versions.items())
        own = made.instructions or "the machine's own instructions"
        instructions = f"{'portably ' * made.portable}with {own}"
        described = f"{versions}, {instructions}"
    if hardware is None:
        return "partly", f"{described}. This copy leaves out the machine; `prunefront report --output FILE` adds it."
    return "yes", f"{described}; this page was made on {hardware}."


def _range(results: Results) -> Found:
    points = results.points[results.points["eligible"]]
    sparsest = points[points["sparsity"] == points["sparsity"].max()]
    dense, best = results.dense["val_accuracy"], sparsest["val_accuracy"].max()
    least = points["nonzero"].min()
    times = points["parameters"].max() / least if least else float("inf")
    said = (
        f"{points['target_sparsity'].nunique()} target sparsities, from {points['sparsity'].min():.1%} to "
        f"{points['sparsity'].max():.2%} ({times:,.0f} times fewer weights), where the best validation accuracy is "
        f"{best:.2%}; the dense network's is {dense:.2%}."
    )
    return ("yes" if dense - best >= EXTREME else "partly"), said


def _raw(results: Results) -> Found:
    points = results.points
    return "yes", f"Validation and test accuracy of all {len(points)} points are in the table, the dense network's too."


def _seeds(results: Results) -> Found:
    seeds = sorted(results.points["seed"].unique())
    if len(seeds) > 1:
        return "yes", f"{len(seeds)} seeds, {', '.join(map(str, seeds))}, each with its own dense network."
    return "no", f"One seed, {seeds[0]}."


def _bars(results: Results) -> Found:
    seeds = results.points["seed"].nunique()
    if not results.sure:
        spread = "the spread over seeds can be seen, " if seeds > 1 else ""
        return "no", f"{spread}metrics/intervals.csv is not here.".capitalize()
    said = "95 % intervals by a bootstrap over the examples"
    if seeds > 1:
        return "yes", f"Means over {seeds} seeds, with {said} and the seeds."
    return "partly", f"{said}; with one seed they leave out how much training varies.".capitalize()


def _operations(results: Results) -> Found:
    if "multiply_adds_nonzero" not in results.points:
        return "no", "These results are of a version that did not count them."
    dense, chosen = results.dense["multiply_adds_nonzero"], results.submitted["multiply_adds_nonzero"]
    return "yes", f"For each point; {int(dense):,} in the dense network, {int(chosen):,} in the submitted one."


def _named(stages: set[str]) -> str:
    return ", ".join(method_name(stage) for stage in sorted(stages))


def _baseline(results: Results, stages: Sequence[str]) -> Found:
    ran = results.points[results.points["method"].isin(stages)]
    if ran.empty:
        return "no", f"Not in this run: {_named(set(stages))}."
    levels = ran["target_sparsity"].nunique()
    return "yes", f"{_named(set(ran['method']))}, at {levels} target sparsit{'y' if levels == 1 else 'ies'}."


def _same_layers(results: Results, stages: Sequence[str]) -> Found:
    """Whether a baseline's layers at the submitted level are as sparse as the submitted network's, each of them."""
    chosen = results.chosen
    if chosen is None or results.layers.empty:
        return "no", "No submitted point with weight files here to compare the layers of."
    layers = results.layers.assign(share=results.layers["zeros"] / results.layers["weights"])
    by_layer = layers.set_index("layer")
    wanted = _of(by_layer, chosen["method"], chosen)
    differences = {}
    for stage in stages:
        theirs = _of(by_layer, stage, chosen)
        if len(theirs) == len(wanted):
            differences[stage] = float((theirs - wanted).abs().max())
    if not differences:
        return "no", f"{_named(set(stages))}: none at the submitted target of {chosen['target_sparsity']:.4g}."
    nearest = min(differences, key=differences.__getitem__)
    said = f"{method_name(nearest)}: sparsities of layers differ from the submitted ones by up to"
    return ("yes" if differences[nearest] <= ALIKE else "no"), f"{said} {differences[nearest]:.1%}."


def _of(layers: pd.DataFrame, stage: str, chosen: pd.Series) -> pd.Series:
    same = (layers["method"] == stage) & (layers["seed"] == chosen["seed"])
    shares: pd.Series = layers[same & (layers["target_sparsity"] == chosen["target_sparsity"])]["share"]
    return shares


def _others(results: Results) -> Found:
    methods = [stage for stage in dict.fromkeys(results.points["method"]) if stage not in NULL_BASELINES]
    if len(methods) < 2:
        return "no", f"One method only: {_named(set(methods))}."
    return "yes", (
        f"{len(methods)} methods, each prunefront's own implementation, on the same data and dense networks: "
        f"{', '.join(map(method_name, methods))}. No number is from a paper."
    )
