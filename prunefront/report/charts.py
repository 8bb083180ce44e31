"""The interactive charts, as Vega-Lite specifications; the page holds the data once and puts them into each."""

import math
from typing import Any, TypedDict

import altair as alt
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from prunefront.common.sections import Axis
from prunefront.frontier.figures import method_styles
from prunefront.frontier.pareto import AXES, non_dominated, pairs
from prunefront.report.results import Results

Spec = dict[str, Any]


class Dataset(TypedDict):
    """A table: the names of its columns, and its rows, in their order."""

    columns: list[str]
    rows: list[list[Any]]


# The markers of the picture as paths within [-1, 1], for Vega and for the legend.
SHAPES = {
    "o": "M-1,0A1,1,0,1,0,1,0A1,1,0,1,0,-1,0Z",
    "s": "M-.9,-.9H.9V.9H-.9Z",
    "p": "M0,-1L.951,-.309L.588,.809L-.588,.809L-.951,-.309Z",
    "h": "M0,-1L.866,-.5V.5L0,1L-.866,.5V-.5Z",
    "^": "M0,-1L1,.8H-1Z",
    "v": "M0,1L1,-.8H-1Z",
    "<": "M-1,0L.8,-1V1Z",
    ">": "M1,0L-.8,-1V1Z",
    "D": "M0,-1.15L.95,0L0,1.15L-.95,0Z",
    "P": "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
    "X": "M-1,-.5L-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0Z",
    "x": "M-1,-.75L-.75,-1L0,-.25L.75,-1L1,-.75L.25,0L1,.75L.75,1L0,.25L-.75,1L-1,.75L-.25,0Z",
    "+": "M-.18,-1.1H.18V-.18H1.1V.18H.18V1.1H-.18V.18H-1.1V-.18H-.18Z",
    "1": "M-.18,1.1V.1L-1,-.6L-.8,-.85L0,-.2L.8,-.85L1,-.6L.18,.1V1.1Z",
    "2": "M-.18,-1.1V-.1L-1,.6L-.8,.85L0,.2L.8,.85L1,.6L.18,-.1V-1.1Z",
    "|": "M-.2,-1.1H.2V1.1H-.2Z",
}

