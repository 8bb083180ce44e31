"""Pruned weights stay exactly zero, whatever trains them: every optimizer, option, kind of model and callback."""

import numpy as np
import pytest

from prunefront import InputError, global_masks, layerwise_masks
from prunefront.masked_training import assert_held, held_masks, hold_masks, implied_masks, magnitude_masks
from prunefront.masks import count_zeros
from prunefront.network import prunable
from prunefront.runtime import keras, set_up, tf
from tests.test_stages import python

layers, optimizers = keras.layers, keras.optimizers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


@pytest.fixture(autouse=True)
def _seeded():
    set_up("float32", 0)


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


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_with_full_slots(name):
    """The optimizer has momentum for every weight before the masks come."""
    model = compile_model(small(), OPTIMIZERS[name]())
    model.fit(X, Y, epochs=2, batch_size=16, verbose=0)
    _, masks = held(model)
    fit_and_check(model, masks)


def test_all_optimizers_of_keras_are_covered():
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
    compiled, fitted = OPTIONS[name]
    model, masks = held(small())
    fit_and_check(compile_model(model, optimizers.AdamW(0.05), **compiled), masks, **fitted)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64", "bfloat16"])
def test_precisions(policy):
    set_up(policy, 0)
    model, masks = held(small())
    compile_model(model, optimizers.SGD(0.1, momentum=0.9))
    assert ("LossScale" in type(model.optimizer).__name__) == (policy == "mixed_float16")
    fit_and_check(model, masks)


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


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = layers.Dense(8), layers.Dense(2)

    def call(self, x):
        return self.last(keras.ops.relu(self.first(x)))


class OwnStep(Subclassed):
    """A user's own training step."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for metric in self.metrics:
            metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics} | {"my_loss": loss}


class Tied(keras.Model):
    """An embedding that is its own output layer: the gradient of its table is partly sparse."""

    def __init__(self):
        super().__init__()
        self.table = layers.Embedding(12, 4)

    def build(self, shape):
        self.table.build(shape)
        super().build(shape)

    def call(self, x):
        return keras.ops.matmul(keras.ops.mean(self.table(x), axis=1), keras.ops.transpose(self.table.embeddings))


def sequence(*stack):
    return keras.Sequential([keras.Input((5,), dtype="int32"), layers.Embedding(12, 4), *stack, layers.Dense(2)])


def attention():
    token = keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(12, 4)(token)
    attended = layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(embedded, embedded))
    return keras.Model(token, layers.Dense(2)(layers.GlobalAveragePooling1D()(attended)))


def nested():
    shared = layers.Dense(6, activation="relu")
    inner = keras.Sequential([keras.Input((6,)), shared, layers.BatchNormalization()])
    data = keras.Input((6,))
    return keras.Model(data, layers.Dense(2)(layers.Add()([inner(data), shared(inner(data))])))


def images():
    stack = [layers.Reshape((6, 1, 1)), layers.SeparableConv2D(4, (3, 1)), layers.DepthwiseConv2D((2, 1))]
    return keras.Sequential([keras.Input((6,)), *stack, layers.Flatten(), layers.Dense(2)])


def built(model):
    model(X)
    return model


TOKENS = RNG.integers(0, 12, (48, 5)).astype(np.int32)
MODELS = {
    "nested, shared, batch normalization": (nested, X),
    "subclassed": (lambda: built(Subclassed()), X),
    "own train step": (lambda: built(OwnStep()), X),
    "separable and depthwise": (images, X),
    "embedding": (lambda: sequence(layers.Flatten()), TOKENS),
    "lstm": (lambda: sequence(layers.LSTM(4)), TOKENS),
    "bidirectional gru": (lambda: sequence(layers.Bidirectional(layers.GRU(3))), TOKENS),
    "attention": (attention, TOKENS),
}


@pytest.mark.parametrize("name", MODELS)
def test_kinds_of_models(name):
    make, x = MODELS[name]
    model, masks = held(make(), 0.5, layerwise_masks)
    fit_and_check(compile_model(model, optimizers.Adam(0.05)), masks, x=x)


def test_tied_weights():
    model = Tied()
    model.build((None, 5))
    model, masks = held(model)
    fit_and_check(compile_model(model, optimizers.SGD(0.05, momentum=0.9)), masks, x=TOKENS, y=TOKENS[:, 0])


def test_normalization_is_not_pruned():
    model, masks = held(nested(), 0.9)
    for variable, mask, allowed in zip(model.weights, masks, prunable(model), strict=True):
        assert allowed != ("normalization" in variable.path)
        assert allowed or mask.all()


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
    np.testing.assert_allclose(served.serve(X), model.predict(X, verbose=0), rtol=1e-5)


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
from prunefront.masked_training import hold_masks, implied_masks
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


def run_all_ones(hold, optimizer, **compiled):
    set_up("float32", 1)
    model = small()
    if hold:
        hold_masks(model, [np.ones(w.shape, bool) for w in model.get_weights()])
    compile_model(model, optimizer(), **compiled)
    history = model.fit(X, Y, epochs=3, batch_size=16, verbose=0, validation_data=(X, Y))
    return model.get_weights(), history.history


@pytest.mark.parametrize("compiled", [{}, {"steps_per_execution": 2}], ids=str)
@pytest.mark.parametrize("name", ["adam", "muon ema", "accumulation", "sgd nesterov"])
def test_all_ones_masks_equal_plain_fit_bit_for_bit(name, compiled):
    plain, held_run = (run_all_ones(hold, OPTIMIZERS[name], **compiled) for hold in (False, True))
    assert plain[1] == held_run[1]
    for one, other in zip(plain[0], held_run[0], strict=True):
        assert one.tobytes() == other.tobytes()


def run_alone(code):
    """Runs code in a process of its own and returns what it printed."""
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_xla():
    """In a process of its own: Keras does without XLA once operations are to be deterministic."""
    code = """
from tests.test_zeros_hold import OPTIMIZERS, X, Y, compile_model, fit_and_check, held, keras, small
keras.utils.set_random_seed(0)
for name, steps in (("adamw", 2), ("muon ema", 1), ("accumulation", 1), ("loss scale", 1)):
    model = compile_model(small(), OPTIMIZERS[name](), jit_compile=True, steps_per_execution=steps)
    assert model.jit_compile
    model.fit(X, Y, verbose=0)
    model, masks = held(model)
    fit_and_check(model, masks)
print("held under XLA")
"""
    assert "held under XLA" in run_alone(code)


def test_two_replicas():
    """In a process of its own: logical devices have to be made before TensorFlow starts."""
    code = """
from prunefront.runtime import keras, set_up, tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.test_zeros_hold import X, Y, OPTIMIZERS, compile_model, fit_and_check, held, nested, small
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
for name in ("adamw", "muon ema", "loss scale", "sgd nesterov"):  # Keras itself cannot accumulate on replicas
    set_up("float32", 0)
    with strategy.scope():
        model = compile_model(nested() if name == "adamw" else small(), OPTIMIZERS[name]())
    model.fit(X, Y, epochs=1, batch_size=16, verbose=0)
    model, masks = held(model)
    fit_and_check(model, masks)
    for replica in strategy.experimental_local_results(model.weights[0].value):
        assert not replica.numpy()[~masks[0]].any(), name
print("held on two replicas")
"""
    assert "held on two replicas" in run_alone(code)


@pytest.mark.parametrize("compiled", [{}, {"steps_per_execution": 3}], ids=str)
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
        np.testing.assert_allclose(kept, expected, rtol=1e-6)
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
    model = small()
    assert not implied_masks(model)[1].any()
    assert implied_masks(model, biases=False)[1].all()
