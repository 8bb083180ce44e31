"""Parameters of the wrong kind, size or depth: each is refused in one line, or taken for exactly what it is."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from ruamel.yaml import YAML

from prunefront import InputError
from prunefront.common.params import load_params
from tests.faults.corpus import Fault, refused
from tests.helpers import ROOT, edited

DEFAULT = (ROOT / "presets" / "default.yaml").read_text()
CONTENT = YAML(typ="safe").load(DEFAULT)


def written(text):
    def make(folder):
        path = folder / "params.yaml"
        path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text)
        return path

    return make


def changed(key, value):
    return lambda folder: edited(folder, (key, value))


def seeds(text):
    return written(DEFAULT.replace("seeds: [0, 1, 2]", f"seeds: {text}"))


FAULTS = {
    "lists 5,000 deep": Fault(written("a: " + "[" * 5000), load_params, "readable YAML file. Received: RecursionError"),
    "maps 20,000 deep": Fault(written("{a: " * 20000), load_params, "readable YAML file. Received: RecursionError"),
    "a seed of 5,000 digits": Fault(seeds("[" + "9" * 5000 + "]"), load_params, "readable YAML .*Exceeds the limit"),
    "a seed that Python does not write": Fault(
        seeds("[0x" + "f" * 5000 + "]"), load_params, "seeds.0: .*less than 4294967296. Received: a number of thousands"
    ),
    "a list in itself": Fault(seeds("&a [*a]"), load_params, "seeds.0: .*valid integer"),
    "a million laughs": Fault(
        seeds("[&a [1, 1], " + ", ".join(f"&{n} [*{m}, *{m}]" for m, n in pairwise("abcdefghijklm")) + "]"),
        load_params,
        "seeds.0: .*valid integer",
    ),
    "not UTF-8": Fault(written(b"seeds: \xff\xfe"), load_params, "readable YAML file. Received: UnicodeDecodeError"),
    "a NUL byte": Fault(written("seeds: \0"), load_params, "readable YAML file"),
    "an unknown tag": Fault(written("!!python/object:os.system {}"), load_params, "readable YAML file"),
    "bytes as text": Fault(
        written(DEFAULT.replace("recipe: plain", "recipe: !!binary cGxhaW4=", 1)), load_params, "baseline.recipe: .*str"
    ),
    "a path with a NUL": Fault(
        written(DEFAULT.replace("path: inputs/none", 'path: "a\\0b"', 1)), load_params, "data.path: expected a path"
    ),
    "a long name": Fault(written(DEFAULT + f"? {'x' * 100_000}\n: 1\n"), load_params, "unknown parameter 'x{80}':"),
    "channels: true": Fault(changed("data.channels", True), load_params, "channels: input should be 1 or 3.*True"),
    "channels: 1.0": Fault(changed("data.channels", 1.0), load_params, r"channels: input should be 1 or 3.*1\.0"),
    "epochs of 400 digits": Fault(changed("baseline.epochs", 10**399), load_params, "baseline.epochs: .*1000000"),
    "a batch of 10**12": Fault(changed("masked.batch_size", 10**12), load_params, "masked.batch_size: .*1000000"),
    "ramp steps of 10**30": Fault(changed("gradual.ramp_steps", 10**30), load_params, "ramp_steps: .*1000000"),
    "a rate of 1e300": Fault(changed("freeze.learning_rate", 1e300), load_params, "freeze.learning_rate: .*1000"),
    "a decay of 1e300": Fault(changed("recipes.plain.weight_decay", 1e300), load_params, "weight_decay: .*1000"),
    "biases: 1": Fault(changed("prune.biases", 1), load_params, "prune.biases: .*boolean"),
    "flip: 'yes'": Fault(changed("recipes.plain.flip", "yes"), load_params, "recipes.plain.flip: .*boolean"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_parameter_file_is_refused(name, tmp_path):
    refused(FAULTS[name], tmp_path)


def leaves(section, prefix=()):
    for key, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key)
            if isinstance(value, list):
                yield from ((*prefix, key, index) for index in range(len(value)))


KEYS = sorted(leaves(CONTENT), key=str)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.integers(-2, 40)
    | st.floats()
    | st.floats(0, 1)
    | st.sampled_from([0.0, 1.0, 3.0, 10.0, -0.0, 1e308, math.nan, math.inf, 2**31, 2**32, 2**63, 2**64])
    | st.text(max_size=5)
    | st.sampled_from(["", "1", "0.5", "true", "null", "nan", "plain", "global", "a" * 5000, "\0", "${seeds}", "$(id)"])
)
values = st.recursive(
    scalars, lambda kind: st.lists(kind, max_size=3) | st.dictionaries(st.text(max_size=3), kind, max_size=2)
)


def at(params, key):
    for part in key:
        params = getattr(params, part) if isinstance(params, BaseModel) else params[part]
    return params


def same(loaded, given_):
    """Equal in value and kind: 1 may be read as 1.0, `true` as neither."""
    if isinstance(loaded, tuple):
        return isinstance(given_, list) and len(loaded) == len(given_) and all(map(same, loaded, given_))
    if isinstance(loaded, Path):
        return isinstance(given_, str) and loaded == Path(given_)
    kinds = (int, float) if isinstance(loaded, float) else (type(loaded),)
    return type(given_) in kinds and loaded == given_


def met(path):
    try:
        return load_params(path)
    except InputError as error:
        return error


@settings(max_examples=150)
@given(st.sampled_from(KEYS), values)
def test_a_value_is_refused_in_one_line_or_taken_for_what_it_is(tmp_path_factory, key, value):
    content = YAML(typ="safe").load(DEFAULT)
    section = content
    for part in key[:-1]:
        section = section[part]
    section[key[-1]] = value
    path = tmp_path_factory.getbasetemp() / "drawn.yaml"
    try:
        with path.open("w") as file:
            YAML().dump(content, file)
    except ValueError:  # a number that Python does not write
        return
    outcome = met(path)
    if isinstance(outcome, InputError):
        assert "\n" not in str(outcome)
        assert len(str(outcome)) < 1000
    else:
        assert same(at(outcome, key), value)
