"""Attributes that are replaced for a while."""

import pytest

from prunefront.common.patching import replaced
from prunefront.common.runtime import keras


class Thing:
    def name(self):
        return "of the class"


def test_a_method_of_the_class_shows_through_again():
    thing = Thing()
    with replaced(thing, "name", lambda: "replaced"):
        assert thing.name() == "replaced"
    assert thing.name() == "of the class"
    assert vars(thing) == {}


def test_a_method_of_the_object_s_own_comes_back_also_after_an_error():
    thing = Thing()
    thing.name = lambda: "its own"
    with pytest.raises(KeyError), replaced(thing, "name", lambda: "replaced"):
        raise KeyError
    assert thing.name() == "its own"


def test_a_layer_of_keras_is_such_an_object():
    layer = keras.layers.Dense(2)
    with replaced(layer, "call", lambda x: x + 1):
        assert layer.call(1) == 2
    assert "call" not in vars(layer)
