"""What numbers a generated C file holds, read from the file itself."""

import re
from pathlib import Path

TABLE = re.compile(r"^static const float \w+\[\][^={;]*= \{(.*?)\};", re.DOTALL | re.MULTILINE)


def count_non_zeros(path: Path) -> int:
    """How many numbers other than zero stand in the tables of floats of a C file: zeros have no place there."""
    numbers = re.findall(r"[^,\s]+", ",".join(TABLE.findall(path.read_text(encoding="utf-8"))))
    return sum(float(number.rstrip("f")) != 0 for number in numbers)
