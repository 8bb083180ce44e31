"""Files of Keras, opened: looked through before anything in them is read."""

import contextlib
import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py

from prunefront.common.errors import InputError, cause
from prunefront.common.files import check_fetched
from prunefront.common.sizes import check_size

DEPTH = 100
"""How deep groups may be nested; networks come nowhere near it."""


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens a `.keras` archive. Raises InputError if it is damaged, or declares to be larger than the limit."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_size(sum(member.file_size for member in archive.infolist()), str(path))
            yield archive
    except InputError:
        raise
    except Exception as error:  # a damaged archive raises almost anything
        raise InputError(f"{path}: expected a whole .keras file. Received: a damaged one ({cause(error)})") from None


@contextlib.contextmanager
def open_weights(path: Path) -> Iterator[h5py.File]:
    """Opens a weight file of Keras, or the one inside a `.keras` archive, and looks it through.

    Args:
        path: an HDF5 file or a `.keras` archive, whose description of the model, which may hold code, is not touched.

    Raises:
        InputError: the file is damaged or another one lies in its place, it declares to be larger than the limit, or it
            takes content from other files; also if whatever is done with it fails.
    """
    check_fetched(path)
    content = _inner(path) if path.suffix == ".keras" else path
    try:
        with h5py.File(content, "r") as file:
            check_size(sum(size_of(dataset) for dataset in datasets(file, path).values()), str(path))
            yield file
    except InputError:
        raise
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(
            f"{path}: expected a whole HDF5 weight file. Received: a damaged or different file ({cause(error)})"
        ) from None


def check_weights(path: Path) -> None:
    """Raises InputError if a weight file, or that inside a `.keras` archive, must not be given to Keras.

    See `open_weights`. Keras itself refuses links to other files, but not everywhere, and not before it reads.
    """
    with open_weights(path):
        pass


def datasets(file: h5py.Group, path: Path) -> dict[str, h5py.Dataset]:
    """All arrays of an HDF5 file by name, in the order of their names; nothing is read.

    Args:
        file: an open file.
        path: of the file, for errors.

    Raises:
        InputError: a part of the file lies in another file: an external link, external storage, a virtual dataset.
    """
    found: dict[str, h5py.Dataset] = {}
    seen = {h5py.h5o.get_info(file.id).addr}

    def visit(group: h5py.Group, prefix: str, depth: int) -> None:
        for name in group:
            link, full = group.get(name, getlink=True), prefix + name
            if isinstance(link, h5py.ExternalLink):
                raise _elsewhere(path, f"{full} is a link to another file")
            if isinstance(link, h5py.SoftLink):  # to a place in this file, which is visited itself
                continue
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if isinstance(item, h5py.Dataset):
                if item.is_virtual or item.external:
                    raise _elsewhere(path, f"the values of {full} lie in another file")
                if address not in seen:
                    _check_chunks(item, path)
                    found[full] = item
            elif isinstance(item, h5py.Group) and address not in seen:
                if depth == DEPTH:
                    raise InputError(f"{path}: expected at most {DEPTH} groups in one another. Received: more")
                seen.add(address)  # before its content, which may lead back to it
                visit(item, f"{full}/", depth + 1)
            seen.add(address)

    visit(file, "", 1)
    return found


def size_of(dataset: h5py.Dataset) -> int:
    """What an array declares to take unpacked, in bytes, and at least one of its chunks."""
    return max(dataset.size or 0, math.prod(dataset.chunks or (0,))) * dataset.dtype.itemsize


def _check_chunks(dataset: h5py.Dataset, path: Path) -> None:
    """Raises InputError if a compressed chunk holds more than a chunk, which HDF5 finds out once it is unpacked."""
    check_size(size_of(dataset), str(path))
    pipeline = dataset.id.get_create_plist()
    filters = [pipeline.get_filter(number)[0] for number in range(pipeline.get_nfilters())]
    if not set(filters) <= {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}:
        raise InputError(f"{path}: expected {dataset.name} plain or compressed by gzip. Received: another filter")
    if h5py.h5z.FILTER_DEFLATE not in filters:
        return
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    chunks: list[tuple[int, ...]] = []
    skipped = 1 << filters.index(h5py.h5z.FILTER_DEFLATE)  # a chunk that compression would not make smaller
    dataset.id.chunk_iter(lambda chunk: None if chunk.filter_mask & skipped else chunks.append(chunk.chunk_offset))
    for offset in chunks:
        _, packed = dataset.id.read_direct_chunk(offset)
        if len(zlib.decompressobj().decompress(packed, size + 1)) > size:
            raise InputError(f"{path}: expected {size} bytes in a chunk of {dataset.name}. Received: more")


def _inner(path: Path) -> io.BytesIO:
    """The weight file inside a `.keras` archive."""
    with open_archive(path) as archive:
        if "model.weights.h5" not in archive.namelist():
            raise InputError(
                f"{path}: expected a whole .keras file, with model.weights.h5 in it. "
                f"Received: an archive of {', '.join(archive.namelist()[:3]) or 'nothing'}"
            )
        return io.BytesIO(archive.read("model.weights.h5"))


def _elsewhere(path: Path, what: str) -> InputError:
    return InputError(f"{path}: expected all content in the file itself. Received: a file in which {what}")
