"""Presets: sets of parameters, of which one is whole and the others say what differs from it."""

import io
from itertools import takewhile
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from prunefront.common.errors import InputError
from prunefront.common.files import replacing
from prunefront.common.params import load_params
from prunefront.tools.template import DEFAULT, PRESETS, yaml


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
    written = io.StringIO()
    yaml().dump(params, written)
    return _heading(overlay) + written.getvalue().removeprefix(_heading(default))


def describe(name: str) -> str:
    """What a preset is, in a line: the first of its file."""
    return _heading((PRESETS / f"{name}.yaml").read_text(encoding="utf-8")).partition("\n")[0].removeprefix("# ")


def write_preset(name: str, path: Path) -> None:
    """Writes the parameter file of a preset, after a check that it is one."""
    with replacing(path) as partial:
        partial.write_text(render(name), encoding="utf-8")
        load_params(partial)


def edits(path: Path) -> list[str]:
    """What would be lost if a parameter file were overwritten: nothing if it is absent, or as a preset wrote it.

    Args:
        path: of any file.

    Returns:
        The dotted names of the parameters that differ from those of the preset that is nearest; the file's name where
        only comments or layout do, or where it cannot be read.
    """
    if not path.exists():
        return []
    text = path.read_bytes()
    rendered = [render(name) for name in preset_names()]
    if any(text == one.encode() for one in rendered):
        return []
    try:
        found = _flat(yaml().load(text))
    except (YAMLError, AttributeError, UnicodeDecodeError):
        return [str(path)]
    differing = [_differences(found, _flat(yaml().load(one))) for one in rendered]
    return min(differing, key=len) or [f"comments of {path}"]


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


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    absent = object()
    return [key for key in dict.fromkeys([*one, *other]) if one.get(key, absent) != other.get(key, absent)]
