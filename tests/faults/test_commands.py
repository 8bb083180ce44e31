"""Commands under bad input and faults: what a shell is given, how they fail, and two of them at once."""

import re

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from tests.helpers import ROOT, copy_checkout, run, set_params

STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]

SHELL = [
    "0 --help; touch hurt #",
    "0; touch hurt",
    "0 && touch hurt",
    "0 || touch hurt",
    "0 | touch hurt",
    "0 & touch hurt",
    "0 > hurt",
    "$(touch hurt)",
    "`touch hurt`",
    "${IFS}$(touch hurt)",
    "'; touch hurt; '",
    '"; touch hurt; "',
    "'\"'; touch hurt; '\"'",
    "\\'; touch hurt #",
    "0\ntouch hurt",
    "'\ntouch hurt\n'",
    "\ntouch hurt",
    "0\u2028touch hurt",
    "--help",
    "0 --params other.yaml",
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The pipeline with all that the first matrix stage depends on, before any stage has run."""
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkout(folder, without=(".dvc/", "docs", "tests", "results", "models", "metrics", "dvc.lock"))
    (folder / "data" / "prepared").mkdir(parents=True)
    (folder / "data" / "prepared" / "about.json").write_text("{}")
    Repo.init(str(folder), no_scm=True).close()
    return folder


def test_no_seed_reaches_the_shell_whichever_stage_is_run(checkout):
    set_params(checkout, seeds=SHELL)
    result = run("dvc", "repro", "--single-item", "--keep-going", "baseline", folder=checkout, check=False)
    said = result.stdout + result.stderr
    assert result.returncode != 0
    assert len(re.findall("failed to run: python -m stages.baseline --seed ", said)) == len(SHELL), said[-3000:]
    assert not list(checkout.rglob("hurt"))
    assert not (checkout / "models" / "baseline").exists()


@pytest.mark.parametrize("seeds", [[["; touch hurt"]], [{"; touch hurt #": 1}], "; touch hurt", [True], [None]])
def test_seeds_of_another_kind_do_not_either(seeds, checkout):
    set_params(checkout, seeds=seeds)
    assert run("dvc", "repro", "--single-item", "baseline", folder=checkout, check=False).returncode != 0
    assert not list(checkout.rglob("hurt"))
    assert not (checkout / "models" / "baseline").exists()


@pytest.mark.parametrize("stage", STAGES)
def test_commands_take_nothing_but_what_dvc_quotes(stage):
    """DVC quotes the values of a mapping; a value alone it puts in as it is."""
    assert STAGES[stage].get("matrix", {"seed": "${seeds}"}) == {"seed": "${seeds}"}
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}" + " ${item}" * ("matrix" in STAGES[stage])
