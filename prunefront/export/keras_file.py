"""A whole model as a `.keras` file that has the same bytes each time."""

import json
import zipfile
from pathlib import Path

from prunefront.common.runtime import keras

SAVED = "1980-01-01@00:00:00"
"""In the place of the time at which a file was written: the first that an archive can have."""


def write_keras(path: Path, model: "keras.Model") -> None:
    """Writes `model.save(path)`, with no time and no memory address in it.

    Args:
        path: ends in `.keras`.
        model: built.
    """
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"]) | {"date_saved": SAVED}
    members["metadata.json"] = json.dumps(metadata).encode()
    members["config.json"] = json.dumps(_renumbered(json.loads(members["config.json"]), {})).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def _renumbered(config: object, numbers: dict[int, int]) -> object:
    """A model's description with the objects that several layers share numbered in the order of their appearance."""
    if isinstance(config, list):
        return [_renumbered(item, numbers) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: numbers.setdefault(value, len(numbers)) if key == "shared_object_id" else _renumbered(value, numbers)
        for key, value in config.items()
    }
