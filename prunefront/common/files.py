"""Files that are either whole or absent: everything is written beside its place and then renamed into it."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prunefront.common.errors import InputError

_STAND_INS = {
    b"version https://git-lfs.github.com/spec/": ("a Git LFS pointer", "`git lfs pull` fetches it"),
    b"version https://hawser.github.com/spec/": ("a Git LFS pointer", "`git lfs pull` fetches it"),
    b"/annex/objects/": ("a git-annex pointer", "`git annex get` fetches it"),
    b"outs:\n- md5:": ("a DVC pointer", "`dvc pull` fetches it, under the name without .dvc"),
    b"<!doctype html": ("a web page", "download it anew"),
    b"<html": ("a web page", "download it anew"),
    b"<?xml": ("a page of text", "download it anew"),
}
"""How small files begin that lie in the place of large ones: what they are, and how one comes by the file itself."""


def check_fetched(path: Path) -> None:
    """Raises InputError if a file is empty, or only stands for another one, as pointers of Git LFS and DVC do.

    Args:
        path: of a file that is not text itself; one that does not exist passes.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start and path.stat().st_size == 0:
        raise InputError(f"{path}: expected a file with content. Received: an empty one")
    for beginning, (what, remedy) in _STAND_INS.items():
        if start.lower().startswith(beginning):
            raise InputError(f"{path}: expected the file itself; {remedy}. Received: {what} in its place")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`; the file written there replaces `path` if the block succeeds.

    The temporary name keeps every suffix of `path` (Keras looks at it) and starts with `partial-`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields an empty temporary folder beside `path` that replaces the whole of `path` if the block succeeds."""
    path = Path(path)
    partial, previous = (path.with_name(f"{kind}-{path.name}") for kind in ("partial", "previous"))
    if previous.exists() and not path.exists():  # an earlier swap was killed half-way
        os.replace(previous, path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(previous, ignore_errors=True)
        if path.exists():
            os.replace(path, previous)
        os.replace(partial, path)
        shutil.rmtree(previous, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes `content` as JSON with a stable layout. NaN and infinity are refused: DVC cannot read them."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
