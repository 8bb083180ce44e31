"""Names, numbers, strings and tables as C99 writes them."""

import re
import textwrap
from collections.abc import Iterable

import numpy as np


def identifier(name: str) -> str:
    """A name that C takes, from any; one that C takes already is kept, unless C reserves it.

    Args:
        name: any text; characters that C does not take become underscores.
    """
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return plain if re.match(r"[A-Za-z]", plain) else f"model_{plain.lstrip('_')}".rstrip("_")


def number(value: float) -> str:
    """A float literal that gives exactly this float32; the shortest in decimals."""
    text = str(np.float32(value))
    return (text if re.search(r"[.e]", text) else f"{text}.0") + "f"


def string(text: str) -> str:
    """A string literal of the text in UTF-8; octal escapes end by themselves, whatever comes behind."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "surrogatepass")
    )
    return f'"{plain}"'


def comment(text: str) -> str:
    """A comment of one line; characters that could end it, or mean something in it, become underscores."""
    return f"/* {re.sub(r'[^A-Za-z0-9_ .,:;()%+=/-]', '_', text)} */"


def table(kind: str, name: str, values: Iterable[str]) -> str:
    """A constant array.

    Args:
        kind: of its entries, such as `float`.
        name: of the array.
        values: the entries as C; none at all become a single zero, since C99 has no empty arrays.
    """
    lines = textwrap.wrap(", ".join(values) or "0", 116, break_on_hyphens=False, break_long_words=False)
    return f"static const {kind} {name}[] = {{\n" + "".join(f"    {line}\n" for line in lines) + "};\n"


def numbers(name: str, values: np.ndarray) -> str:
    """A constant array of float32."""
    return table("float", name, map(number, np.ravel(values)))


def positions(name: str, values: Iterable[int]) -> str:
    """A constant array of the file's type for positions and counts."""
    return table("position", name, map(str, values))
