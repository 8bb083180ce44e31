"""What projects are made from: the pipeline and the presets, in the installed package or in the checkout around it."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_PACKAGE = Path(__file__).parent.parent
_INSTALLED = _PACKAGE / "template"
TEMPLATE = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
PIPELINE = TEMPLATE / "dvc.yaml"
PRESETS = TEMPLATE / "presets"
DEFAULT = "default"
"""The preset that is whole; the others are what differs from it."""


def dumped(content: Any) -> str:
    """What was read by `yaml()`, as text."""
    written = io.StringIO()
    yaml().dump(content, written)
    return written.getvalue()


def yaml() -> YAML:
    """A reader and writer that keeps comments."""
    keeping = YAML()
    keeping.width = 120
    keeping.preserve_quotes = True
    keeping.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    keeping.indent(mapping=2, sequence=4, offset=2)
    return keeping
