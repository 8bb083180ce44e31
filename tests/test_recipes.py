"""What each word of a training recipe does, seen on the numbers."""

from dataclasses import replace

import numpy as np
import pytest

from prunefront.common.runtime import keras
from prunefront.data.splits import Split
from prunefront.models.built_in import build_network
from prunefront.models.outputs import LOGITS, Outputs
from prunefront.pruning.masks import global_masks
from prunefront.training import trainer as trainer_module
from prunefront.training.progress import Progress
from prunefront.training.recipes import augmented, learning_rate, scale_dropout
from prunefront.training.teachers import Teachers, distil
from prunefront.training.trainer import Trainer, compile_classifier
from tests.helpers import IMAGES, PLAIN, RNG, TRAINING, needs_16_bits, recipe


def test_learning_rates_by_hand():
    assert learning_rate(PLAIN, TRAINING, 10) == 0.5
    cosine = learning_rate(recipe(schedule="cosine"), TRAINING, 10)
    np.testing.assert_allclose([float(cosine(step)) for step in (0, 20, 40)], [0.5, 0.25, 0], atol=1e-6)
    warm = learning_rate(recipe(schedule="cosine", warmup_epochs=2), TRAINING, 10)
    np.testing.assert_allclose([float(warm(step)) for step in (0, 10, 20, 30, 40)], [0, 0.25, 0.5, 0.25, 0], atol=1e-6)
    constant = learning_rate(recipe(warmup_epochs=1), TRAINING, 10)
    np.testing.assert_allclose([float(constant(step)) for step in (0, 5, 10, 40)], [0, 0.25, 0.5, 0.5], atol=1e-6)


def test_smoothed_labels_by_hand():
    logits = np.log(np.array([[0.7, 0.1, 0.1, 0.1]], np.float32))
    smoothed = float(np.mean(LOGITS.loss(0.2)(np.array([[0]]), logits)))
    # 0.85 of the label's own class, 0.05 of each of the others
    assert smoothed == pytest.approx(-(0.85 * np.log(0.7) + 0.15 * np.log(0.1)), rel=1e-5)
    assert float(LOGITS.loss()(np.array([[0]]), logits)) == pytest.approx(-np.log(0.7), rel=1e-5)


def test_flips_and_shifts_move_pixels_and_nothing_else():
    flips = np.concatenate([x for x, _ in augmented(IMAGES, recipe(flip=True), 8, 0)])
    originals = {image.tobytes() for image in IMAGES.x}
    mirrored = {np.ascontiguousarray(image[:, ::-1]).tobytes() for image in IMAGES.x}
    seen = [image.tobytes() for image in flips]
    assert all(one in originals | mirrored for one in seen)
    assert 4 < sum(one in mirrored for one in seen) < 28

    white = Split(np.ones((64, 10, 10, 1), np.float32), np.zeros(64, int))
    shifted = np.concatenate([x for x, _ in augmented(white, recipe(shift=2), 64, 0)])[..., 0]
    assert set(np.unique(shifted)) == {0, 1}
    rows, columns = (10 - shifted.max(axis=axis).sum(axis=1) for axis in (2, 1))
    assert set(rows) == set(columns) == {0, 1, 2}


def test_augmentation_is_the_same_each_time_and_differs_between_epochs():
    batches = augmented(IMAGES, recipe(flip=True, shift=2), 8, 0)
    first, second = (np.concatenate([x for x, _ in batches]) for _ in range(2))
    again = np.concatenate([x for x, _ in augmented(IMAGES, recipe(flip=True, shift=2), 8, 0)])
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    labels = np.concatenate([y for _, y in batches])
    assert sorted(labels) == sorted(IMAGES.y)


def test_dropout_is_scaled():
    model = build_network((10, 10, 1), 4)
    scale_dropout(model, 0.1)
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.025, 0.025, 0.05]


def linear(kernel):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, use_bias=False)])
    model.set_weights([np.array([kernel], np.float32)])
    return model


def test_distillation_by_hand():
    student, teacher = linear([0, 0]), linear([2 * np.log(3), 0])
    compile_classifier(student, keras.optimizers.SGD(1.0))
    distil(student, LOGITS, [teacher], LOGITS, 0.25, 2.0)
    x, y = np.ones((1, 1), np.float32), np.array([1])
    # at temperature 2 the teacher says 3/4 and 1/4; an undecided student has the cross-entropy log 2 from anything
    assert float(student.compute_loss(x, y, student(x))) == pytest.approx((0.75 + 0.25 * 4) * np.log(2), rel=1e-5)
    assert student.evaluate(x, y, verbose=0)[0] == pytest.approx(np.log(2), rel=1e-5)
    student.fit(x, y, verbose=0)
    # gradient of the label: (1/2, -1/2); of the imitation: (1/2 - 3/4, 1/2 - 1/4) / 2 times 4
    expected = -(0.75 * np.array([0.5, -0.5]) + 0.25 * 4 / 2 * np.array([-0.25, 0.25]))
    np.testing.assert_allclose(student.get_weights()[0][0], expected, rtol=1e-5)
    np.testing.assert_allclose(teacher.get_weights()[0][0], [2 * np.log(3), 0])


