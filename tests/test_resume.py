"""A stage that is interrupted goes on at the next level."""

from dataclasses import replace

import numpy as np
import pytest

from prunefront.models.built_in import build_network
from prunefront.pruning.masks import global_masks
from prunefront.training.progress import Progress
from prunefront.training.resume import FinishedFits
from prunefront.training.trainer import Trainer
from tests.test_methods import PLAIN
from tests.test_recipes import IMAGES, TRAINING, recipe

TRAINING = TRAINING.model_copy(update={"epochs": 1, "learning_rate": 0.01})


@pytest.fixture
def trainer(tmp_path):
    def make():
        return build_network((10, 10, 1), 4)

    return Trainer(make, IMAGES, IMAGES, 0, PLAIN, Progress("test", 10), finished=FinishedFits(tmp_path / "fits"))


def test_a_finished_fit_is_not_trained_again(trainer, monkeypatch):
    trained = trainer.fit(None, TRAINING)
    cost = replace(trainer.cost)
    monkeypatch.setattr(Trainer, "_fit", lambda *_: pytest.fail("trained again"))
    again = trainer.fit(None, TRAINING)
    assert all(np.array_equal(one, other) for one, other in zip(trained, again, strict=True))
    assert (trainer.cost.epochs, trainer.cost.images) == (2 * cost.epochs, 2 * cost.images)
    assert trainer.cost.seconds == pytest.approx(2 * cost.seconds)
    trainer.finished.forget()
    assert not trainer.finished.folder.exists()


def test_any_difference_trains_anew(trainer):
    start = trainer.fit(None, TRAINING)
    masks = global_masks(start, 0.5)
    trainer.fit(start, TRAINING)
    trainer.fit(start, TRAINING, masks=masks)
    trainer.fit(start, TRAINING, masks=global_masks(start, 0.6))
    trainer.fit(start, TRAINING, frozen=[0])
    trainer.fit(start, TRAINING.model_copy(update={"learning_rate": 0.02}))
    replace(trainer, make_model=lambda: build_network((10, 10, 1), 4, 0.5)).fit(None, TRAINING)
    replace(trainer, seed=1).fit(start, TRAINING)
    replace(trainer, recipe=recipe(label_smoothing=0.1)).fit(start, TRAINING)
    replace(trainer, train=replace(IMAGES, y=IMAGES.y[::-1])).fit(start, TRAINING)
    assert len(list(trainer.finished.folder.iterdir())) == 10
