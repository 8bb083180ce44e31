"""Portable results: what a process may take from the machine and from the user's environment."""

import json
import os
import shutil

import pytest

from prunefront import InputError
from prunefront.common import machine
from prunefront.common.machine import NEEDED, in_force, is_portable, pin, processor_flags, variables
from prunefront.common.runtime import keras, set_up
from prunefront.common.sections import Runtime
from prunefront.frontier.summary import made_with
from prunefront.models.built_in import build_network
from prunefront.models.pinned import unpinned
from prunefront.tools.show import described_runtime
from prunefront.training.resume import FinishedFits
from tests.helpers import ROOT, Subclassed, assert_one_line, edited, python

layers = keras.layers
PORTABLE, OWN = Runtime(portable=True, threads=2), Runtime(portable=False, threads=None)
OTHERS = {
    "DNNL_MAX_CPU_ISA": "SSE41",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    "OMP_NUM_THREADS": "7",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
    "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
}
"""What a user's environment may set, each of which moves results."""


def needs_avx2() -> None:
    flags = processor_flags()
    if flags is None or not flags >= NEEDED:
        pytest.skip("needs a processor with AVX2 whose flags can be read")


def test_the_environment_of_two_threads():
    threads = {"OMP_NUM_THREADS": "2", "TF_NUM_INTEROP_THREADS": "2", "TF_NUM_INTRAOP_THREADS": "2"}
    assert variables(PORTABLE) == threads | {
        "CUDA_VISIBLE_DEVICES": "-1",
        "NPY_ENABLE_CPU_FEATURES": "X86_V3",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "OPENBLAS_NUM_THREADS": "1",
        "TF_ENABLE_ONEDNN_OPTS": "1",
    }
    assert variables(Runtime(portable=False, threads=2)) == threads
    assert variables(OWN) == {}


def test_a_command_starts_with_its_parameters_environment_whatever_the_user_s_sets(tmp_path):
    needs_avx2()
    (tmp_path / "command.py").write_text(
        "import json, os, sys\nfrom pathlib import Path\n"
        "def command(params: Path = Path('params.yaml')) -> None:\n"
        "    from prunefront.common.machine import in_force\n"
        "    assert not {'numpy', 'tensorflow', 'keras'} & set(sys.modules)\n"
        "    assert 'hwcaps' not in os.environ.get('GLIBC_TUNABLES', ''), 'the C library began otherwise'\n"
        "    from numpy._core._multiarray_umath import __cpu_features__ as has\n"
        "    print(json.dumps([in_force(), has['X86_V3'], has['X86_V4']]))\n"
        "from prunefront.common.commands import run\nrun(command)\n"
    )
    edited(tmp_path, ("runtime.threads", 3))
    told = python("command.py", folder=tmp_path, **OTHERS, GLIBC_TUNABLES="glibc.cpu.hwcaps=-FMA")
    assert (told.returncode, told.stderr) == (0, "")
    assert json.loads(told.stdout) == [variables(Runtime(portable=True, threads=3)), True, False]


def test_the_same_weights_whatever_the_environment_sets(tmp_path):
    needs_avx2()
    weights = []
    for name, environment in (("none", {}), ("others", OTHERS)):
        folder = tmp_path / name
        (folder / "inputs").mkdir(parents=True)
        shutil.copy(ROOT / "inputs" / "none", folder / "inputs")
        edited(
            folder,
            ("data.image_size", [10, 10]),
            ("data.channels", 1),
            ("baseline.epochs", 1),
            ("baseline.keep_epoch", 0),
        )
        for stage in ("prepare", "baseline"):
            made = python("-m", f"stages.{stage}", folder=folder, **environment)
            assert made.returncode == 0, made.stderr
        weights.append([file.read_bytes() for file in sorted((folder / "models" / "baseline").rglob("*.h5"))])
    assert len(weights[0]) == 1
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("kind", "flags", "told"),
    [("x86_64", NEEDED - {"avx2", "fma"}, "x86_64 without avx2, fma"), ("aarch64", None, "aarch64")],
)
def test_a_processor_that_cannot_make_portable_results_says_so_and_makes_its_own(kind, flags, told, monkeypatch):
    monkeypatch.setattr(os, "environ", {"ONEDNN_MAX_CPU_ISA": "SSE41"})
    monkeypatch.setattr(machine.platform, "machine", lambda: kind)
    monkeypatch.setattr(machine, "processor_flags", lambda: flags)
    monkeypatch.setattr(os, "execve", lambda *_: None)  # NumPy has read the environment long ago
    said = pin(PORTABLE)
    assert said is not None
    assert f"hold on this kind of machine only, {told}; portable ones need an x86-64 processor with AVX2" in said
    assert in_force() == variables(OWN.model_copy(update={"threads": 2})) | {"ONEDNN_MAX_CPU_ISA": "SSE41"}
    assert not is_portable(PORTABLE)
    assert pin(OWN) is None


