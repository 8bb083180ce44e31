"""`python -m stages` lists the commands with the first line of what each does."""

import ast
from pathlib import Path

from rich import print as show
from rich.table import Table

if __name__ == "__main__":
    table = Table("command", "what it does", title="python -m stages.<stage> --help", title_justify="left")
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        summary = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
        table.add_row(f"python -m stages.{path.stem}", summary)
    show(table)
