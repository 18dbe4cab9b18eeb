"""Whether scenes can be rendered here."""

import os
from pathlib import Path

import pytest

_DRIVERS = [Path(folder) / "vulkan/icd.d" for folder in ("/usr/share", "/etc", "/usr/local/share")]
HERE = any(folder.is_dir() and any(folder.glob("*.json")) for folder in _DRIVERS)

needs_vulkan = pytest.mark.skipif(
    not HERE and "CI" not in os.environ,
    reason="no Vulkan driver; `make vulkan` installs one that needs no GPU",
)