def test_bad_parameters_are_still_one_line(tmp_path):
    edited(tmp_path, ("runtime.threads", 0))
    assert_one_line(python("-m", "stages.prepare", folder=tmp_path), "runtime.threads: input should be greater")


def test_a_finished_fit_is_that_of_its_environment(tmp_path, monkeypatch):
    def key(isa: str) -> str:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", isa)
        return FinishedFits(tmp_path, "masked").key("settings", [])

    assert key("AVX2") == key("AVX2") != key("SSE41")


def test_results_say_how_they_were_made(monkeypatch):
    for name in in_force():
        monkeypatch.delenv(name)
    unpinned = made_with(PORTABLE)
    assert not unpinned.portable, "asked for, but this process runs in an environment of its own"
    for name, value in variables(PORTABLE).items():
        monkeypatch.setenv(name, value)
    assert is_portable(PORTABLE)
    made = made_with(PORTABLE)
    assert (made.portable, made.threads, made.instructions) == (True, 2, "AVX2")
    assert list(made.versions) == ["tensorflow", "keras", "numpy"]
    pinned = made.model_copy(update={"versions": {"numpy": "2.4.6"}})
    assert described_runtime(pinned) == ("portably, for x86-64 machines with AVX2, 2 threads, numpy 2.4.6")
    own = described_runtime(made_with(OWN).model_copy(update={"versions": {}}))
    assert own.endswith("another kind of machine may give other results, a thread per core")
    partly = made_with(PORTABLE, ["LSTM"])
    assert not partly.portable
    said = described_runtime(partly.model_copy(update={"versions": {}}))
    assert said == "with AVX2: another kind of machine may give other results, by its rounding in LSTM, 2 threads"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert not is_portable(PORTABLE)


def test_layers_that_no_setting_pins_are_named():
    image, words = keras.Input((8, 8, 4)), keras.Input((5, 3))
    assert unpinned(build_network((10, 10, 1), 10)) == []
    x = layers.Conv2D(4, 3, groups=2)(layers.Conv2D(4, 3, dilation_rate=2)(image))
    assert unpinned(keras.Model(image, x)) == ["Conv2D with dilation", "Conv2D with groups"]
    inner = keras.Sequential([keras.Input((5, 3)), layers.LSTM(2, return_sequences=True), layers.LSTM(2)])
    assert unpinned(keras.Sequential([words, inner, layers.Dense(2)])) == ["LSTM"]
    assert unpinned(keras.Model(words, keras.ops.matmul(words, keras.ops.transpose(words, (0, 2, 1))))) == ["Matmul"]
    assert unpinned(Subclassed()) == ["Subclassed, a layer of your own"]


@pytest.mark.parametrize(
    ("environment", "flags", "told"),
    [
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"avx2", "avx512f"}, "ONEDNN_MAX_CPU_ISA=AVX2"),
        ({"DNNL_MAX_CPU_ISA": "sse41"}, {"avx2", "avx512f"}, "DNNL_MAX_CPU_ISA=sse41"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, {"avx2", "avx512f"}, None),
        ({"ONEDNN_MAX_CPU_ISA": "AVX2", "TF_ENABLE_ONEDNN_OPTS": "0"}, {"avx2", "avx512f"}, None),
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"avx2"}, None),
        ({}, {"avx2", "avx512f"}, None),
    ],
)
def test_16_bits_that_would_end_the_process_are_refused(environment, flags, told, monkeypatch):
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(machine, "processor_flags", lambda: frozenset(flags))
    assert machine.without_16_bits() == told
    if told is not None:
        with pytest.raises(InputError, match=rf"float32, or {told} unset. Received: precision: mixed_bfloat16"):
            set_up("mixed_bfloat16", 0)
