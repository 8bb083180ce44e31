"""New projects around a user's model and data."""

from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from prunefront import InputError
from prunefront.common.params import load_params
from prunefront.common.runtime import keras
from prunefront.tools.new import Ingredients, write_project
from tests.imports import ROOT

layers = keras.layers


def written(folder):
    params = load_params(folder / "params.yaml")
    pipeline = YAML(typ="safe").load((folder / "dvc.yaml").read_text())["stages"]
    assert {f"{stage}.py" for stage in pipeline} < {path.name for path in (folder / "stages").iterdir()}
    assert all("requirements.txt" in stage["deps"] for stage in pipeline.values())
    assert all((folder / name).exists() for name in (".git", ".dvc", ".gitignore", "README.md", "inputs/none"))
    return params


def test_without_a_subject_it_is_the_digits(tmp_path):
    write_project(tmp_path / "mine", ROOT, Ingredients())
    assert written(tmp_path / "mine").data.source == "digits"
    write_project(tmp_path / "next", tmp_path / "mine", Ingredients())  # a project is a template too
    assert written(tmp_path / "next").model.built_in


def test_a_model_of_images_says_their_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label in ("a", "b"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        Image.new("L", (9, 9)).save(tmp_path / "pictures" / label / "0.png")
    keras.Sequential([keras.Input((12, 14, 1)), layers.Flatten(), layers.Dense(2)]).save("own.keras")
    write_project(tmp_path / "mine", ROOT, Ingredients(model=tmp_path / "own.keras", data=tmp_path / "pictures"))
    params = written(tmp_path / "mine")
    assert (params.data.source, params.data.image_size, params.data.channels) == ("folder", (12, 14), 1)
    assert (tmp_path / "mine" / params.model.path).resolve() == tmp_path / "own.keras"
    keras.Sequential([keras.Input((12,)), layers.Dense(2)]).save("table.keras")
    with pytest.raises(InputError, match=r"a model of images with a fixed size, or data as an .npz file"):
        write_project(tmp_path / "other", ROOT, Ingredients(model=tmp_path / "table.keras"))
    assert not list(tmp_path.glob("*other"))


def test_a_builder_s_code_comes_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "small.py").write_text("def build(shape, classes): ...\n")
    write_project(tmp_path / "mine", ROOT, Ingredients(builder="nets.small:build"))
    params = written(tmp_path / "mine")
    assert (params.model.builder, str(params.model.code)) == ("nets.small:build", "nets")
    assert (tmp_path / "mine" / "nets" / "small.py").exists()
    with pytest.raises(InputError, match=r"--builder: expected package.module:function in this folder"):
        write_project(tmp_path / "other", ROOT, Ingredients(builder="gone:build"))


def test_nothing_that_is_there_is_touched(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"new or empty folder. Received: .*mine, which holds something"):
        write_project(tmp_path / "mine", ROOT, Ingredients())
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "precious"
    with pytest.raises(InputError, match=r"Received: .*gone.npz, which does not exist"):
        write_project(tmp_path / "other", ROOT, Ingredients(data=tmp_path / "gone.npz"))
    for wrong, message in (
        ({"builder": "no_function"}, "package.module:function"),
        ({"application": "MobileNetV2", "image_size": (0, 0)}, "greater than or equal to 1"),
        ({"data": tmp_path / "mine" / "thesis.tex"}, "an .npz file or a folder"),
    ):
        with pytest.raises(InputError, match=message):
            write_project(tmp_path / "other", ROOT, Ingredients(**wrong))
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}


def test_here_is_a_folder_too(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_project(Path(), ROOT, Ingredients())
    written(tmp_path / "here")
