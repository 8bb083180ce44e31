"""What a process may take from the machine, its instructions and threads, and from the user's environment."""

import os
import platform
import sys
from pathlib import Path

from prunefront.common.sections import Runtime

COMMAND = "PRUNEFRONT_COMMAND"
"""Set in the environment of a process that runs a command of this package, and of those that it starts."""
INSTRUCTIONS = "AVX2"
"""The instruction set that portable results are computed with."""
NEEDED = frozenset({"avx2", "fma", "f16c", "bmi1", "bmi2", "movbe"})
"""The flags of a processor that has it, as Linux names them."""

BELOW_AVX512 = frozenset({"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"})
"""What oneDNN may be held to that computes nothing in 16 bits."""

PORTABLE = {
    "CUDA_VISIBLE_DEVICES": "-1",  # no GPU
    "NPY_ENABLE_CPU_FEATURES": "X86_V3",  # NumPy's loops: AVX2 and FMA, of its builds for more none
    "ONEDNN_MAX_CPU_ISA": INSTRUCTIONS,
    "OPENBLAS_CORETYPE": "Haswell",  # matrix products of NumPy and SciPy
    "OPENBLAS_NUM_THREADS": "1",  # which a product of matrices is split between
    # oneDNN's kernels go by their instruction set and the number of threads; Eigen's, the others that TensorFlow has,
    # cut sums where the processor's caches end. Unset, TensorFlow chooses by the processor.
    "TF_ENABLE_ONEDNN_OPTS": "1",
}
"""The environment of a portable process, but for its threads."""
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS")
FAMILIES = ("CUDA_", "DNNL_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_", "TENSORFLOW_", "TF_", "XLA_")
"""What the variables begin with that may move a result."""
LOGS = "TF_CPP_"
"""What those of them begin with that only say what TensorFlow logs."""


def pin(runtime: Runtime) -> str | None:
    """Sets the environment of this process, and of those that it starts, before NumPy and TensorFlow read it.

    Where results are to be portable, what the user's environment sets counts for nothing. A process that has already
    read something else starts anew.

    Args:
        runtime: the section of the parameters.

    Returns:
        What is to be said where portable results are asked for and the processor cannot make them: then the machine
        does as it likes, with as many threads.
    """
    before = dict(os.environ)
    doubt = _processor_doubt() if runtime.portable else None
    if doubt is not None:
        runtime = runtime.model_copy(update={"portable": False})
    if runtime.portable:
        for name in in_force():
            del os.environ[name]
        if "glibc.cpu." in before.get("GLIBC_TUNABLES", ""):  # of which exp and sin of the C library depend
            del os.environ["GLIBC_TUNABLES"]
    os.environ.update(variables(runtime))
    has_read = "numpy" in sys.modules or "GLIBC_TUNABLES" in before.keys() - os.environ.keys()
    if has_read and os.environ != before:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ)
    return doubt


def variables(runtime: Runtime) -> dict[str, str]:
    """The environment variables that a process of these settings has."""
    threads = {} if runtime.threads is None else dict.fromkeys(THREADS, str(runtime.threads))
    return threads | (PORTABLE if runtime.portable else {})


def in_force() -> dict[str, str]:
    """The variables of this process's environment that may move a result, by their names in order."""
    return {n: os.environ[n] for n in sorted(os.environ) if n.startswith(FAMILIES) and not n.startswith(LOGS)}


def is_portable(runtime: Runtime) -> bool:
    """Whether this process makes portable results: they are asked for, and its environment is set for them."""
    return runtime.portable and in_force() == variables(runtime)


def _processor_doubt() -> str | None:
    """What is to be said of a processor that cannot make portable results; None of one that can."""
    kind, flags = platform.machine(), processor_flags()
    if kind.lower() in ("x86_64", "amd64") and (flags is None or flags >= NEEDED):
        return None
    lacking = f" without {', '.join(sorted(NEEDED - flags))}" if flags else ""
    return (
        f"runtime.portable: the results hold on this kind of machine only, {kind}{lacking}; portable ones need an "
        f"x86-64 processor with {INSTRUCTIONS}"
    )


def without_16_bits() -> str | None:
    """The setting of the environment with which TensorFlow ends the process at its first step in 16 bits, if any.

    TensorFlow goes by what the processor has, and oneDNN, which then computes, by what it may use of that.
    """
    held = next((name for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA") if os.environ.get(name)), None)
    low = held is not None and os.environ[held].upper() in BELOW_AVX512
    used = os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0" and "avx512f" in (processor_flags() or ())
    return f"{held}={os.environ[held]}" if held is not None and low and used else None


def processor_flags() -> frozenset[str] | None:
    """What the processor can do, in Linux's names; None where the system does not say so in that way."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), None)


def processor() -> str:
    """The processor's name, as the system gives it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        if names:
            return names[0].split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine() -> str:
    """Processor, cores and operating system."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()}"


def environment() -> dict[str, str]:
    """For a process that is to import what this one does, from the same places in the same order."""
    places = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    return {**os.environ, "PYTHONPATH": places, "PYTHONSAFEPATH": "1"}
