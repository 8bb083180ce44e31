"""The tests. What the user has set for programs, and for the shell, has no part in them."""

import atexit
import os
import tempfile
from pathlib import Path

COLOURS = ("FORCE_COLOR", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PY_COLORS", "TTY_COMPATIBLE", "GITHUB_ACTIONS")
OTHERS = ("CC", "TERMINAL_WIDTH", "PYTHONPATH", "PYTHONWARNINGS", "PYTHONUTF8", "PRUNEFRONT_MEMORY_GIB")
for name in list(os.environ):
    if name in COLOURS + OTHERS or name.startswith(("GIT_", "DVC_", "KERAS_")):
        del os.environ[name]

home = tempfile.TemporaryDirectory(prefix="prunefront-tests-")
atexit.register(home.cleanup)
os.environ |= {
    "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),  # of fonts
    "XDG_CONFIG_HOME": home.name,
    "HOME": home.name,
    "KERAS_HOME": home.name,
    "MATPLOTLIBRC": os.devnull,
    "DVC_SYSTEM_CONFIG_DIR": home.name,
    "DVC_NO_ANALYTICS": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "1",  # folders of another owner, such as a checkout in a container
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "LC_ALL": "C.UTF-8",  # English, and any name
    "CUDA_VISIBLE_DEVICES": "-1",
}