AXIS_TITLES: dict[Axis, str] = {
    "sparsity": "sparsity",
    "bytes": "bytes of a sparse file",
    "multiply_adds": "multiply-adds per example",
}
AXIS_NAMES: dict[Axis, str] = {"sparsity": "sparsity", "bytes": "bytes", "multiply_adds": "multiply-adds"}
TICKS = (0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
STEPS = (0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.999)
"""Where the colour of the heat map changes: sparsities, finer where they matter."""
STEP_NAMES = [f"under {100 * STEPS[0]:g}%", *(f"from {100 * step:g}%" for step in STEPS)]
BLUES = ("#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"


def styles(results: Results) -> dict[str, tuple[str, str]]:
    """(colour, shape as a path) of each method by its name, those of the picture, in the order of the results."""
    names = dict(zip(results.points["method"], results.points["name"], strict=True))
    return {
        names[method]: (to_hex(style["color"]), SHAPES[style["marker"]])
        for method, style in method_styles(results.points).items()
    }


def axes_of(results: Results) -> list[Axis]:
    """The axes that the results have the columns of."""
    return [axis for axis, columns in AXES.items() if set(columns) <= set(results.points)]


def charts(results: Results) -> dict[str, Spec]:
    """Every chart by its name; those without data are left out."""
    specs = {f"frontier-{axis}": frontier(results, axis) for axis in axes_of(results)}
    if len(results.layers):
        specs["layers"] = layers(results)
    if len(results.curves):
        specs |= {"curves-accuracy": curve(results, "accuracy"), "curves-loss": curve(results, "loss")}
    return specs


def datasets(results: Results) -> dict[str, Dataset]:
    """The data of the charts, by name: numbers to six digits, null where there are none."""
    tables = {"points": _points(results), "means": _means(results), "submitted": _submitted(results)}
    if len(results.layers):
        tables["layers"] = _layers(results)
    if len(results.curves):
        measured = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
        tables["curves"] = results.curves[["name", "seed", "fit", "epoch", *measured]]
    return {name: Dataset(columns=table.columns.tolist(), rows=_rows(table)) for name, table in tables.items()}


def _rows(table: pd.DataFrame) -> list[list[Any]]:
    return [[_short(value) for value in row] for row in table.astype(object).to_numpy().tolist()]


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _points(results: Results) -> pd.DataFrame:
    points = results.points
    if results.sure:
        low, high = points["val_low"], points["val_high"]
        points = points.assign(interval=[f"{a:.1%} to {b:.1%}" for a, b in zip(low, high, strict=True)])
    else:
        points = points.assign(interval="none")
    fronts = {f"front_{axis}": _on_front(points, axis) for axis in axes_of(results)}
    columns = ["name", "seed", "target_sparsity", "val_accuracy", "test_accuracy", "interval", *fronts]
    return _located(points.assign(**fronts), results)[[*columns, *axes_of(results)]]


def _on_front(points: pd.DataFrame, axis: Axis) -> np.ndarray:
    """For each point whether it is on the frontier over an axis; null baselines never are."""
    front, eligible = np.zeros(len(points), bool), points["eligible"].to_numpy()
    front[eligible] = non_dominated(pairs(points[eligible], axis))
    return front


def _means(results: Results) -> pd.DataFrame:
    means = results.means
    if "val_low" not in means:
        means = means.assign(val_low=math.nan, val_high=math.nan)
    lonely = means.groupby("name")["target_sparsity"].transform("size") == 1
    columns = ["name", "target_sparsity", "val_accuracy", "val_low", "val_high", "lonely"]
    return _located(means.assign(lonely=lonely), results)[[*columns, *axes_of(results)]]


def _submitted(results: Results) -> pd.DataFrame:
    submitted = pd.DataFrame([results.submitted])
    return _located(submitted, results)[["val_accuracy", *axes_of(results)]]


def _located(rows: pd.DataFrame, results: Results) -> pd.DataFrame:
    """With a column for each axis: the share of weights that is left, or the cost, both above zero for a log scale."""
    least = 0.5 / results.points["parameters"].max()
    places = {"sparsity": (1 - rows["sparsity"]).clip(lower=least)}
    for axis in axes_of(results):
        if axis != "sparsity":
            places[axis] = rows[AXES[axis][0]].clip(lower=1)
    return rows.assign(**places)


def frontier(results: Results, axis: Axis) -> Spec:
    """Accuracy over what is saved: every point, each method's mean over the seeds with its band, frontier and gate."""
    x, gate = _x(results, axis), results.params.pareto.gate
    y = alt.Y("val_accuracy:Q", title="validation accuracy", axis=alt.Axis(format="~%"), scale=alt.Scale(zero=False))
    style = styles(results)
    colour = alt.Color(
        "name:N", legend=None, scale=alt.Scale(domain=list(style), range=[colour for colour, _ in style.values()])
    )
    shape = alt.Shape(
        "name:N", legend=None, scale=alt.Scale(domain=list(style), range=[shape for _, shape in style.values()])
    )
    shown = "indexof(shown, datum.name) >= 0"
    points, means = alt.Chart(_data("points")), alt.Chart(_data("means")).transform_filter(shown)
    parts = [
        points.transform_filter(f"datum.front_{axis}")
        .mark_line(color="#d4d4d4", strokeWidth=8, strokeCap="round", strokeJoin="round")
        .encode(x=x, y=y),
        *(_bands(means, x, colour) if results.sure else []),
        means.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=colour),
        alt.Chart(alt.InlineData(values=[{"gate": gate}]))
        .mark_rule(strokeDash=[3, 3], color="#333333")
        .encode(y="gate:Q", tooltip=alt.Tooltip("gate:Q", title="accuracy gate", format="~%")),
        points.transform_filter(shown)
        .mark_point(filled=True, size=42, opacity=0.9, clip=True)
        .encode(x=x, y=y, color=colour, shape=shape, tooltip=_tooltip(results))
        .add_params(alt.selection_interval(name="zoom", bind="scales")),
        alt.Chart(_data("submitted"))
        .mark_point(size=260, shape=STAR, filled=True, fill="white", stroke="black", strokeWidth=1.4, clip=True)
        .encode(x=x, y=y, tooltip=[alt.Tooltip("val_accuracy:Q", title="submitted, accuracy", format=".2%")]),
    ]
    chart = alt.layer(*parts).add_params(alt.param(name="shown", value=list(style)))
    return _finished(
        chart, 420, f"Validation accuracy over {AXIS_NAMES[axis]} of every operating point, one series for each method"
    )


def _bands(means: alt.Chart, x: alt.X, colour: alt.Color) -> list[alt.Chart]:
    """The intervals of the means: an area, and where a method has but one level a bar."""
    bounded = means.transform_filter("datum.val_low != null").encode(
        x=x, y=alt.Y("val_low:Q"), y2="val_high:Q", color=colour
    )
    lonely = alt.condition("datum.lonely", alt.value(0.5), alt.value(0))
    return [bounded.mark_area(opacity=0.14), bounded.mark_rule(strokeWidth=2).encode(opacity=lonely)]


STAR = "M0,-1 L0.2245,-0.309 L0.951,-0.309 L0.363,0.118 L0.588,0.809 L0,0.382 L-0.588,0.809 L-0.363,0.118 " + (
    "L-0.951,-0.309 L-0.2245,-0.309 Z"
)


def _x(results: Results, axis: Axis) -> alt.X:
    places = pd.concat([_points(results)[axis], _submitted(results)[axis]])
    domain = [float(places.max()) * 1.08, float(places.min()) / 1.08]
    scale = alt.Scale(type="log", domain=domain, nice=False)
    if axis == "sparsity":
        ticks = alt.Axis(
            values=[1 - tick for tick in TICKS],
            labelExpr="format(1 - datum.value, '.4~p')",
            labelOverlap="greedy",
            labelSeparation=6,
            title=AXIS_TITLES[axis],
        )
    else:
        ticks = alt.Axis(format="~s", labelOverlap="greedy", labelSeparation=6, title=AXIS_TITLES[axis])
    return alt.X(f"{axis}:Q", scale=scale, axis=ticks)


def _tooltip(results: Results) -> list[alt.Tooltip]:
    costs = [
        alt.Tooltip(f"{axis}:Q", title=AXIS_NAMES[axis], format=",") for axis in axes_of(results) if axis != "sparsity"
    ]
    return [
        alt.Tooltip("name:N", title="method"),
        alt.Tooltip("seed:N", title="seed"),
        alt.Tooltip("target_sparsity:Q", title="target sparsity", format=".2~%"),
        alt.Tooltip("sparsity:Q", title="weights left", format=".3~%"),
        *costs,
        alt.Tooltip("val_accuracy:Q", title="validation accuracy", format=".2%"),
        *([alt.Tooltip("interval:N", title="95 % interval")] if results.sure else []),
        alt.Tooltip("test_accuracy:Q", title="test accuracy", format=".2%"),
    ]


def _layers(results: Results) -> pd.DataFrame:
    rows = results.layers.assign(level=[level_text(level) for level in results.layers["target_sparsity"]])
    keys = ["name", "level", "layer"]
    summed = rows.groupby(keys, sort=False)[["zeros", "weights"]].sum().reset_index()
    share = summed["zeros"] / summed["weights"]
    step = [STEP_NAMES[i] for i in np.searchsorted(STEPS, share, side="right")]
    return summed.assign(share=share, step=step)[[*keys, "share", "step", "weights"]]


def layers(results: Results) -> Spec:
    """A heat map of one method: layers down, levels across, the share of zeros as the colour."""
    table = results.layers
    levels = [level_text(level) for level in sorted(table["target_sparsity"].unique())]
    names = list(dict.fromkeys(table["layer"]))
    chart = (
        alt.Chart(_data("layers"))
        .transform_filter("datum.name == method")
        .mark_rect(stroke="white", strokeWidth=1)
        .encode(
            x=alt.X("level:O", sort=levels, title="target sparsity", axis=alt.Axis(labelAngle=-60)),
            y=alt.Y("layer:N", title=None, scale=alt.Scale(domain=names), axis=alt.Axis(labelLimit=130)),
            color=alt.Color(
                "step:N",
                scale=alt.Scale(domain=STEP_NAMES, range=list(BLUES)),
                legend=alt.Legend(
                    title="zeros in the layer",
                    orient="bottom",
                    symbolType="square",
                    symbolSize=180,
                    symbolStrokeColor="#8c8c8c",
                    symbolStrokeWidth=0.5,
                    columns=3,
                ),
            ),
            tooltip=[
                alt.Tooltip("layer:N"),
                alt.Tooltip("level:N", title="target sparsity"),
                alt.Tooltip("share:Q", title="zeros", format=".2%"),
                alt.Tooltip("weights:Q", title="weights, all seeds", format=","),
            ],
        )
        .add_params(alt.param(name="method", value=table["name"].iloc[0]))
    )
    height = len(names) * (26 if len(names) <= 20 else 13)
    return _finished(chart, height, "Share of zeros in each layer at each target sparsity, of one method")


def curve(results: Results, kind: str) -> Spec:
    """Accuracy or loss over the epochs of every fit of one method, on the training and the validation split."""
    titles = {"accuracy": "accuracy", "loss": "loss"}
    fits = list(dict.fromkeys(results.curves["fit"]))
    keys = {kind: "training", f"val_{kind}": "validation"}
    chart = (
        alt.Chart(_data("curves"))
        .transform_filter("datum.name == method")
        .transform_fold(list(keys), as_=["split", "value"])
        .transform_calculate(split=f"datum.split == '{kind}' ? 'training' : 'validation'")
        .mark_line(strokeWidth=1.3, point=alt.OverlayMarkDef(size=14, filled=True))
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(zero=False)),
            y=alt.Y(
                "value:Q",
                title=titles[kind],
                scale=alt.Scale(zero=False),
                axis=alt.Axis(format="~%") if kind == "accuracy" else alt.Axis(),
            ),
            color=alt.Color(
                "fit:O",
                sort=fits,
                scale=alt.Scale(scheme="viridis"),
                legend=alt.Legend(title="fit", orient="bottom", columns=5, symbolLimit=60),
            ),
            strokeDash=alt.StrokeDash(
                "split:N",
                scale=alt.Scale(domain=list(keys.values()), range=[[3, 2], [1, 0]]),
                legend=None,
            ),
            detail="seed:N",
            tooltip=[
                alt.Tooltip("fit:N"),
                alt.Tooltip("seed:N"),
                alt.Tooltip("epoch:Q"),
                alt.Tooltip("split:N"),
                alt.Tooltip("value:Q", title=titles[kind], format=".4~f"),
                alt.Tooltip("learning_rate:Q", title="learning rate", format=".3~g"),
            ],
        )
        .add_params(alt.param(name="method", value=results.curves["name"].iloc[0]))
    )
    return _finished(chart, 260, f"{titles[kind].capitalize()} over the epochs of every fit of one method")


def level_text(level: float) -> str:
    """A target sparsity as people write it: 97.5%."""
    return f"{level * 100:.10g}%"


def _data(name: str) -> alt.NamedData:
    """A table of `datasets`."""
    return alt.NamedData(name=name)


def _finished(chart: Any, height: int, description: str) -> Spec:
    """With the width of the page, its font, and what it says to those who hear it."""
    chart = chart.properties(width="container", height=height, description=description)
    chart = chart.configure(
        font=FONT, background="white", autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    ).configure_view(stroke=None)
    chart = chart.configure_axis(gridColor="#ebebeb", domainColor="#666666", tickColor="#666666", titleFontWeight=500)
    spec: Spec = chart.to_dict()
    return spec
