from prunefront.common.params import TRAINED
from prunefront.frontier.names import METHOD_NAMES, method_name


def test_every_stage_has_a_name_of_its_own():
    assert list(METHOD_NAMES) == list(TRAINED)
    assert len(set(METHOD_NAMES.values())) == len(METHOD_NAMES)
    for stage in METHOD_NAMES:
        name = method_name(stage)
        assert name == name.strip().lower() != ""
        assert "_" not in name


def test_names_are_what_people_say():
    assert method_name("prune_global") == "global magnitude"
    assert method_name("baseline") == "dense network"


def test_a_stage_that_nobody_knows_is_called_as_it_is():
    assert method_name("my_own_method_2") == "my own method 2"
