"""What several test modules share."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML

from prunefront import InputError, global_masks, hold_masks, magnitude_masks
from prunefront.common.machine import without_16_bits
from prunefront.common.params import load_params
from prunefront.common.runtime import keras
from prunefront.common.sections import Recipe, Training
from prunefront.data.splits import Split
from prunefront.pipeline.points import COUNTED_OVER, FRONTIER_COLUMNS
from prunefront.pruning.masks import count_zeros
from prunefront.training.held_step import assert_held

needs_16_bits = pytest.mark.skipif(
    without_16_bits() is not None, reason=f"TensorFlow does not compute in 16 bits with {without_16_bits()}"
)
ROOT = Path(__file__).parent.parent
layers, optimizers = keras.layers, keras.optimizers
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "COLUMNS": "200",
}

# --- files, processes and parameters


def workload(name: str) -> Path:
    """A file of the founding report's workload, which is not part of the project; skips the test without it."""
    path = Path(os.environ.get("PRUNEFRONT_WORKLOAD", ROOT.parent / "shared" / "data")) / name
    if not path.exists():
        pytest.skip(f"needs {name} of the founding report; set PRUNEFRONT_WORKLOAD to the folder that holds it")
    return path


def run(*command: str, folder: Path, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**ENVIRONMENT, **variables}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not check or result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


def python(*arguments: str, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **variables}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def assert_one_line(result: subprocess.CompletedProcess[str], message: str) -> None:
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    said = [line for line in lines if not line.startswith("warning: runtime.portable")]  # of a machine without AVX2
    assert len(said) == 1, result.stderr
    assert said[0].startswith("error: ")
    assert message in said[0]


def edited(folder: Path, *edits: tuple[str, object]) -> Path:
    """The default parameters, of one seed, with dotted keys set, as a new file."""
    yaml = YAML()
    content = yaml.load((ROOT / "presets" / "default.yaml").read_text())
    content["seeds"] = [0]
    for key, value in edits:
        section = content
        *outer, last = key.split(".")
        for name in outer:
            section = section[name]
        section[last] = value
    path = folder / "params.yaml"
    with path.open("w") as file:
        yaml.dump(content, file)
    return path


