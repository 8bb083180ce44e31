"""A stage that is interrupted goes on at the next level."""

from dataclasses import replace

import numpy as np
import pytest

from prunefront.models.built_in import build_network
from prunefront.pruning.masks import global_masks
from prunefront.pruning.saliency import erk, lamp, random_scores
from prunefront.pruning.schedules import Ramp
from prunefront.training.progress import Progress
from prunefront.training.resume import FinishedFits
from prunefront.training.trainer import Trainer
from tests.helpers import IMAGES, PLAIN, TRAINING, python, recipe

SETTINGS = TRAINING.model_copy(update={"epochs": 1, "learning_rate": 0.01})


@pytest.fixture
def trainer(tmp_path):
    def make():
        return build_network((10, 10, 1), 4)

    return Trainer(
        make, IMAGES, IMAGES, 0, PLAIN, Progress("test", 10), finished=FinishedFits(tmp_path / "fits", "masked")
    )


def test_a_finished_fit_is_not_trained_again(trainer, monkeypatch):
    trained = trainer.fit(None, SETTINGS)
    cost = replace(trainer.cost)
    monkeypatch.setattr(Trainer, "_fit", lambda *_: pytest.fail("trained again"))
    again = trainer.fit(None, SETTINGS)
    assert all(np.array_equal(one, other) for one, other in zip(trained, again, strict=True))
    assert (trainer.cost.epochs, trainer.cost.images) == (2 * cost.epochs, 2 * cost.images)
    assert trainer.cost.seconds == pytest.approx(2 * cost.seconds)
    assert len(trainer.curves[0][1]) == 1
    assert trainer.curves[0] == trainer.curves[1]
    trainer.finished.forget()
    assert not trainer.finished.folder.exists()


def test_what_was_kept_comes_back_too(trainer, monkeypatch):
    best, early = trainer.fit_keeping(None, SETTINGS.model_copy(update={"epochs": 2}), 1)
    monkeypatch.setattr(Trainer, "_fit", lambda *_: pytest.fail("trained again"))
    again = trainer.fit_keeping(None, SETTINGS.model_copy(update={"epochs": 2}), 1)
    for one, other in zip((*best, *early), (*again[0], *again[1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_any_difference_trains_anew(trainer, monkeypatch):
    monkeypatch.setattr(Trainer, "_fit", lambda *_: None)  # what a fit is known by is there before it begins
    start = trainer.fit(None, SETTINGS)
    masks = global_masks(start, 0.5)
    trainer.fit(start, SETTINGS)
    trainer.fit(start, SETTINGS, masks=masks)
    trainer.fit(start, SETTINGS, masks=global_masks(start, 0.6))
    trainer.fit(start, SETTINGS, frozen=[0])
    trainer.fit(start, SETTINGS.model_copy(update={"learning_rate": 0.02}))
    replace(trainer, make_model=lambda: build_network((10, 10, 1), 4, 0.5)).fit(None, SETTINGS)
    replace(trainer, seed=1).fit(start, SETTINGS)
    replace(trainer, recipe=recipe(label_smoothing=0.1)).fit(start, SETTINGS)
    replace(trainer, train=replace(IMAGES, y=IMAGES.y[::-1])).fit(start, SETTINGS)
    assert len(list(trainer.finished.folder.iterdir())) == 10


def test_any_difference_in_a_ramp_trains_anew(trainer, monkeypatch):
    monkeypatch.setattr(Trainer, "_fit", lambda *_: None)
    start = trainer.fit(None, SETTINGS)
    ramp = Ramp(0.0, 0.5, 1, 2, lamp, (True,) * len(start))
    dense = [np.ones(w.shape, bool) for w in start]
    longer = SETTINGS.model_copy(update={"epochs": 2})
    for other in ({}, {"final": 0.6}, {"every": 3}, {"score": erk}, {"prunable": (False, *ramp.prunable[1:])}):
        trainer.fit(start, longer, masks=dense, ramp=replace(ramp, **other))
        trainer.fit(start, longer, masks=dense, ramp=replace(ramp, **other))
    assert len(list(trainer.finished.folder.iterdir())) == 1 + 5
    with pytest.raises(TypeError, match="a function at the top level of a module"):
        trainer.fit(start, longer, masks=dense, ramp=replace(ramp, score=random_scores(0, layerwise=True)))


def test_the_code_that_counts_is_what_has_been_imported():
    code = "from pathlib import Path; from prunefront.training import resume\nimport stages.freeze, stages.masked\n"
    code += "print(*sorted(Path(p).relative_to(Path.cwd()).as_posix() for p in resume._imported('freeze')))"
    files = python("-c", code).stdout.split()
    assert {"prunefront/training/resume.py", "prunefront/pruning/masks.py", "stages/freeze.py"} <= set(files)
    assert not any(part in file for part in ("tools", "methods", "frontier", "sources", "masked") for file in files)
