"""Presets: overlays of one default, and what becomes of a parameter file that somebody has edited."""

import os
import pty
import re
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from prunefront import InputError
from prunefront.common.params import load_params
from prunefront.tools.preset import edits, preset_names, render, write_preset
from prunefront.tools.template import PRESETS, dumped, yaml
from tests.helpers import ROOT, assert_one_line, python


def keys(section, prefix=""):
    for name, value in section.items():
        yield prefix + name
        if isinstance(value, dict) and name != "recipes":  # their names are free
            yield from keys(value, f"{prefix}{name}.")


def read(name):
    return YAML(typ="safe").load((PRESETS / f"{name}.yaml").read_text())


def test_the_parameters_have_every_key_of_the_default():
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    assert list(keys(params)) == list(keys(read("default")))


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_changes_what_it_names_and_nothing_else(name, tmp_path):
    overlay, default = read(name), read("default")
    assert set(keys(overlay)) <= set(keys(default))
    write_preset(name, tmp_path / "params.yaml")
    load_params(tmp_path / "params.yaml")
    whole = YAML(typ="safe").load((tmp_path / "params.yaml").read_text())
    assert list(keys(whole)) == list(keys(default))

    def expected(changed, base):
        merged = {**base, **changed}
        return {
            key: expected(changed.get(key, {}), base[key]) if isinstance(value, dict) and key in base else value
            for key, value in merged.items()
        }

    assert whole == expected(overlay, default)
    assert "plain" in whole["recipes"]  # what a new method's section names
    comments = (tmp_path / "params.yaml").read_text().count("#")
    assert comments > 80
    assert edits(tmp_path / "params.yaml") == []


def test_presets_begin_with_what_they_are():
    assert render("smoke").startswith("# A run of a few seconds a stage")
    assert render("default") == (PRESETS / "default.yaml").read_text()
    with pytest.raises(InputError, match=r"Expected a preset, default, cifar10-animals.*Received: smok$"):
        render("smok")


def test_edits_are_found(tmp_path):
    path = tmp_path / "params.yaml"
    assert edits(path) == []
    path.write_text(render("smoke").replace("epochs: 6 ", "epochs: 7 ").replace("[10, 10]", "[12, 10]"))
    assert edits(path) == ["data.image_size", "baseline.epochs"]
    path.write_text(render("smoke") + "#mine\n")
    assert edits(path) == ["#mine"]
    path.write_text(render("smoke") + "mine: 1\n")
    assert edits(path) == ["mine"]
    for unreadable in (b"\xff[", b"seeds: [0", b"seeds: 2020-99-99", b"- 1", b""):
        path.write_bytes(unreadable)
        assert edits(path) == [str(path)]


def test_another_layout_and_sections_that_are_not_there_yet_are_no_edits(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(re.sub(r"(?ms)^magnitude_rewind:.*?\n\n", "", render("default")))
    assert "magnitude_rewind:" not in path.read_text()
    assert edits(path) == []
    path.write_text(dumped(yaml().load(render("default"))))
    assert path.read_text() != render("default")
    assert edits(path) == []


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "mine.yaml").write_text(render("default"))
    (tmp_path / "params.yaml").symlink_to("mine.yaml")
    write_preset("smoke", tmp_path / "params.yaml")
    assert (tmp_path / "params.yaml").is_symlink()
    assert (tmp_path / "mine.yaml").read_text() == render("smoke")


def test_a_hand_edited_file_is_never_overwritten_without_being_asked(tmp_path):
    assert python("-m", "stages.preset", "smoke", folder=tmp_path).returncode == 0
    assert python("-m", "stages.preset", "default", folder=tmp_path).returncode == 0  # as a preset wrote it
    path = tmp_path / "params.yaml"
    edited = path.read_text().replace("seeds: [0, 1, 2]", "seeds: [7]")
    path.write_text(edited)
    refused = python("-m", "stages.preset", "smoke", folder=tmp_path)
    assert_one_line(refused, "--overwrite gives it. Received: edits in params.yaml: seeds")
    assert path.read_text() == edited
    assert python("-m", "stages.preset", "smoke", "--overwrite", folder=tmp_path).returncode == 0
    assert path.read_text() == render("smoke")
    assert_one_line(python("-m", "stages.preset", "smok", folder=tmp_path), "Expected a preset, default")
    assert path.read_text() == render("smoke")
    assert [p.name for p in tmp_path.iterdir()] == ["params.yaml"]


def test_without_a_name_they_are_listed():
    listed = python("-m", "stages.preset").stdout.splitlines()
    assert [line.split()[0] for line in listed] == preset_names()


def test_the_workload_s_preset_is_the_report_s(tmp_path):
    write_preset("cifar10-animals", tmp_path / "params.yaml")
    params = load_params(tmp_path / "params.yaml")
    assert params.data.cifar10.classes == (2, 3, 4, 5, 6)
    assert params.data.cifar10.crop == (25, 25)
    assert round(25_000 * params.data.validation_fraction) == 2525
    assert {stage for stage in ("freeze", "masked", "gradual", "iterative") if params.levels(stage)} == {
        "freeze",
        "masked",
    }


def test_the_template_is_the_checkout():
    assert PRESETS == ROOT / "presets"


@pytest.mark.parametrize(("answer", "written"), [("n", False), ("y", True)])
def test_on_a_terminal_it_asks(answer, written, tmp_path):
    path = tmp_path / "params.yaml"
    edited = render("smoke").replace("seeds: [0, 1]", "seeds: [7]")
    path.write_text(edited)
    ours, terminal = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stages.preset", "smoke"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, stdin=terminal, capture_output=True, check=False)
    assert b"edits in params.yaml: seeds. Overwrite them?" in result.stdout + result.stderr
    assert (result.returncode, path.read_text()) == ((0, render("smoke")) if written else (1, edited))
