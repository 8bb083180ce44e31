"""The training curves of each fit: those of the training, kept beside the weights."""

import pandas as pd
import pytest

from prunefront.common.errors import InputError
from prunefront.models.built_in import build_network
from prunefront.training.curves import Epoch, curves_file, read_curves, write_curves
from prunefront.training.progress import Progress
from prunefront.training.trainer import Trainer, compile_classifier, evaluate
from tests.helpers import IMAGES, TRAINING, recipe

CURVES = [
    ("dense", [Epoch(1.5, 0.25, 1.25, 0.5, 0.001), Epoch(0.1 + 0.2, 1 / 3, 1.0, 0.75, 0.0)]),
    ('99.5% "<b>ä', [Epoch(2.0, 0.0, 2.0, 0.0, 1e-7)]),
]


def test_a_row_per_epoch(tmp_path):
    path = curves_file(tmp_path)
    write_curves(path, CURVES)
    assert path.name == "curves.csv"
    assert path.read_text(encoding="utf-8").splitlines() == [
        "fit,epoch,loss,accuracy,val_loss,val_accuracy,learning_rate",
        "dense,1,1.5,0.25,1.25,0.5,0.001",
        "dense,2,0.3,0.333333333,1,0.75,0",
        '"99.5% ""<b>ä",1,2,0,2,0,1e-07',
    ]
    table = read_curves(path)
    assert table["fit"].tolist() == ["dense", "dense", '99.5% "<b>ä']
    assert table["epoch"].tolist() == [1, 2, 1]
    assert table["val_accuracy"].tolist() == [0.5, 0.75, 0.0]


@pytest.mark.parametrize("content", ["", "fit,epoch\n", "fit,epoch,loss\ndense,one,2\n", "\x00\xff"])
def test_a_damaged_file_is_one_line(tmp_path, content):
    path = tmp_path / "curves.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=r"curves\.csv: expected"):
        read_curves(path)
    with pytest.raises(InputError, match="run `dvc repro`"):
        read_curves(tmp_path / "none.csv")


def test_they_are_the_numbers_of_the_training(tmp_path):
    settings = TRAINING.model_copy(update={"epochs": 3, "learning_rate": 0.01, "batch_size": len(IMAGES.y)})

    def make():
        return build_network((10, 10, 1), 4)

    trainer = Trainer(make, IMAGES, IMAGES, 0, recipe(schedule="cosine", dropout=0.0), Progress("test", 10))
    best = trainer.fit(None, settings, label="90.0%")
    ((label, epochs),) = trainer.curves
    assert (label, len(epochs)) == ("90.0%", 3)
    # Half a period of a cosine over three steps, each an epoch here: after one step of three, of two, at the end.
    assert [epoch.learning_rate for epoch in epochs] == pytest.approx([0.0075, 0.0025, 0.0], abs=1e-9)
    model = make()
    compile_classifier(model)
    model.set_weights(best)
    accuracy, loss = evaluate(model, IMAGES)
    best_epoch = max(epochs, key=lambda epoch: epoch.val_accuracy)  # the first of equals
    assert best_epoch.val_accuracy == pytest.approx(accuracy, abs=1e-6)
    assert best_epoch.val_loss == pytest.approx(loss, rel=1e-4)
    # Without dropout and in one step an epoch, the next epoch's training loss is this one's validation loss.
    assert epochs[1].loss == pytest.approx(epochs[0].val_loss, rel=1e-4)
    path = curves_file(tmp_path)
    write_curves(path, trainer.curves)
    expected = pd.DataFrame([("90.0%", i, *epoch) for i, epoch in enumerate(epochs, start=1)])
    assert read_curves(path).to_numpy()[:, 1:] == pytest.approx(expected.to_numpy()[:, 1:].astype(float), rel=1e-8)
