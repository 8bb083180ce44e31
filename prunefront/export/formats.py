"""What the formats are called in files, and by which runtime each is read."""

from pathlib import Path

SUFFIXES = {"keras": ".keras", "sparse": ".sparse", "c": ".c", "litert": ".tflite", "onnx": ".onnx"}
"""Of the files, by family: the first word of a format's name."""
RUNTIMES = {"keras": "Keras", "sparse": "Keras", "c": "C", "litert": "LiteRT", "onnx": "onnxruntime"}
"""What a family is read by, in the words of messages."""


def family(name: str) -> str:
    """Of the format `litert_int8` it is `litert`."""
    return name.partition("_")[0]


def variant(name: str) -> str:
    """Of the format `litert_int8` it is `int8`; of `litert` it is empty."""
    return name.partition("_")[2]


def file_of(name: str, folder: Path, stem: str) -> Path:
    """Where a format is written: `submitted_int8.tflite` for `litert_int8` and the stem `submitted`."""
    kind = variant(name)
    return folder / f"{stem}{'_' if kind else ''}{kind}{SUFFIXES[family(name)]}"


def content_of(path: Path) -> bytes:
    """All that a file holds, of C its header too."""
    return path.read_bytes() + (path.with_suffix(".h").read_bytes() if path.suffix == ".c" else b"")
