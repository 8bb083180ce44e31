"""Presets: sets of parameters, of which one is whole and the others say what differs from it."""

import re
from itertools import takewhile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from prunefront.common.errors import InputError
from prunefront.common.files import replacing
from prunefront.common.params import load_params
from prunefront.tools.template import DEFAULT, PRESETS, dumped, yaml


def preset_names() -> list[str]:
    """The names of all presets, the whole one first."""
    return [DEFAULT, *sorted({path.stem for path in PRESETS.glob("*.yaml")} - {DEFAULT})]


def render(name: str) -> str:
    """The text of a whole parameter file: the default with the values of a preset, and its comments.

    Raises:
        InputError: there is no such preset.
    """
    if name not in preset_names():
        raise InputError(f"Expected a preset, {', '.join(preset_names())}. Received: {name}")
    default = (PRESETS / f"{DEFAULT}.yaml").read_text(encoding="utf-8")
    if name == DEFAULT:
        return default
    overlay = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
    params = yaml().load(default)
    _overlay(params, yaml().load(overlay))
    return _heading(overlay) + dumped(params).removeprefix(_heading(default))


def describe(name: str) -> str:
    """What a preset is, in a line: the first of its file."""
    return _heading((PRESETS / f"{name}.yaml").read_text(encoding="utf-8")).partition("\n")[0].removeprefix("# ")


def write_preset(name: str, path: Path) -> None:
    """Writes the parameter file of a preset, after a check that it is one; where a link leads, if it is a link."""
    with replacing(path.resolve()) as partial:
        partial.write_text(render(name), encoding="utf-8")
        load_params(partial)


def edits(path: Path) -> list[str]:
    """What would be lost if a parameter file were overwritten.

    Nothing is lost where the file is absent, or all its values and comments are those of one preset, however they are
    laid out.

    Args:
        path: of any file.

    Returns:
        The dotted names of the parameters whose values are not those of the preset that is nearest, and comments that
        are none of its own; the file's name where it cannot be read.
    """
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        values = _flat(YAML(typ="safe").load(text))
    except Exception:  # not YAML, or no sections, in one of many ways
        return [str(path)]
    differing = []
    for preset in map(render, preset_names()):
        own = _flat(YAML(typ="safe").load(preset))
        changed = [key for key, value in values.items() if key not in own or own[key] != value]
        differing.append(changed + sorted(_comments(text) - _comments(preset)))
    return min(differing, key=len)


def _overlay(params: Any, overlay: Any) -> None:
    """Puts the values of a preset in place; recipes that it adds stand beside those of the default."""
    for key, value in overlay.items():
        if isinstance(value, dict) and key in params:
            _overlay(params[key], value)
        else:
            params[key] = value


def _heading(text: str) -> str:
    """The comment that a file begins with."""
    return "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))


def _flat(section: Any, prefix: str = "") -> dict[str, Any]:
    """All values by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _comments(text: str) -> set[str]:
    return {comment.strip() for comment in re.findall(r"(?:^|\s)(#.*)$", text, re.MULTILINE)}
