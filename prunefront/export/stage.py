"""The stage's work, and the same by hand for any weights of the network."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from prunefront.c_code.text import identifier
from prunefront.common.errors import InputError
from prunefront.common.files import alone, digest, replacing_folder
from prunefront.common.params import Params, check_formats
from prunefront.common.provenance import write_provenance
from prunefront.data.splits import PREPARED
from prunefront.export.export import export
from prunefront.export.results import FOLDER, STEM, TABLE, write_table
from prunefront.models.build import starting_weights
from prunefront.models.weights import load_weights
from prunefront.pipeline.run import Run, open_run
from prunefront.pipeline.store import SUBMITTED


def open_in_float32(params: Params) -> Run:
    """A run in float32, whatever it was trained in: exported files compute so. It draws nothing by chance."""
    return open_run("export", params.model_copy(update={"precision": "float32"}), 0)


def export_submitted(params: Params) -> pd.DataFrame:
    """Writes `exports/` and `metrics/exports.csv`; returns the rows, see `export.export`."""
    if not SUBMITTED.exists():
        raise InputError(f"Expected submitted weights; run `dvc repro`. Received: no file {SUBMITTED}")
    weights = load_weights(SUBMITTED)
    opened = open_in_float32(params)
    with replacing_folder(FOLDER) as folder:
        table = export(opened, weights, params.export.formats, params.export.tolerance, folder, STEM)
        table["weights_sha256"] = digest(SUBMITTED)
        write_table(TABLE, table)
    write_provenance("export", params, PREPARED, [TABLE], {SUBMITTED.as_posix(): digest(SUBMITTED)})
    return table


def export_by_hand(params: Params, weights: Path, formats: Sequence[str], folder: Path) -> pd.DataFrame:
    """Writes other weights of the same network to a folder, where files of other names stay.

    Args:
        params: name the network.
        weights: any weight file that `model.weights` takes.
        formats: names of formats, each of which may hold several, with commas between them.
        folder: is made if need be; gets a table `exports.csv` too.

    Returns:
        The rows, see `export.export`.
    """
    names = check_formats([name for text in formats for name in text.split(",") if name])
    opened = open_in_float32(params)
    arrays = starting_weights(params.model.model_copy(update={"weights": weights}), opened.model)
    assert arrays is not None
    with _beside(folder) as partial:
        table = export(opened, arrays, names, params.export.tolerance, partial, identifier(weights.name.split(".")[0]))
        table["weights_sha256"] = digest(weights)
        write_table(partial / TABLE.name, table)
    return table


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Yields an empty temporary folder, whose files go to `folder` if the block succeeds."""
    made = not folder.exists()
    with alone(folder):
        try:
            folder.mkdir(exist_ok=True)
            with TemporaryDirectory(prefix="partial-", dir=folder) as temporary:
                yield Path(temporary)
                for path in sorted(Path(temporary).iterdir()):
                    os.replace(path, folder / path.name)
        finally:
            if made and not any(folder.iterdir()):
                folder.rmdir()