def copy_checkout(folder: Path, without: tuple[str, ...] = ()) -> None:
    """Copies what Git tracks, or would, but for what begins with one of the names left out."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(without):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def set_params(folder: Path, **sections: object) -> None:
    yaml = YAML()
    content = yaml.load((folder / "params.yaml").read_text())
    for name, value in sections.items():
        if isinstance(value, dict):
            content[name].update(value)
        else:
            content[name] = value
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(content, file)


# --- what imports what


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
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path}: expected absolute imports"
            assert node.level == 0, f"{path}: expected absolute imports"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# --- results


def operating_points(*points: tuple[str, float, float, int, int], weights=1000, multiply_adds=10_000) -> pd.DataFrame:
    """Rows of the last stage, of a network of so many weights and multiply-adds.

    Args:
        points: of each its method, validation accuracy, sparsity, bytes and multiply-adds; its test accuracy is a
            tenth lower.
    """
    rows = [
        dict.fromkeys(FRONTIER_COLUMNS, 0)
        | {"method": method, "target_sparsity": sparsity, "sparsity": sparsity, "weights_sha256": "0" * 64}
        | {f"{kind}_parameters": weights for kind in COUNTED_OVER}
        | {"parameters": weights, "nonzero": weights - round(sparsity * weights), "multiply_adds": multiply_adds}
        | {"bytes_lossless": size, "multiply_adds_nonzero": work}
        | {"val_accuracy": accuracy, "test_accuracy": max(0, accuracy - 0.1), "eligible": True, "on_frontier": False}
        for method, accuracy, sparsity, size, work in points
    ]
    return pd.DataFrame(rows, columns=FRONTIER_COLUMNS)


# --- data


RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
PLAIN = Recipe(
    schedule="constant",
    warmup_epochs=0,
    weight_decay=0,
    label_smoothing=0,
    flip=False,
    shift=0,
    dropout=1.0,
    distillation=0,
    temperature=1.0,
)
TRAINING = Training(epochs=4, batch_size=8, learning_rate=0.5, recipe="plain")
IMAGES = Split(RNG.random((32, 10, 10, 1), np.float32), np.arange(32) % 4)


def recipe(**changes):
    return PLAIN.model_copy(update=changes)


def data_params(folder, **settings):
    return load_params(edited(folder, *((f"data.{key}", value) for key, value in settings.items()))).data


def write_images(folder: Path, classes=("cat", "dog"), count=10, mode="RGB", size=(12, 14), suffix="png"):
    for label in classes:
        (folder / label).mkdir(parents=True)
        for index in range(count):
            noise = RNG.integers(0, 256, (*size, 4), dtype=np.uint8)
            Image.fromarray(noise, "RGBA").convert(mode).save(folder / label / f"{index}.{suffix}")


# --- models, and the check that their pruned weights are zero after every step


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = layers.Dense(8), layers.Dense(2)

    def call(self, x):
        return self.last(keras.ops.relu(self.first(x)))


def nested():
    shared = layers.Dense(6, activation="relu")
    inner = keras.Sequential([keras.Input((6,)), shared, layers.BatchNormalization()])
    data = keras.Input((6,))
    return keras.Model(data, layers.Dense(2)(layers.Add()([inner(data), shared(inner(data))])))


def randomized(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def deep():
    hidden = [layer for _ in range(13) for layer in (layers.Dense(4, use_bias=False), layers.BatchNormalization())]
    return randomized(keras.Sequential([keras.Input((3,)), layers.Dense(5), *hidden]))


OPTIMIZERS = {
    "adadelta": lambda: optimizers.Adadelta(0.5),
    "adafactor": lambda: optimizers.Adafactor(0.05),
    "adagrad": lambda: optimizers.Adagrad(0.05),
    "adam": lambda: optimizers.Adam(0.05),
    "adam amsgrad": lambda: optimizers.Adam(0.05, amsgrad=True),
    "adamax": lambda: optimizers.Adamax(0.05),
    "adamw": lambda: optimizers.AdamW(0.05, weight_decay=0.1),
    "ftrl": lambda: optimizers.Ftrl(0.05, l1_regularization_strength=0.001),
    "lamb": lambda: optimizers.Lamb(0.05),
    "lion": lambda: optimizers.Lion(0.01, weight_decay=0.1),
    "muon": lambda: optimizers.Muon(0.05),
    "nadam": lambda: optimizers.Nadam(0.05),
    "rmsprop": lambda: optimizers.RMSprop(0.05, momentum=0.9, centered=True),
    "schedule-free adamw": lambda: optimizers.ScheduleFreeAdamW(0.05),
    "sgd": lambda: optimizers.SGD(0.05),
    "sgd nesterov": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "clipnorm": lambda: optimizers.SGD(0.05, momentum=0.9, clipnorm=0.1),
    "global clipnorm": lambda: optimizers.Adam(0.05, global_clipnorm=0.1),
    "clipvalue": lambda: optimizers.Adam(0.05, clipvalue=0.01),
    "accumulation": lambda: optimizers.Adam(0.05, gradient_accumulation_steps=2),
    "ema": lambda: optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9),
    "ema overwriting": lambda: optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
    "muon ema": lambda: optimizers.Muon(0.05, use_ema=True, ema_momentum=0.9),
    "loss scale factor": lambda: optimizers.Adam(0.05, loss_scale_factor=8.0),
    "loss scale": lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.05, momentum=0.9, use_ema=True)),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.CosineDecay(0.05, 10)),
}


def small():
    return keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(2)])


def compile_model(model, optimizer="adam", **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **options)
    return model


def held(model, sparsity=0.5, make_masks=global_masks):
    masks = magnitude_masks(model, sparsity, make_masks)
    return hold_masks(model, masks), masks


class EveryBatch(keras.callbacks.Callback):
    """Looks at the zeros after each step, so that a projection at the end alone does not pass."""

    def __init__(self, masks):
        super().__init__()
        self.masks, self.batches = masks, 0

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        self.batches += 1
        check(self.model, self.masks)


def check(model, masks):
    assert_held(model.get_weights(), masks, [v.path for v in model.weights])
    assert count_zeros(model.get_weights()) >= sum(int((~m).sum()) for m in masks) > 0


def fit_and_check(model, masks, x=X, y=Y, **options):
    watch = EveryBatch(masks)
    before = model.get_weights()
    model.fit(x, y, **{"epochs": 2, "batch_size": 16, "verbose": 0, **options, "callbacks": [watch]})
    check(model, masks)
    assert watch.batches > 1
    assert any(not np.array_equal(b, a) for b, a in zip(before, model.get_weights(), strict=True))


def diverge_and_check(model, masks):
    """Two good steps, then one whose loss is NaN: what is left is finite and pruned, after any kind of update."""
    weight = np.ones(len(X))
    weight[32:] = np.nan
    with pytest.raises(InputError, match="NaN or infinity in the loss"):
        model.fit(X, Y, 16, sample_weight=weight, shuffle=False, verbose=0)
    check(model, masks)
    assert all(np.isfinite(w).all() for w in model.get_weights())
