"""Files that are either whole or absent: everything is written beside its place and then renamed into it."""

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

from prunefront.common.errors import InputError

if sys.platform != "win32":
    import fcntl

Content = TypeVar("Content", bound=BaseModel)


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
def alone(path: Path) -> Iterator[None]:
    """Only one process at a time is in such a block for the same path; the lock ends with the process, however it ends.

    Args:
        path: of a file or folder to be written; the lock is a file beside it, deleted at the end.

    Raises:
        InputError: another process is in it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":  # there DVC's own lock is all there is
        yield
        return
    lock = path.with_name(f"partial-{path.name}.lock")
    with lock.open("wb") as file:
        if not _locked(file, lock):
            raise InputError(
                f"Expected to be the only one that writes {path}; wait until the other command is done. "
                f"Received: one that is running"
            )
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _locked(file: IO[bytes], path: Path) -> bool:
    """Locks an open file; False if another process has, or had it and deleted it just now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:  # a file system without locks
        return True


@contextlib.contextmanager
def replacing(path: Path, room: int = 0) -> Iterator[Path]:
    """Yields a temporary name beside `path`; the file written there replaces `path` if the block succeeds.

    The temporary name keeps every suffix of `path` (Keras looks at it) and starts with `partial-`.

    Args:
        path: of the file; folders above it are made.
        room: bytes that the disk must have, for writers that do not survive a full one.

    Raises:
        InputError: another process is writing the file.
        OSError: the file, or that many bytes, cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f"partial-{path.name}")
    with alone(path):
        try:
            if room:
                _try_out(partial, room)
            yield partial
            os.replace(partial, path)
        finally:
            if partial.is_file():
                os.truncate(partial, 0)  # HDF5 writes on while it closes a file, and crashes if it cannot
            partial.unlink(missing_ok=True)


def _try_out(path: Path, size: int) -> None:
    """Writes that many zeros."""
    block = bytes(1 << 20)
    with path.open("wb") as file:
        for start in range(0, size, len(block)):
            file.write(block[: size - start])


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields an empty temporary folder beside `path` that replaces the whole of `path` if the block succeeds.

    Raises:
        InputError: another process is writing the folder.
    """
    path = Path(path)
    partial, previous = (path.with_name(f"{kind}-{path.name}") for kind in ("partial", "previous"))
    with alone(path):
        if previous.exists() and not path.exists():  # an earlier swap was killed half-way
            os.replace(previous, path)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
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


def read_json(path: Path, kind: type[Content]) -> Content:
    """A JSON file, checked.

    Args:
        path: of the file.
        kind: what it has to hold.

    Raises:
        InputError: the file cannot be read, is no JSON, or holds something else; the first difference is named.
    """
    try:
        return kind.model_validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise InputError(f"Expected a JSON file. Received: {path}, {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise InputError(f"{path}: expected {kind.__name__} as JSON. Received: {where}{first['msg']}") from None
