"""Pruned weights stay exactly zero through callbacks, files, processes and replicas; what does not fit is refused."""

import numpy as np
import pytest

from prunefront import InputError, global_masks, layerwise_masks
from prunefront.common.runtime import keras, tf
from prunefront.graph.forward import difference_of
from prunefront.models.layers import describe_weights
from prunefront.pruning.masks import count_zeros
from prunefront.training.hold import held_masks, hold_masks, implied_masks, magnitude_masks
from tests.helpers import (
    EveryBatch,
    Subclassed,
    X,
    Y,
    check,
    compile_model,
    fit_and_check,
    held,
    layers,
    optimizers,
    python,
    small,
)


def test_callbacks_that_save_and_restore(tmp_path):
    callbacks = keras.callbacks

    def fit(model, epochs):
        watched = [
            callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True),
            callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
            callbacks.EarlyStopping(patience=1, restore_best_weights=True),
            callbacks.SwapEMAWeights(),
        ]
        validation = {"validation_data": (X, Y)}
        model.fit(X, Y, 16, epochs, 0, watched, **validation)  # callbacks given by position

    model = compile_model(small(), optimizers.Muon(0.05, use_ema=True, ema_momentum=0.5))
    fit(model, 1)
    _, masks = held(model)
    fit(model, 4)
    check(model, masks)
    saved = sorted(tmp_path.glob("*.weights.h5"))[1:]  # the first is from before
    assert len(saved) >= 1
    for path in saved:
        model.load_weights(path)
        check(model, masks)
    check(keras.models.load_model(tmp_path / "best.keras"), masks)


def test_callbacks_come_as_a_list_one_or_a_callback_list(tmp_path):
    model, masks = held(small())
    compile_model(model, optimizers.Adam(0.05))
    stop = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    for given in (stop, [stop], keras.callbacks.CallbackList([stop], model=model, add_history=True, epochs=1)):
        model.fit(X, Y, verbose=0, callbacks=given)
        check(model, masks)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    assert difference_of(model.predict(X, verbose=0), np.asarray(served.serve(X))) <= 1e-5


def test_backup_of_a_dense_run_does_not_bring_weights_back(tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    compile_model(small(), optimizers.Adam(0.05)).fit(X, Y, epochs=2, verbose=0, callbacks=[backup])
    model, masks = held(small())
    watch = EveryBatch(masks)
    compile_model(model, optimizers.Adam(0.05))
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[backup, watch])
    check(model, masks)
    assert watch.batches == 4  # epochs 3 and 4 of two batches: it did resume


def test_saved_files_are_plain_and_go_on_in_a_new_process(tmp_path):
    model, masks = held(small())
    compile_model(model).fit(X, Y, verbose=0)
    model.save(tmp_path / "sparse.keras")
    np.savez(tmp_path / "data.npz", X, Y, *masks)
    code = f"""
import numpy as np, keras
model = keras.models.load_model(r"{tmp_path / "sparse.keras"}")  # needs no prunefront
from prunefront.training.hold import hold_masks, implied_masks
x, y, *masks = np.load(r"{tmp_path / "data.npz"}").values()
implied = implied_masks(model)
assert all(np.all(i <= m) for i, m in zip(implied, masks))
hold_masks(model, masks)
model.fit(x, y, epochs=2, verbose=0)
assert all(not w[~m].any() for w, m in zip(model.get_weights(), masks))
assert any(w[m].any() for w, m in zip(model.get_weights(), masks))
"""
    run_alone(code)


