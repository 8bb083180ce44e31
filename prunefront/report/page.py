"""The page: one HTML file that loads nothing, neither when it is made nor when it is read."""

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from platform import python_version
from typing import Any

import jinja2

from prunefront.common.files import replacing
from prunefront.common.machine import machine
from prunefront.common.params import TRAINED, Params
from prunefront.export.latency import read_latency
from prunefront.frontier.names import method_name
from prunefront.pipeline.store import load_cost
from prunefront.report import tables
from prunefront.report.charts import AXIS_NAMES, axes_of, charts, datasets, styles
from prunefront.report.checklist import answers
from prunefront.report.results import Results, read_results
from prunefront.report.tables import Cell, Table, count, text
from prunefront.report.vega import LICENSE, vega

PACKAGES = ("prunefront", "tensorflow", "keras", "numpy", "scikit-learn", "zstandard", "altair", "vl-convert-python")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Here:
    """What differs between machines and runs of the same parameters, and stays out of the pipeline's own page.

    Attributes:
        machine: that the page is made on.
        python: its version.
        costs: what the stages spent, as far as they ran here.
        latency: what `prunefront bench` measured; None without.
    """

    machine: str
    python: str
    costs: Table | None
    latency: Table | None


def write_report(params: Params, path: Path, here: Here | None = None) -> None:
    """Writes the page of the results; the same results give the same bytes, but for what is `here`.

    Args:
        params: of the run.
        path: of the HTML file.
        here: the machine and what it spent; None leaves it out.

    Raises:
        InputError: the run is not complete, or its files are damaged or of several runs.
    """
    page = render(read_results(params), here)
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def look_around(params: Params) -> Here:
    """What this machine adds to the page."""
    return Here(machine(), python_version(), _costs(params), _latency())


def render(results: Results, here: Here | None = None) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    specs = charts(results)
    checklist = answers(results, None if here is None else here.machine)
    selectable = {"layers": results.layers, "curves": results.curves}
    selectors = {name: list(dict.fromkeys(table["name"])) for name, table in selectable.items() if len(table)}
    return environment.get_template("page.html").render(
        results=results,
        summary=results.summary,
        submitted_name=method_name(results.summary.submitted.method),
        axes={axis: AXIS_NAMES[axis] for axis in axes_of(results)},
        axis=results.summary.axis,
        styles=styles(results),
        selectors=selectors,
        headline=tables.headline(results),
        points=tables.points_table(results),
        selection=tables.selection_tables(results),
        layers=tables.layers_table(results),
        confusion=tables.confusion_tables(results),
        costs=[table for table in (tables.training_table(results), tables.exports_table(results)) if table is not None],
        answers={heading: list(items) for heading, items in groupby(checklist, lambda answer: answer.heading)},
        parameters=tables.parameters_tables(results.params.model_dump(mode="json")),
        versions=_versions(here),
        made=_made(results),
        here=here,
        css=(HERE / "page.css").read_text(encoding="utf-8"),
        license=LICENSE,
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        vega=vega(),
        specs=_json(specs),
        datasets=_json(datasets(results)),
    )


def _json(content: Any) -> str:
    """JSON that no text in it can end the script element of."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _versions(here: Here | None) -> Table:
    rows = [] if here is None else [[text("Python"), text(here.python)]]
    for package in PACKAGES:
        try:
            rows.append([text(package), text(version(package))])
        except PackageNotFoundError:
            continue
    return Table("Versions of the packages that this page was made with", ["package", "version"], rows)


def _made(results: Results) -> Table | None:
    """What the results themselves were made with; None for those of earlier versions."""
    made = results.summary.runtime
    if made is None:
        return None
    rows = [[text("portable"), text("yes" if made.portable else f"no: {made.otherwise}")]]
    rows += [[text("threads"), text("one per core" if made.threads is None else made.threads)]]
    rows += [[text("instructions"), text(made.instructions or "the machine's own")]]
    rows += [[text(package), text(number)] for package, number in made.versions.items()]
    return Table("What the results were made with", ["", ""], rows)


def _costs(params: Params) -> Table | None:
    rows: list[list[Cell]] = []
    for stage in TRAINED:
        for seed in params.seeds_of(stage):
            spent = load_cost(stage, seed)
            if spent is not None and spent.epochs:
                seconds = Cell(f"{spent.seconds:,.0f}", spent.seconds)
                rows.append([text(method_name(stage)), count(seed), count(spent.epochs), count(spent.images), seconds])
    if not rows:
        return None
    return Table("What training took here", ["stage", "seed", "epochs", "examples seen", "seconds"], rows, True)


def _latency() -> Table | None:
    latency = read_latency()
    if latency is None:
        return None
    rows = [
        [
            *(text(row["model"]), text(row["format"]), count(row["batch"]), count(row["threads"])),
            Cell(f"{row['milliseconds']:.3f}", row["milliseconds"]),
            Cell(f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})", row["ratio"]),
        ]
        for row in latency.to_dict("records")
    ]
    headings = ["model", "format", "batch", "threads", "milliseconds", "times the dense speed"]
    return Table("Speed here, beside the dense network in LiteRT float32", headings, rows, True)
