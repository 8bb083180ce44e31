"""What a weight file takes: the sparse file in each kind of values beside other compressed files of the same arrays.

    python benchmarks/sparse_size.py FILE [--data NPZ]

FILE is any weight file that `load_weights` reads. Prints a table in Markdown: bytes, how many times smaller than the
dense arrays, the largest error of a value relative to the largest magnitude of its array and, with `--data`, how many
of the examples `x_test` (images, divided by 255) the built-in network classifies right with the weights as decoded.
"""

import argparse
import gzip
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import zstandard

from prunefront import load_weights
from prunefront.sparse_file.codec import decode, encode
from prunefront.sparse_file.values import KINDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, help="an .npz file with x_test and y_test")
    options = parser.parse_args()

    arrays = load_weights(options.file)
    dense, stored = sum(a.nbytes for a in arrays), sum(int(np.count_nonzero(a)) for a in arrays)
    print(f"{stored:,} of {sum(a.size for a in arrays):,} values are not zero\n")
    print("| file | bytes | times smaller | largest error |" + " right |" * (options.data is not None))
    print("|---|---|---|---|" + "---|" * (options.data is not None))

    def row(name: str, size: int, decoded: Sequence[np.ndarray]) -> None:
        right = f" {correct(options.data, decoded)} |" if options.data else ""
        print(f"| {name} | {size:,} | {dense / size:.1f} | {error(arrays, decoded):.2g} |{right}", flush=True)

    npz = saved(np.savez, arrays)
    row("dense arrays", dense, arrays)
    row("`np.savez_compressed`", len(saved(np.savez_compressed, arrays)), arrays)
    row("`np.savez`, gzip -9", len(gzip.compress(npz, 9, mtime=0)), arrays)
    row("`np.savez`, zstd -19", len(zstandard.ZstdCompressor(level=19).compress(npz)), arrays)
    for values in KINDS:
        content = encode(arrays, values)
        row(f"sparse file, {values}", len(content), decode(content))


def saved(save: Callable[..., None], arrays: Sequence[np.ndarray]) -> bytes:
    file = io.BytesIO()
    save(file, *arrays)
    return file.getvalue()


def error(arrays: Sequence[np.ndarray], decoded: Sequence[np.ndarray]) -> float:
    """The largest error of a value, relative to the largest magnitude of its array."""
    errors = (np.abs(a - d).max() / np.abs(a).max() for a, d in zip(arrays, decoded, strict=True) if a.any())
    return float(max(errors, default=0.0))


def correct(data: Path, weights: Sequence[np.ndarray]) -> str:
    from prunefront.models.built_in import build_network

    with np.load(data) as file:
        images, labels = file["x_test"].astype(np.float32) / 255, file["y_test"].ravel()
    model = build_network(images.shape[1:], int(labels.max()) + 1)
    model.set_weights(weights)
    answers = model.predict(images, batch_size=256, verbose=0).argmax(axis=1)
    return f"{int((answers == labels).sum()):,} of {labels.size:,}"


if __name__ == "__main__":
    main()
