"""Finished fits of an unfinished stage, so that a stage that was interrupted does not train its first levels again."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prunefront.common.arrays import read_npz
from prunefront.common.files import replacing
from prunefront.common.machine import in_force
from prunefront.common.runtime import keras, tf
from prunefront.pruning.masks import Weights
from prunefront.training.curves import Epoch


class FinishedFits:
    """A folder of trained weights, each named by a digest of everything that they depend on, code included.

    It is deleted when the stage is complete: what counts is then in the stage's own outputs. The code is what the stage
    has imported of this package, so that an edit elsewhere does not make it train again.
    """

    def __init__(self, folder: Path, stage: str):
        self.folder = folder
        self.code = code_of(stage)

    def key(self, settings: object, arrays: Iterable[np.ndarray]) -> str:
        """A name for the fit with these settings and arrays.

        Args:
            settings: anything that JSON can hold, and functions, which go by their names.
            arrays: of any shapes, in order.
        """
        content = self.code.copy()
        content.update(json.dumps(settings, sort_keys=True, default=_name).encode())
        for array in arrays:
            content.update(f"{array.dtype}{array.shape}".encode())
            content.update(np.ascontiguousarray(array).tobytes())
        return content.hexdigest()[:32]

    def load(self, key: str) -> tuple[list[Weights], float, list[Epoch]] | None:
        """The weights that a finished fit gave, the seconds that it took, and its curve; None if there is none."""
        path = self._path(key)
        if not path.exists():
            return None
        *arrays, curve, sets, seconds = read_npz(path).values()
        size = len(arrays) // int(sets)
        results = [arrays[i * size : (i + 1) * size] for i in range(int(sets))]
        return results, float(seconds), [Epoch(*row) for row in curve.tolist()]

    def save(self, key: str, results: list[Weights], seconds: float, curve: Sequence[Epoch] = ()) -> None:
        """Keeps the sets of weights of a fit, all of one network, and what `load` gives beside them."""
        arrays = [array for weights in results for array in weights]
        with replacing(self._path(key)) as partial:
            np.savez(partial, *arrays, np.array(curve, float), np.array(len(results)), np.array(seconds))

    def forget(self) -> None:
        """Deletes all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def code_of(stage: str) -> Any:
    """A digest, to be added to, of the code of a stage that this process has imported, and of what it is built on."""
    content = hashlib.sha256(f"{keras.__version__} {tf.__version__} {np.__version__}".encode())
    content.update(json.dumps(in_force()).encode())
    for path in sorted(_imported(stage)):  # now: later the files may not be what is running
        content.update(path.read_bytes())
    return content


def _imported(stage: str) -> Iterator[Path]:
    """The files of the package that this process has imported, of its stages the one alone."""
    package = Path(__file__).parent.parent
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or "")
        of_stages = path.parent.name == "stages"
        if path.suffix == ".py" and (path.stem == stage if of_stages else path.is_relative_to(package)):
            yield path


def _name(function: Callable[..., object]) -> str:
    """The name of a function at the top level of a module: what others do depends on more than their name."""
    name = f"{function.__module__}.{function.__qualname__}"
    if "<" in name:
        raise TypeError(f"expected a function at the top level of a module, received {name}")
    return name
