"""Pruned weights stay exactly zero under every optimizer, way to compile and fit, and precision."""

import numpy as np
import pytest

from prunefront.common.runtime import set_up, tf
from prunefront.training.hold import hold_masks
from tests.helpers import (
    OPTIMIZERS,
    X,
    Y,
    check,
    compile_model,
    diverge_and_check,
    fit_and_check,
    held,
    needs_16_bits,
    optimizers,
    small,
)

# One of each kind: its slots, how it clips, averages, accumulates and scales. The others do the same another time.
EACH = {
    "adafactor", "adam", "accumulation", "ema overwriting", "ftrl", "global clipnorm", "lamb", "loss scale", "muon",
    "rmsprop", "schedule", "schedule-free adamw",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [name if name in EACH else pytest.param(name, marks=pytest.mark.long) for name in OPTIMIZERS]
)
def test_optimizers_with_full_slots(name):
    """The optimizer has momentum for every weight before the masks come."""
    model = compile_model(small(), OPTIMIZERS[name]())
    model.fit(X, Y, epochs=2, batch_size=16, verbose=0)
    _, masks = held(model)
    fit_and_check(model, masks)
    diverge_and_check(model, masks)


def test_all_optimizers_of_keras_are_covered():
    assert set(OPTIMIZERS) > EACH
    public = {n for n in dir(optimizers) if isinstance(getattr(optimizers, n), type)}
    used = {type(make()).__name__ for make in OPTIMIZERS.values()}
    assert public - used <= {"Optimizer", "MultiOptimizer", "OptimizerMap"}


OPTIONS = {
    "eager": ({"run_eagerly": True}, {}),
    "steps per execution": ({"steps_per_execution": 2}, {}),
    "class weight": ({}, {"class_weight": {0: 1.0, 1: 3.0}}),
    "sample weight": ({}, {"sample_weight": np.linspace(0, 1, 48)}),
    "validation split": ({}, {"validation_split": 0.25, "shuffle": False}),
    "tf.data": (
        {},
        {"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(16), "y": None, "batch_size": None, "shuffle": False},
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_ways_to_compile_and_fit(name):
    compiled, as_model_input = OPTIONS[name]
    model, masks = held(small())
    fit_and_check(compile_model(model, optimizers.AdamW(0.05), **compiled), masks, **as_model_input)


@pytest.mark.parametrize(
    "policy",
    ["float64", *(pytest.param(p, marks=needs_16_bits) for p in ("mixed_float16", "mixed_bfloat16", "bfloat16"))],
)
def test_precisions(policy):
    set_up(policy, 0)
    model, masks = held(small())
    compile_model(model, optimizers.SGD(0.1, momentum=0.9))
    assert ("LossScale" in type(model.optimizer).__name__) == (policy == "mixed_float16")
    fit_and_check(model, masks)
    diverge_and_check(model, masks)


def test_train_on_batch():
    model, masks = held(small())
    compile_model(model, optimizers.SGD(0.05, momentum=0.9))
    for _ in range(3):
        assert len(model.train_on_batch(X, Y)) == 2
        check(model, masks)


def test_several_optimizers_for_one_model():
    model, masks = held(small())
    chosen = optimizers.OptimizerMap(optimizers.SGD(0.05, momentum=0.9, use_ema=True))
    chosen[model.weights[0].path] = optimizers.AdamW(0.05)
    chosen["nothing"] = optimizers.Adam(0.05, use_ema=True)
    fit_and_check(compile_model(model, optimizers.MultiOptimizer(chosen)), masks)


def run_all_ones(hold, optimizer, **compiled):
    set_up("float32", 1)
    model = small()
    if hold:
        hold_masks(model, [np.ones(w.shape, bool) for w in model.get_weights()])
    compile_model(model, optimizer(), **compiled)
    history = model.fit(X, Y, epochs=3, batch_size=16, verbose=0, validation_data=(X, Y))
    return model.get_weights(), history.history


@pytest.mark.parametrize("compiled", [{}, pytest.param({"steps_per_execution": 2}, marks=pytest.mark.long)], ids=str)
@pytest.mark.parametrize("name", ["adam", "muon ema", "accumulation", "sgd nesterov"])
def test_all_ones_masks_equal_plain_fit_bit_for_bit(name, compiled):
    plain, held_run = (run_all_ones(hold, OPTIMIZERS[name], **compiled) for hold in (False, True))
    assert plain[1] == held_run[1]
    for one, other in zip(plain[0], held_run[0], strict=True):
        assert one.tobytes() == other.tobytes()
