"""What a process may take from the machine: instructions, threads, and nothing that the user's environment sets."""

import os
import platform
import sys
from pathlib import Path

from prunefront.common.errors import InputError
from prunefront.common.params import Runtime

INSTRUCTIONS = "AVX2"
"""The instruction set that portable results are computed with."""
NEEDED = frozenset({"avx2", "fma", "f16c", "bmi1", "bmi2", "movbe"})
"""The flags of a processor that has it, as Linux names them."""

PORTABLE = {
    "CUDA_VISIBLE_DEVICES": "-1",  # no GPU
    "NPY_ENABLE_CPU_FEATURES": "X86_V3",  # NumPy's loops: AVX2 and FMA, no AVX-512
    "ONEDNN_MAX_CPU_ISA": INSTRUCTIONS,  # its matrix products, which TensorFlow's other kernels call too
    "OPENBLAS_CORETYPE": "Haswell",  # NumPy's and SciPy's matrix products
    "TF_ENABLE_ONEDNN_OPTS": "0",  # otherwise TensorFlow decides by the processor
}
"""The environment of a portable process, but for its threads."""
FAMILIES = ("DNNL_", "GOTO_", "KMP_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_", "TF_XLA_", "XLA_")
"""What the variables that may move a result begin with: where results are portable, none but ours is left."""
SINGLE = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def pin(runtime: Runtime) -> None:
    """Sets the environment of this process and of those that it starts, before NumPy and TensorFlow read it.

    Where results are to be portable, what the environment said before counts for nothing.

    Args:
        runtime: the section of the parameters.

    Raises:
        InputError: portable results are asked for, and the processor has no AVX2.
    """
    if runtime.portable:
        _check_processor()
        for name in [name for name in os.environ if name.startswith(FAMILIES)]:
            del os.environ[name]
    os.environ.update(variables(runtime))


def variables(runtime: Runtime) -> dict[str, str]:
    """The environment variables that a process of these settings runs under."""
    said = dict(PORTABLE) if runtime.portable else {}
    if runtime.threads is not None:
        count = str(runtime.threads)
        said |= dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), count)
        said |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count)
    return said


def in_force() -> dict[str, str]:
    """The variables of this process's environment that may move a result."""
    names = sorted({name for name in os.environ if name.startswith(FAMILIES)} | PORTABLE.keys() | set(SINGLE))
    return {name: os.environ[name] for name in names if name in os.environ}


def processor_flags() -> frozenset[str] | None:
    """The flags of the processor as Linux names them; None where nothing says them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), None)


def _check_processor() -> None:
    flags = processor_flags() if sys.platform == "linux" else NEEDED
    if platform.machine().lower() not in ("x86_64", "amd64") or flags is None or not flags >= NEEDED:
        raise InputError(
            f"runtime.portable: expected an x86-64 processor with {INSTRUCTIONS}; set runtime.portable: false for results "
            f"of this machine's own. Received: {platform.machine()} without"
        )
