"""Which of the project's files a module imports, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def import_closure(path: Path) -> set[str]:
    """The project's files that `path` imports at any depth, itself included, relative to the root."""
    found: set[Path] = set()
    waiting = [path.resolve()]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += imports(current)
    return {str(p.relative_to(ROOT)) for p in found}


def imports(path: Path, types: bool = False) -> Iterator[Path]:
    """The project's files that a file imports anywhere; those for its types alone only if asked for."""
    for name in imported_names(path, types):
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            base = ROOT.joinpath(*parts[:depth])
            yield from (p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file())


def imported_names(path: Path, types: bool = False) -> Iterator[str]:
    """The dotted names of all modules, and of all that is taken from them, that a file imports anywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not types:
        for guard in [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]:
            guard.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
