"""What machine this is, in words."""

import os
import platform
from pathlib import Path


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