def test_continuing_to_a_higher_sparsity_and_not_to_a_lower_one():
    model, loose = held(small(), 0.3)
    compile_model(model).fit(X, Y, verbose=0)
    _, tight = held(model, 0.7)
    assert all(np.all(t <= lo) for t, lo in zip(tight, loose, strict=True))
    fit_and_check(model, tight)
    assert held_masks(model)[0] is not None
    with pytest.raises(InputError, match=r"sparsity of at least 0\.\d+, which the model has already.*sparsity=0.3"):
        magnitude_masks(model, 0.3)
    with pytest.raises(InputError, match=r"masks that prune more than the present ones.*bring back \d+ weights of"):
        hold_masks(model, loose)
    reloaded = small()
    reloaded.set_weights(model.get_weights())
    with pytest.raises(InputError, match="which the model has already"):
        magnitude_masks(reloaded, 0.3)


def run_alone(code):
    """Runs code in a process of its own and returns what it printed."""
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    return result.stdout


def some_then_more(*names):
    """The first in every run, the others in the long one."""
    return pytest.mark.parametrize("names", [names[:1], pytest.param(names[1:], marks=pytest.mark.long)], ids=str)


@some_then_more("adamw", "muon ema", "accumulation", "loss scale")
def test_xla(names):
    """In a process of its own: Keras does without XLA once operations are to be deterministic."""
    code = f"""
from tests.helpers import OPTIMIZERS, X, Y, compile_model, diverge_and_check, fit_and_check, held, keras, small
keras.utils.set_random_seed(0)
for name in {names}:
    model = compile_model(small(), OPTIMIZERS[name](), jit_compile=True, steps_per_execution=1 + (name == "adamw"))
    assert model.jit_compile
    model.fit(X, Y, verbose=0)
    model, masks = held(model)
    fit_and_check(model, masks)
    diverge_and_check(model, masks)
print("held under XLA")
"""
    assert "held under XLA" in run_alone(code)


@some_then_more("adamw", "muon ema", "loss scale", "sgd nesterov")  # Keras itself cannot accumulate on replicas
def test_two_replicas(names):
    """In a process of its own: logical devices have to be made before TensorFlow starts."""
    code = f"""
from prunefront.common.runtime import keras, set_up, tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.helpers import OPTIMIZERS, X, Y, compile_model, diverge_and_check, fit_and_check, held, nested, small
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
for name in {names}:
    set_up("float32", 0)
    with strategy.scope():
        model = compile_model(nested() if name == "adamw" else small(), OPTIMIZERS[name]())
    model.fit(X, Y, epochs=1, batch_size=16, verbose=0)
    model, masks = held(model)
    fit_and_check(model, masks)
    for replica in strategy.experimental_local_results(model.weights[0].value):
        assert not replica.numpy()[~masks[0]].any(), name
    diverge_and_check(model, masks)
    one, two = (replica.numpy() for replica in strategy.experimental_local_results(model.weights[0].value))
    assert (one == two).all()
print("held on two replicas")
"""
    assert "held on two replicas" in run_alone(code)


@pytest.mark.parametrize("compiled", [{}, {"steps_per_execution": 3}, {"run_eagerly": True}], ids=str)
def test_a_step_that_diverges_is_undone_and_named(compiled):
    good, masks = held(small())
    model = keras.models.clone_model(good)
    model.set_weights(good.get_weights())
    hold_masks(model, masks)
    compile_model(good, optimizers.SGD(0.05)).fit(X[:32], Y[:32], batch_size=16, shuffle=False, verbose=0)
    compile_model(model, optimizers.SGD(0.05), **compiled)
    weight = np.ones(48)
    weight[32] = np.nan  # in the third batch of 16
    x = np.concatenate([X, X])  # three more batches, which must not count
    with pytest.raises(InputError, match=r"stopped at step 3; .*Received: NaN or infinity in the loss"):
        model.fit(x, np.tile(Y, 2), 16, sample_weight=np.tile(weight, 2), shuffle=False, verbose=0)
    for kept, expected in zip(model.get_weights(), good.get_weights(), strict=True):
        assert difference_of(expected, kept) <= 1e-5  # a step too many would be some hundredths
    model.optimizer.learning_rate = 0.01  # training can go on from there
    fit_and_check(model, masks)