def test_several_teachers_are_imitated_by_the_mean_of_what_they_say():
    student, one, other = linear([0, 0]), linear([2 * np.log(3), 0]), linear([0, 2 * np.log(3)])
    compile_classifier(student, keras.optimizers.SGD(1.0))
    distil(student, LOGITS, [one, other], LOGITS, 1.0, 2.0)  # 3/4 and 1/4, 1/4 and 3/4: in the mean undecided, as it is
    student.fit(np.ones((1, 1), np.float32), np.array([1]), verbose=0)
    np.testing.assert_allclose(student.get_weights()[0], [[0, 0]], atol=1e-6)


@pytest.mark.parametrize(
    "dtype", ["float64", *(pytest.param(dtype, marks=needs_16_bits) for dtype in ("mixed_bfloat16", "float16"))]
)
@pytest.mark.parametrize("activation", ["linear", "softmax", "sigmoid"])
def test_outputs_of_any_type_are_distilled(dtype, activation):
    def build():
        units = 1 if activation == "sigmoid" else 2
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, activation, dtype=dtype)])

    student, teacher, outputs = build(), build(), Outputs(activation == "sigmoid", activation == "linear")
    compile_classifier(student, keras.optimizers.SGD(0.1), outputs)
    distil(student, outputs, [teacher], outputs, 0.5, 2.0)
    x, y = RNG.normal(size=(8, 3)).astype(np.float32) * 50, np.arange(8) % 2  # saturated
    assert np.isfinite(student.fit(x, y, verbose=0).history["loss"]).all()


def test_a_full_recipe_trains_the_same_each_time_and_counts_its_cost():
    keras.utils.set_random_seed(0)
    everything = recipe(
        schedule="cosine", warmup_epochs=1, weight_decay=0.1, label_smoothing=0.1, flip=True, shift=1, distillation=0.5
    )
    make = lambda: build_network((10, 10, 1), 4)  # noqa: E731
    trainer = Trainer(
        make, IMAGES, IMAGES, 0, everything, Progress("test", 10), teachers=Teachers(make, [make().get_weights()])
    )
    training = TRAINING.model_copy(update={"learning_rate": 0.01})
    first, again = (trainer.fit(None, training) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert (trainer.cost.epochs, trainer.cost.images) == (8, 8 * 32)
    for change in ({"label_smoothing": 0}, {"flip": False}, {"weight_decay": 0}, {"distillation": 0.1}):
        other = replace(trainer, recipe=everything.model_copy(update=change)).fit(None, training)
        assert not all(np.array_equal(one, another) for one, another in zip(first, other, strict=True))


@pytest.mark.parametrize("sparse", [False, True])
def test_averaged_weights_are_the_moving_average_of_those_after_each_step(monkeypatch, sparse):
    raw = []

    class Watched(trainer_module._Kept):
        def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
            raw.append(self.model.get_weights())

    monkeypatch.setattr(trainer_module, "_Kept", Watched)
    trainer = Trainer(
        lambda: build_network((10, 10, 1), 4), IMAGES, IMAGES, 0, recipe(averaged=0.5), Progress("test", 9)
    )
    start = trainer.make_model().get_weights()
    masks = global_masks(start, 0.8, [w.ndim > 1 for w in start]) if sparse else None
    settings = TRAINING.model_copy(update={"epochs": 2, "learning_rate": 0.01})
    result = trainer.fit(start, settings, masks=masks)
    averages, average = [], raw[0]
    for weights in raw:
        average = [0.5 * a + 0.5 * w for a, w in zip(average, weights, strict=True)]
        averages.append(average)
    ends = averages[3], averages[7]  # four steps an epoch; the better epoch's is kept
    assert any(all(np.allclose(a, b, atol=1e-6) for a, b in zip(result, end, strict=True)) for end in ends)
    assert not all(np.allclose(a, b, atol=1e-5) for a, b in zip(result, raw[-1], strict=True))
    if masks:
        assert all(not array[~mask].any() for array, mask in zip(result, masks, strict=True))