def test_weights_that_overflow_are_named():
    model, _ = held(small())
    compile_model(model, optimizers.SGD(1e39))
    before = model.get_weights()
    with pytest.raises(InputError, match=r"stopped at step 1; .*infinity in sequential.*/dense.*/kernel"):
        model.train_on_batch(X, Y)
    for kept, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(kept, was)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda masks: masks[:-1], "one mask for each of 4 weight arrays. Received: 3"),
        (lambda masks: [m.T for m in masks], r"masks\[0\].shape=\(8, 6\)"),
        (lambda masks: [m.astype(np.float32) for m in masks], r"boolean masks.*dtype=float32"),
        (lambda masks: [m * 0.5 for m in masks], r"boolean masks.*dtype=float64"),
    ],
)
def test_masks_that_do_not_fit_are_refused(change, message):
    model = small()
    before = model.get_weights()
    with pytest.raises(InputError, match=message):
        hold_masks(model, change(magnitude_masks(model, 0.5)))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert held_masks(model) is None


def test_a_layer_is_emptied_only_when_asked_for():
    model = small()
    masks = [np.ones(w.shape, bool) for w in model.get_weights()]
    masks[2][:] = False
    with pytest.raises(InputError, match=r"removes all of sequential.*/dense_.*/kernel"):
        hold_masks(model, masks)
    with pytest.warns(UserWarning, match=r"remove all of .*kernel"):
        hold_masks(model, masks, allow_empty_layers=True)
    fit_and_check(compile_model(model), masks)


@pytest.mark.parametrize("rule", [global_masks, layerwise_masks])
def test_a_floor_empties_no_layer(rule):
    model = small()
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 1e-6)
    if rule is global_masks:
        with pytest.raises(InputError, match=r"floor=1 of magnitude_masks"):
            hold_masks(model, magnitude_masks(model, 0.9))
    masks = magnitude_masks(model, 0.9, rule, biases=False, floor=2)
    kernels = [mask for mask, weight in zip(masks, describe_weights(model), strict=True) if weight.kernel]
    assert all(mask.sum() >= 2 for mask in kernels)
    fit_and_check(compile_model(hold_masks(model, masks)), masks)


def test_a_recurrent_layer_is_empty_without_kernels_whatever_its_bias():
    model = keras.Sequential([keras.Input((5, 3)), layers.GRU(2), layers.Dense(2)])
    masks = [np.ones(w.shape, bool) for w in model.get_weights()]
    assert [m.shape for m in masks[:3]] == [(3, 6), (2, 6), (2, 6)]  # kernel, recurrent kernel, bias
    masks[0][:] = masks[1][:] = False
    with pytest.raises(InputError, match=r"removes all of .*gru.*/kernel"):
        hold_masks(model, masks)
    model.set_weights([w * m for w, m in zip(model.get_weights(), masks, strict=True)])
    assert count_zeros(model.get_weights()) == 18 + 12 + 12 + 2  # the biases of a new model are zero too
    # 18 + 12 of 36 kernel weights and of 48 prunable ones have been pruned
    with pytest.raises(InputError, match=r"at least 0\.625000, which the model has already"):
        magnitude_masks(model, 0.5)


def test_unbuilt_models_and_bad_weights_are_refused():
    with pytest.raises(InputError, match="Expected a built model"):
        hold_masks(Subclassed(), [])
    with pytest.raises(InputError, match="Expected a built model"):
        magnitude_masks(keras.Sequential([layers.Dense(2)]), 0.5)
    model = small()
    masks = global_masks(model.get_weights(), 0.5)
    model.set_weights([w * np.nan for w in model.get_weights()])
    with pytest.raises(InputError, match="NaN or infinity in sequential"):
        hold_masks(model, masks)


def test_implied_masks_leave_out_biases_if_asked():
    model, _ = held(small())  # the biases of a new model are zero: pruned first
    assert not implied_masks(model)[1].any()
    assert implied_masks(model, biases=False)[1].all()
